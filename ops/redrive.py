"""Send a deployed stack's dead letters back to its Submissions queue: `python -m ops.redrive STACK [REGION]`.

It starts SQS's own message move; what each letter then does is decided by the ledger, so that doing it twice is safe.
"""

import sys
from typing import Any

import boto3


def redrive(stack: str, session: Any) -> str:
    """Start the move, and return its task handle."""
    described = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    sqs = session.client("sqs")

    def arn(output: str) -> str:
        answer = sqs.get_queue_attributes(QueueUrl=outputs[output], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    # The letters were not moved there by the queue, so SQS must be told where to send them.
    task = sqs.start_message_move_task(
        SourceArn=arn("DeadLetterQueueUrl"), DestinationArn=arn("SubmissionsQueueUrl"), MaxNumberOfMessagesPerSecond=10
    )
    return str(task["TaskHandle"])


if __name__ == "__main__":
    stack_name, *region = sys.argv[1:]
    redrive(stack_name, boto3.Session(region_name=next(iter(region), None)))
    print(f"The dead letters of {stack_name} are on their way back to its Submissions queue.")
