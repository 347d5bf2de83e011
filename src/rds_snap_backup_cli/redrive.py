"""`redrive`: sends the dead letters back to the Submissions queue, and waits until that is done.

SQS moves them. The ledger decides what each letter then does, so that doing it twice is safe.
"""

import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.dead_letters import DeadLetterQueue
from rds_snap_backup_cli.errors import CannotRun, Exit, error_message
from rds_snap_backup_cli.output import counted
from rds_snap_backup_cli.program import Call, command

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef as Task

MAX_PER_SECOND = 10
POLL_SECONDS = 2
MAX_UNLISTED = 30  # polls
UNDER_WAY = {"RUNNING", "CANCELLING"}


@command("redrive prod", "redrive prod --yes", asks=True)
def redrive(call: Call) -> Exit:
    """Send all dead letters back to be tried again, after asking, and wait until SQS has moved them.

    Exit status 1: the move did not succeed, or letters are in the dead-letter queue afterwards.
    """
    stack = call.stack()
    queue = DeadLetterQueue.of(stack)
    if not call.agrees(f"{stack.place}: try all dead letters again now?"):
        call.conclude(f"{stack.place}: nothing was moved.")
        return Exit.OK
    call.did(f"SQS may go on moving the letters: {call.next_command('letters')}")
    with call.progress("SQS moves the letters"):
        task = move(queue)
    status, moved = task.get("Status", ""), counted(task.get("ApproximateNumberOfMessagesMoved", 0), "letter")
    call.conclude(f"{stack.place}: SQS moved {moved} to the Submissions queue.")
    if status != "COMPLETED":
        reason = f": {clean_text(task['FailureReason'])}" if "FailureReason" in task else ""
        call.conclude(
            f"The move ended as {status}{reason}. The other letters are where they were. Redrive again.", "red"
        )
        return Exit.FINDINGS
    if not queue.is_empty():
        call.conclude(f"Letters have arrived or are back. Read them: {call.next_command('letters')}", "yellow")
        return Exit.FINDINGS
    return Exit.OK


def move(queue: DeadLetterQueue) -> "Task":
    """Move the letters to the Submissions queue, and return SQS's task when it has ended."""
    source = arn(queue, queue.url)
    started_at = start(queue, source, arn(queue, queue.stack.output("SubmissionsQueueUrl")))
    return wait(queue, source, started_at)


def start(queue: DeadLetterQueue, source: str, destination: str) -> int:
    """Start a move, or find the one that is under way; return its `StartedTimestamp`, in milliseconds."""
    known = tasks(queue, source)
    if known and known[0].get("Status") in UNDER_WAY:
        if known[0].get("DestinationArn") != destination:
            raise CannotRun(
                "SQS is moving these letters to another queue, and makes one move of a queue at a time. Wait for its end, "
                f"or stop it: aws sqs list-message-move-tasks --source-arn {source}"
            )
        return known[0].get("StartedTimestamp", 0)
    try:
        # The function put most of the letters there itself, so SQS must be given their destination.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
        queue.client.start_message_move_task(
            SourceArn=source, DestinationArn=destination, MaxNumberOfMessagesPerSecond=MAX_PER_SECOND
        )
    except ClientError as error:
        if "already a task running" not in error_message(error):
            raise
        raise CannotRun(
            "SQS makes one move of a queue at a time, and another one was started just now. Run the command again: it "
            "waits for that one."
        ) from error
    return known[0].get("StartedTimestamp", 0) + 1 if known else 0


def wait(queue: DeadLetterQueue, source: str, since: int) -> "Task":
    """Return the first move that started at `since` (milliseconds) or later, when it has ended."""
    unlisted = 0
    while unlisted < MAX_UNLISTED:  # SQS lists a new one a moment later
        match [task for task in tasks(queue, source) if task.get("StartedTimestamp", 0) >= since]:
            case []:
                unlisted += 1
            case [*_, task] if task.get("Status") not in UNDER_WAY:
                return task
        time.sleep(POLL_SECONDS)
    raise CannotRun("SQS has started to move the letters and does not list the move. Run the command again.")


def tasks(queue: DeadLetterQueue, source: str) -> "list[Task]":
    """Return the latest moves of a queue's letters, the newest first."""
    found = queue.client.list_message_move_tasks(SourceArn=source, MaxResults=10).get("Results", [])
    return sorted(found, key=lambda task: task.get("StartedTimestamp", 0), reverse=True)


def arn(queue: DeadLetterQueue, url: str) -> str:
    """Return a queue's ARN."""
    answer = queue.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]
