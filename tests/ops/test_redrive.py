"""The redrive names both queues; moving messages is SQS's own work, which no emulator here does."""

import json

import pytest

from ops import redrive
from ops.command import Exit
from tests.ops.wire import AwsWire


def test_dead_letters_are_moved_from_their_queue_to_the_submissions_queue(
    wire: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.stack(DeadLetterQueueUrl="https://sqs/dead-letters", SubmissionsQueueUrl="https://sqs/submissions")
    wire.answers["GetQueueAttributes"] = lambda asked: (
        200,
        json.dumps({"Attributes": {"QueueArn": asked["QueueUrl"].replace("https://sqs/", "arn:")}}),
    )
    wire.answers["StartMessageMoveTask"] = lambda _: (200, json.dumps({"TaskHandle": "task"}))
    assert redrive.main(["prod"]) == Exit.OK
    assert wire.calls[-1][:2] == (
        "StartMessageMoveTask",
        {"SourceArn": "arn:dead-letters", "DestinationArn": "arn:submissions", "MaxNumberOfMessagesPerSecond": 10},
    )
    assert capsys.readouterr().out == "prod: SQS is moving its dead letters back to its Submissions queue.\n"
