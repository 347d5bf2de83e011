"""`python -m ops.redrive STACK`: send a deployed stack's dead letters back to its Submissions queue.

It starts SQS's own message move. What each letter then does is decided by the ledger, so that doing it twice is safe.
"""

import sys
from collections.abc import Sequence

from ops.command import Exit, run
from ops.stack import DeployedStack

MAX_PER_SECOND = 10


def main(arguments: Sequence[str]) -> Exit:
    """Redrive the dead letters of the stack that is named; return the exit status."""
    return run(redrive, "redrive", "Send a deployed stack's dead letters back to its Submissions queue.", arguments)


def redrive(stack: DeployedStack) -> Exit:
    """Start the move, and print what follows from it."""
    sqs = stack.session.client("sqs")

    def arn(output: str) -> str:
        answer = sqs.get_queue_attributes(QueueUrl=stack.output(output), AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    # The function put most of the letters there itself, so SQS has to be given their destination.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
    sqs.start_message_move_task(
        SourceArn=arn("DeadLetterQueueUrl"),
        DestinationArn=arn("SubmissionsQueueUrl"),
        MaxNumberOfMessagesPerSecond=MAX_PER_SECOND,
    )
    print(f"{stack.name}: SQS is moving its dead letters back to its Submissions queue.")
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
