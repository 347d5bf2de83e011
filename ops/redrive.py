"""`python -m ops.redrive STACK`: send dead letters back to the Submissions queue, and wait until that is done.

SQS moves them. What each letter then does is decided by the ledger, so that doing it twice is safe. It exits with 1 where
the move did not succeed, or letters are in the dead-letter queue afterwards.
"""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops.command import Exit, run
from ops.dead_letters import DeadLetterQueue
from ops.letters import counted
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef as Task

MAX_PER_SECOND = 10
POLL_SECONDS = 2
MAX_UNLISTED = 30  # polls
UNDER_WAY = {"RUNNING", "CANCELLING"}


def main(arguments: Sequence[str]) -> Exit:
    """Redrive the dead letters of the stack that is named; return the exit status."""
    return run(redrive, "redrive", "Send a deployed stack's dead letters back to the Submissions queue.", arguments)


def redrive(stack: DeployedStack) -> Exit:
    """Move the letters, show the progress, and print what became of the move."""
    queue = DeadLetterQueue.of(stack)
    source = arn(queue, queue.url)
    started_at = start(queue, source, arn(queue, queue.destination_url))
    task = wait(queue, source, started_at)
    moved, status = task.get("ApproximateNumberOfMessagesMoved", 0), task.get("Status", "")
    print(f"{stack.name}: SQS moved {counted(moved)} to the Submissions queue.")
    if status != "COMPLETED":
        reason = f": {one_line(task['FailureReason'])}" if "FailureReason" in task else ""
        print(
            f"{stack.name}: the move ended as {status}{reason}. The other letters are where they were; redrive again."
        )
        return Exit.FINDINGS
    if not queue.is_empty():
        print(
            f"{stack.name}: the dead-letter queue is not empty: letters have arrived or have been returned. Read them: "
            f"make letters STACK={stack.name}"
        )
        return Exit.FINDINGS
    return Exit.OK


def start(queue: DeadLetterQueue, source: str, destination: str) -> int:
    """Start a move, or find the one that is under way; return its `StartedTimestamp`, in milliseconds."""
    known = tasks(queue, source)
    if known and known[0].get("Status") in UNDER_WAY:
        if known[0].get("DestinationArn") != destination:
            raise CannotRun(
                "SQS is moving these letters to another queue, and makes one move of a queue at a time. Wait for its end, "
                f"or stop it: aws sqs list-message-move-tasks --source-arn {source}"
            )
        print("A move of these letters is under way already. Waiting for it.")
        return known[0].get("StartedTimestamp", 0)
    try:
        # The function put most of the letters there itself, so SQS has to be given their destination.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
        queue.client.start_message_move_task(
            SourceArn=source, DestinationArn=destination, MaxNumberOfMessagesPerSecond=MAX_PER_SECOND
        )
    except ClientError as error:
        if "already a task running" not in error.response["Error"].get("Message", ""):
            raise
        raise CannotRun(
            "SQS makes one move of a queue at a time, and another one was started just now. Run the command again: it "
            "waits for that one."
        ) from error
    return known[0].get("StartedTimestamp", 0) + 1 if known else 0


def wait(queue: DeadLetterQueue, source: str, since: int) -> "Task":
    """Show the progress of the first move that started at `since` (milliseconds) or later; return it when it has ended."""
    columns = (TextColumn("Moving letters"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        unlisted = 0
        while unlisted < MAX_UNLISTED:  # SQS lists a new one a moment later
            match [task for task in tasks(queue, source) if task.get("StartedTimestamp", 0) >= since]:
                case []:
                    unlisted += 1
                case [*_, task]:
                    total = task.get("ApproximateNumberOfMessagesToMove")
                    progress.update(bar, completed=task.get("ApproximateNumberOfMessagesMoved", 0), total=total)
                    if task.get("Status") not in UNDER_WAY:
                        return task
            time.sleep(POLL_SECONDS)
    raise CannotRun("SQS has started to move the letters and does not list the move. Look at the queue: make letters.")


def tasks(queue: DeadLetterQueue, source: str) -> "list[Task]":
    """Return the latest moves of a queue's letters, the newest first."""
    found = queue.client.list_message_move_tasks(SourceArn=source, MaxResults=10).get("Results", [])
    return sorted(found, key=lambda task: task.get("StartedTimestamp", 0), reverse=True)


def arn(queue: DeadLetterQueue, url: str) -> str:
    """Return a queue's ARN."""
    answer = queue.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
