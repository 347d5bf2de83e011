"""The redrive names both queues; moving messages is SQS's own work, which no emulator here does."""

from typing import Any

import boto3
from botocore.stub import Stubber

from ops.redrive import redrive

REGION = "us-east-1"


class Session:
    """A boto3 session whose clients answer from a script, at the wire."""

    def __init__(self) -> None:
        self.stubs = {name: Stubber(boto3.client(name, region_name=REGION)) for name in ("cloudformation", "sqs")}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, name: str) -> Any:
        return self.stubs[name].client


def test_dead_letters_are_moved_from_their_queue_to_the_submissions_queue() -> None:
    session, created = Session(), "2026-01-31T02:00:00Z"
    outputs = [
        {"OutputKey": f"{name}QueueUrl", "OutputValue": f"https://{name}"} for name in ("DeadLetter", "Submissions")
    ]
    stack = {"StackName": "s", "CreationTime": created, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
    session.stubs["cloudformation"].add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "s"})
    sqs = session.stubs["sqs"]
    for name in ("DeadLetter", "Submissions"):
        sqs.add_response(
            "get_queue_attributes",
            {"Attributes": {"QueueArn": f"arn:{name}"}},
            {"QueueUrl": f"https://{name}", "AttributeNames": ["QueueArn"]},
        )
    moved = {"SourceArn": "arn:DeadLetter", "DestinationArn": "arn:Submissions", "MaxNumberOfMessagesPerSecond": 10}
    sqs.add_response("start_message_move_task", {"TaskHandle": "task"}, moved)
    assert redrive("s", session) == "task"
    for stub in session.stubs.values():
        stub.assert_no_pending_responses()
