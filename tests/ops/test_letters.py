"""Listing and discarding dead letters, in queues of emulated AWS and at the wire."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.prompt import Confirm

from local.emulator import Emulator
from ops import discard, letters
from ops.command import Exit
from tests.ops.mail import REJECTED, TRIGGER, message
from tests.ops.test_letter import HOSTILE
from tests.ops.wire import AwsWire


@dataclass(frozen=True)
class Stack:
    """A stack with dead-letter queues that a test fills."""

    aws: Emulator
    name: str = field(default_factory=lambda: f"letters-{uuid.uuid4().hex[:8]}")

    def create(self) -> None:
        outputs = ("DeadLetterQueueUrl", "SubmissionsQueueUrl")
        template = {
            "Resources": {one: {"Type": "AWS::SQS::Queue"} for one in outputs},
            "Outputs": {one: {"Value": {"Ref": one}} for one in outputs},
        }
        client = self.aws.client("cloudformation")
        client.create_stack(StackName=self.name, TemplateBody=json.dumps(template))
        client.get_waiter("stack_create_complete").wait(StackName=self.name, WaiterConfig={"Delay": 1})

    def url(self) -> str:
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return str(next(one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "DeadLetterQueueUrl"))

    def put(self, *bodies: Any) -> list[str]:
        """Send letters; return their IDs."""
        sqs, url = self.aws.client("sqs"), self.url()
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        return [sqs.send_message(QueueUrl=url, MessageBody=text)["MessageId"] for text in texts]

    def left(self) -> set[str]:
        """Return the IDs of the letters that anybody can read now."""
        sqs, found = self.aws.client("sqs"), set[str]()
        while messages := sqs.receive_message(QueueUrl=self.url(), MaxNumberOfMessages=10).get("Messages"):
            found |= {one["MessageId"] for one in messages}
        return found


@pytest.fixture
def stack(shell: Emulator) -> Iterator[Stack]:
    made = Stack(shell)
    made.create()
    yield made
    shell.client("cloudformation").delete_stack(StackName=made.name)


def test_letters_are_shown_and_stay_where_they_are(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    ids = stack.put(REJECTED, *({"target": f"t{number}", "trigger": TRIGGER} for number in range(12)))
    assert letters.main([stack.name]) == Exit.OK
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if ids[0][:8] in line)
    assert row.split("│")[2].strip() == "orders"
    assert "NO_JOBS: Commvault created no [red]job." in printed
    assert "schedule arn:schedule/default/nightly|2026-01-31T02:00:00Z" in printed
    assert f"{stack.name}: 13 letters in the dead-letter queue." in printed
    assert stack.left() == set(ids)


def test_a_hostile_letter_hides_no_other(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    ids = stack.put(*HOSTILE, REJECTED)
    assert letters.main([stack.name]) == Exit.OK
    printed = capsys.readouterr().out
    assert all(one[:8] in printed for one in ids)
    assert stack.left() == set(ids)


@pytest.mark.parametrize("command", [lambda name: letters.main([name]), lambda name: discard.main([name, "--all"])])
def test_letters_that_somebody_reads_are_not_taken_for_none(
    stack: Stack, capsys: pytest.CaptureFixture[str], command: Callable[[str], Exit]
) -> None:
    assert command(stack.name) == Exit.OK
    assert capsys.readouterr().out == f"{stack.name}: no letters in the dead-letter queue.\n"
    stack.put(REJECTED)
    assert len(stack.left()) == 1  # received, and not handed back
    assert command(stack.name) == Exit.COULD_NOT_RUN
    assert "somebody else is reading 1 of its letters" in capsys.readouterr().err


def test_named_letters_are_deleted_and_the_others_are_not(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = stack.put(REJECTED, REJECTED, REJECTED)
    assert discard.main([stack.name, "--id", f"{first} {second[:8]}", "--yes"]) == Exit.OK
    printed = capsys.readouterr().out
    assert first[:8] in printed
    assert third[:8] not in printed
    assert f"{stack.name}: 2 letters deleted." in printed
    assert stack.left() == {third}


def test_without_a_terminal_nothing_is_deleted(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    ids = stack.put(REJECTED)
    assert discard.main([stack.name, "--all"]) == Exit.COULD_NOT_RUN
    assert "YES=1" in capsys.readouterr().err
    assert stack.left() == set(ids)


@pytest.mark.parametrize(("answer", "status"), [("y", Exit.OK), ("n", Exit.FINDINGS), ("", Exit.FINDINGS)])
def test_on_a_terminal_it_asks(
    stack: Stack,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: Exit,
) -> None:
    ids = stack.put(REJECTED)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    late: list[str] = []

    def typed(*_: object, **__: object) -> str:
        late.extend(stack.put(REJECTED))  # a letter that arrives while the question stands
        return answer

    monkeypatch.setattr(Confirm, "get_input", typed)
    assert discard.main([stack.name, "--all"]) == status
    printed = capsys.readouterr().out
    assert ("1 letter deleted." in printed) is (status == Exit.OK)
    assert stack.left() == {*late, *(ids if status else ())}


@pytest.mark.parametrize(
    ("ids", "said"), [("{id} not-there", "there is no letter 'not-there'"), (" ", "there is no letter ''")]
)
def test_a_letter_that_is_not_there_is_named(
    stack: Stack, capsys: pytest.CaptureFixture[str], ids: str, said: str
) -> None:
    put = stack.put(REJECTED, REJECTED)
    assert discard.main([stack.name, "--id", ids.format(id=put[0]), "--yes"]) == Exit.COULD_NOT_RUN
    assert said in capsys.readouterr().err
    assert stack.left() == set(put)


# ---- At the wire: what the emulator does not do


@pytest.fixture
def sqs(wire: AwsWire) -> AwsWire:
    wire.stack(DeadLetterQueueUrl="https://sqs/dead-letters", SubmissionsQueueUrl="https://sqs/submissions")
    wire.answer("ChangeMessageVisibilityBatch", {"Successful": [], "Failed": []})
    return wire


def test_a_beginning_that_several_ids_have_is_refused(sqs: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    sqs.answer("ReceiveMessage", {"Messages": [message("abc-1"), message("abc-2")]}, {})
    assert discard.main(["prod", "--id", "abc", "--yes"]) == Exit.COULD_NOT_RUN
    assert "2 letters' IDs begin with 'abc'. Nothing was deleted." in capsys.readouterr().err
    (back,) = sqs.asked("ChangeMessageVisibilityBatch")
    assert {one["ReceiptHandle"]: one["VisibilityTimeout"] for one in back["Entries"]} == {"r-abc-1": 0, "r-abc-2": 0}


def test_what_could_not_be_deleted_is_said(sqs: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    found = {"Messages": [message("a"), message("b")]}
    sqs.answer("ReceiveMessage", found, {}, found, {})
    sqs.answer("DeleteMessageBatch", {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError"}]})
    assert discard.main(["prod", "--all", "--yes"]) == Exit.FINDINGS
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "prod: 1 letter deleted.",
        "prod: 1 letter could not be deleted, or had gone meanwhile. Try again.",
    ]


def test_a_long_queue_is_read_in_part(
    sqs: AwsWire, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.dead_letters.MAX_LETTERS", 20)
    monkeypatch.setattr("ops.letters.MAX_LETTERS", 20)
    pages = [{"Messages": [message(f"{page}-{number}") for number in range(10)]} for page in range(3)]
    sqs.answer("ReceiveMessage", *pages)
    assert letters.main(["prod"]) == Exit.OK
    assert "prod: 20 of its letters in the dead-letter queue" in capsys.readouterr().out
    assert len(sqs.asked("ReceiveMessage")) == 2
