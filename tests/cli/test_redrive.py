"""Redriving dead letters. Moving messages is SQS's own work, which no emulator here does."""

import json
from typing import Any

import pytest

from rds_snap_backup_cli import redrive
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import PLACE, AwsWire

IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
LETTER = {"MessageId": "a", "ReceiptHandle": "r", "Body": "{}"}
REDRIVE = ("redrive", "prod", "--yes")


@pytest.fixture
def sqs(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    """A stack whose dead-letter queue is empty when a move has ended."""
    monkeypatch.setattr(redrive, "POLL_SECONDS", 0)
    wire.stack(DeadLetterQueueUrl="https://sqs/dead-letters", SubmissionsQueueUrl="https://sqs/submissions")
    wire.answers["GetQueueAttributes"] = lambda asked: (
        200,
        json.dumps({"Attributes": {"QueueArn": asked["QueueUrl"].replace("https://sqs/", "arn:"), IN_FLIGHT: "0"}}),
    )
    wire.answer("StartMessageMoveTask", {"TaskHandle": "task"})
    wire.answer("ReceiveMessage", {})
    return wire


def task(status: str, moved: int = 0, started: int = 2000, to: str = "submissions", **more: Any) -> dict[str, Any]:
    numbers = {"ApproximateNumberOfMessagesMoved": moved, "ApproximateNumberOfMessagesToMove": 3}
    return {"Status": status, "StartedTimestamp": started, "DestinationArn": f"arn:{to}", **numbers, **more}


def moves(wire: AwsWire, *lists: list[dict[str, Any]]) -> None:
    wire.answer("ListMessageMoveTasks", *({"Results": tasks} for tasks in lists))


def test_letters_are_moved_to_their_queue_and_the_end_is_awaited(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [], [], [task("RUNNING")], [task("RUNNING", 2)], [task("COMPLETED", 3)])
    done = cli(*REDRIVE)
    assert (done.status, done.out) == (Exit.OK, f"{PLACE}: SQS moved 3 letters to the Submissions queue.\n")
    wanted = {"SourceArn": "arn:dead-letters", "DestinationArn": "arn:submissions", "MaxNumberOfMessagesPerSecond": 10}
    assert sqs.asked("StartMessageMoveTask") == [wanted]
    assert [asked["SourceArn"] for asked in sqs.asked("ListMessageMoveTasks")] == ["arn:dead-letters"] * 5


@pytest.mark.parametrize(("typed", "said"), [("n", "nothing was moved."), (None, "no terminal to ask on")])
def test_without_an_agreement_nothing_is_moved(
    cli: Cli, sqs: AwsWire, monkeypatch: pytest.MonkeyPatch, typed: str | None, said: str
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: typed is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda: typed)
    done = cli("redrive", "prod")
    assert said in done.out + done.err
    assert not sqs.asked("StartMessageMoveTask")


def test_an_earlier_move_is_not_taken_for_this_one(cli: Cli, sqs: AwsWire) -> None:
    earlier = task("FAILED", 1, started=1000)
    moves(sqs, [earlier], [earlier], [task("RUNNING", 2), earlier], [earlier, task("COMPLETED", 3)])
    done = cli(*REDRIVE)
    assert (done.status, "moved 3 letters" in done.out) == (Exit.OK, True)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_move_that_fails_says_why(cli: Cli, sqs: AwsWire, status: str) -> None:
    moves(sqs, [], [task(status, 1, FailureReason="AWS.SimpleQueueService.NonExistentQueue")])
    done = cli(*REDRIVE)
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
    done = cli(*REDRIVE)
    assert (done.status, "rds-snap-backup letters prod" in done.out) == (Exit.FINDINGS, True)
    assert [asked["VisibilityTimeout"] for asked in sqs.asked("ReceiveMessage")] == [0]


def test_a_move_that_is_under_way_is_waited_for_or_refused(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [task("RUNNING", 1)], [task("COMPLETED", 3)])
    assert cli(*REDRIVE).status == Exit.OK
    moves(sqs, [task("RUNNING", 1, to="elsewhere")], [task("COMPLETED", 3)])
    cli(*REDRIVE).could_not_run("SQS is moving these letters to another queue")
    assert not sqs.asked("StartMessageMoveTask")
    # One that was started at the same moment.
    moves(sqs, [])
    sqs.fail("StartMessageMoveTask", 400, "InvalidParameterValue", "There is already a task running. Only one active")
    cli(*REDRIVE).could_not_run("Run the command again: it waits for that one.")


def test_a_move_that_sqs_does_not_list_is_given_up(cli: Cli, sqs: AwsWire) -> None:
    moves(sqs, [])
    cli(*REDRIVE).could_not_run("SQS has started to move the letters and does not list the move.")
