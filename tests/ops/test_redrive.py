"""Redriving dead letters. Moving messages is SQS's own work, which no emulator here does."""

import json
from typing import Any

import pytest

from ops import redrive
from ops.command import Exit
from tests.ops.wire import AwsWire

OUTPUTS = {
    "DeadLetterQueueUrl": "https://sqs/dead-letters",
    "SubmissionsQueueUrl": "https://sqs/submissions",
}
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
    wire.answer("ListMessageMoveTasks", *({"Results": one} for one in lists))


def test_letters_are_moved_to_their_queue_and_the_end_is_awaited(
    sqs: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    moves(sqs, [], [], [task("RUNNING")], [task("RUNNING", 2)], [task("COMPLETED", 3)])
    assert redrive.main(["prod"]) == Exit.OK
    assert sqs.asked("StartMessageMoveTask") == [
        {"SourceArn": "arn:dead-letters", "DestinationArn": "arn:submissions", "MaxNumberOfMessagesPerSecond": 10}
    ]
    assert [asked["SourceArn"] for asked in sqs.asked("ListMessageMoveTasks")] == ["arn:dead-letters"] * 5
    assert capsys.readouterr().out == "prod: SQS moved 3 letters to the Submissions queue.\n"


def test_an_earlier_move_is_not_taken_for_this_one(sqs: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = task("FAILED", 1, started=1000)
    moves(sqs, [earlier], [earlier], [task("RUNNING", 2), earlier], [earlier, task("COMPLETED", 3)])
    assert redrive.main(["prod"]) == Exit.OK
    assert "moved 3 letters" in capsys.readouterr().out


def test_a_move_that_another_person_starts_next_is_not_taken_for_this_one(
    sqs: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    moves(sqs, [], [task("RUNNING", 1, started=3000), task("COMPLETED", 2, started=2000)])
    assert redrive.main(["prod"]) == Exit.OK
    assert "moved 2 letters" in capsys.readouterr().out


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_move_that_fails_says_why(sqs: AwsWire, capsys: pytest.CaptureFixture[str], status: str) -> None:
    moves(sqs, [], [task(status, 1, FailureReason="AWS.SimpleQueueService.NonExistentQueue")])
    assert redrive.main(["prod"]) == Exit.FINDINGS
    moved, ended = capsys.readouterr().out.splitlines()
    assert moved == "prod: SQS moved 1 letter to the Submissions queue."
    assert ended.startswith(f"prod: the move ended as {status}: AWS.SimpleQueueService.NonExistentQueue. The other")


@pytest.mark.parametrize(("received", "in_flight"), [([LETTER], "0"), ([], "1")])
def test_letters_that_are_there_afterwards_are_named(
    sqs: AwsWire, capsys: pytest.CaptureFixture[str], received: list[Any], in_flight: str
) -> None:
    moves(sqs, [], [task("COMPLETED", 3)])
    sqs.answer("ReceiveMessage", {"Messages": received})
    sqs.answer("GetQueueAttributes", {"Attributes": {"QueueArn": "arn:submissions", IN_FLIGHT: in_flight}})
    assert redrive.main(["prod"]) == Exit.FINDINGS
    assert "make letters STACK=prod" in capsys.readouterr().out
    assert [asked["VisibilityTimeout"] for asked in sqs.asked("ReceiveMessage")] == [0]


def test_a_move_that_is_under_way_is_waited_for(sqs: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    moves(sqs, [task("RUNNING", 1)], [task("COMPLETED", 3)])
    assert redrive.main(["prod"]) == Exit.OK
    assert not sqs.asked("StartMessageMoveTask")
    assert "under way already" in capsys.readouterr().out


def test_a_move_to_another_queue_is_not_waited_for(sqs: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    moves(sqs, [task("RUNNING", 1, DestinationArn="arn:other")])
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert "one move of a queue at a time" in line
    assert "aws sqs list-message-move-tasks --source-arn arn:dead-letters" in line


def test_a_move_that_was_started_at_the_same_moment_is_explained(
    sqs: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    moves(sqs, [])
    message = "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    sqs.fail("StartMessageMoveTask", 400, "com.amazonaws.sqs#InvalidParameterValue", message)
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Run the command again: it waits for that one.")
