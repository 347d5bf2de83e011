"""Redriving dead letters. Moving messages is SQS's own work, which no emulator here does."""

import json
from typing import Any

import pytest

from rds_snap_backup_cli import redrive
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

OUTPUTS = {
    "DeadLetterQueueUrl": "https://sqs/dead-letters",
    "SubmissionsQueueUrl": "https://sqs/submissions",
}
PLACE = "prod (account 111122223333, eu-central-1)"
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
LETTER = {"MessageId": "a", "ReceiptHandle": "r", "Body": "{}"}


@pytest.fixture
def sqs(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    """A stack whose dead-letter queues are empty when a move has ended."""
    monkeypatch.setattr(redrive, "POLL_SECONDS", 0)
    wire.stack(**OUTPUTS)
    wire.answers["GetQueueAttributes"] = lambda asked: (
        200,
        json.dumps({"Attributes": {"QueueArn": asked["QueueUrl"].replace("https://sqs/", "arn:"), IN_FLIGHT: "0"}}),
    )
    wire.answer("StartMessageMoveTask", {"TaskHandle": "task"})
    wire.answer("ReceiveMessage", {})
    return wire


def task(status: str, moved: int = 0, started: int = 2000, **more: Any) -> dict[str, Any]:
    return {
        "Status": status,
        "StartedTimestamp": started,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": 3,
        "DestinationArn": "arn:submissions",
    } | more


def moves(wire: AwsWire, *lists: list[dict[str, Any]]) -> None:
    wire.answer("ListMessageMoveTasks", *({"Results": tasks} for tasks in lists))


def test_letters_are_moved_to_their_queue_and_the_end_is_awaited(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [], [], [task("RUNNING")], [task("RUNNING", 2)], [task("COMPLETED", 3)])
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.OK
    assert sqs.asked("StartMessageMoveTask") == [
        {"SourceArn": "arn:dead-letters", "DestinationArn": "arn:submissions", "MaxNumberOfMessagesPerSecond": 10}
    ]
    assert [asked["SourceArn"] for asked in sqs.asked("ListMessageMoveTasks")] == ["arn:dead-letters"] * 5
    assert done.out == f"{PLACE}: SQS moved 3 letters to the Submissions queue.\n"


def test_an_earlier_move_is_not_taken_for_this_one(cli: Cli, sqs: AwsWire) -> None:
    earlier = task("FAILED", 1, started=1000)
    moves(sqs, [earlier], [earlier], [task("RUNNING", 2), earlier], [earlier, task("COMPLETED", 3)])
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.OK
    assert "moved 3 letters" in done.out


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_move_that_fails_says_why(cli: Cli, sqs: AwsWire, status: str) -> None:
    moves(sqs, [], [task(status, 1, FailureReason="AWS.SimpleQueueService.NonExistentQueue")])
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.FINDINGS
    moved, ended = done.out.splitlines()
    assert moved == f"{PLACE}: SQS moved 1 letter to the Submissions queue."
    assert ended.startswith(f"The move ended as {status}: AWS.SimpleQueueService.NonExistentQueue. The other")


@pytest.mark.parametrize(("received", "in_flight"), [([LETTER], "0"), ([], "1")])
def test_letters_that_are_there_afterwards_are_named(
    cli: Cli, sqs: AwsWire, received: list[Any], in_flight: str
) -> None:
    moves(sqs, [], [task("COMPLETED", 3)])
    sqs.answer("ReceiveMessage", {"Messages": received})
    sqs.answer("GetQueueAttributes", {"Attributes": {"QueueArn": "arn:submissions", IN_FLIGHT: in_flight}})
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.FINDINGS
    assert "rds-snap-backup letters prod" in done.out
    assert [asked["VisibilityTimeout"] for asked in sqs.asked("ReceiveMessage")] == [0]


def test_a_move_that_is_under_way_is_waited_for(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [task("RUNNING", 1)], [task("COMPLETED", 3)])
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.OK
    assert not sqs.asked("StartMessageMoveTask")


def test_a_move_that_was_started_at_the_same_moment_is_explained(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [])
    message = "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    sqs.fail("StartMessageMoveTask", 400, "com.amazonaws.sqs#InvalidParameterValue", message)
    done = cli("redrive", "prod", "--yes")
    assert done.status == Exit.COULD_NOT_RUN
    line = done.line
    assert line.endswith("Run the command again: it waits for that one.")
