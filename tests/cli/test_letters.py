"""Listing, discarding and reading dead letters, in queues of emulated AWS and at the wire."""

import json
import shlex
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.prompt import Confirm

from local.emulator import Emulator
from rds_snap_backup_cli.dead_letters import Letter
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

TIME = "2026-01-31T02:00:00Z"
TRIGGER = {"kind": "schedule", "id": f"arn:schedule/default/nightly|{TIME}"}
ERROR = {"code": "NO_JOBS", "message": "Commvault created no [red]job.", "hint": "Check the subclient."}
REJECTED = {"target": "orders", "trigger": TRIGGER, "letter": 2, "error": ERROR}
UNFILLED = {"target": "orders", "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
RDS = {
    "source": "aws.rds",
    "detail-type": "RDS DB Instance Event",
    "detail": {"EventID": "RDS-EVENT-0005", "SourceArn": "arn:db", "Date": "d"},
}
TIMED_OUT = {"requestContext": {"requestId": "q"}, "responsePayload": {"errorMessage": "Task timed out"}}
OF_SCHEDULER = {"ERROR_CODE": "X", "SCHEDULE_ARN": "arn", "SCHEDULED_TIME": TIME}
REFUSED = {"deliveryId": "d", "refused": ERROR}
NOT_ALLOWED = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Not allowed"}
SAID = "NO_JOBS: Commvault created no [red]job."
# Deeper than Python's parser goes, than its other recursions go, and than the functions go.
HOSTILE = [
    "not JSON\n{",
    "[" * 100_000,
    '{"event": ' + "[" * 6900 + "]" * 6900 + ', "refused": {}}',
    '{"requestPayload": ' * 600 + "1" + "}" * 600,
    '{"event": ' + "9" * 9000 + "}",
    '{"event": "\\ud800"}',
]


def message(identity: str, body: Any = REJECTED, **attributes: str) -> Any:
    named = {name: {"StringValue": value, "DataType": "String"} for name, value in attributes.items()}
    received = {"MessageId": identity, "ReceiptHandle": f"r-{identity}", "MessageAttributes": named}
    return received | {"Body": json.dumps(body), "Attributes": {"SentTimestamp": "1500"}}


# A body, its attributes; the target, how the trigger begins, and the error.
READ: list[tuple[Any, dict[str, str], tuple[str, str, str]]] = [
    (REJECTED, {}, ("orders", f"schedule {TRIGGER['id']}", SAID)),
    ({"event": {"target": "x", "requestId": "r"}, **REFUSED}, {}, ("x", "manual r", SAID)),
    ({"requestPayload": {"target": "a", "requestId": "r"}}, {}, ("a", "manual r", "the run failed")),
    ({"requestPayload": {"target": "a"}, **TIMED_OUT}, {}, ("a", "manual q", "the run failed: Task timed out")),
    (RDS, NOT_ALLOWED, ("", "rds arn:db|RDS-EVENT-0005|d", "NO_PERMISSIONS: Not allowed")),
    (UNFILLED, OF_SCHEDULER, ("orders", f"schedule arn|{TIME}", "X")),
    ({}, {"RULE_ARN": "rule"}, ("", "rule", "")),
    ({"target": 7, "trigger": {"kind": [], "id": {}}, "letter": "x"}, {}, ("", '{"target": 7, "trigger":', "")),
]


@pytest.mark.parametrize(("body", "attributes", "said"), READ)
def test_every_letter_can_be_read(body: Any, attributes: dict[str, str], said: tuple[str, str, str]) -> None:
    letter = Letter.read(message("a", body, **attributes), "prod")
    target, trigger, error = said
    assert (letter.target, letter.trigger[: len(trigger)], letter.error) == (target, trigger, error)
    assert letter.sent_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


# ---- Queues


@dataclass(frozen=True)
class Queue:
    """The dead-letter queue of a stack, which a test fills."""

    sqs: Any
    url: str

    def put(self, *bodies: Any) -> list[str]:
        """Send letters; return their IDs."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        return [self.sqs.send_message(QueueUrl=self.url, MessageBody=text)["MessageId"] for text in texts]

    def left(self) -> set[str]:
        """Return the IDs of the letters that anybody can read now."""
        found = set[str]()
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            found |= {received["MessageId"] for received in messages}
        return found


@pytest.fixture
def queue(wire: AwsWire, aws: Emulator) -> Queue:
    """The queue of the stack `prod`."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
    wire.stack(DeadLetterQueueUrl=url)
    return Queue(sqs, url)


def test_letters_are_shown_and_stay_where_they_are(cli: Cli, queue: Queue) -> None:
    ids = queue.put(REJECTED, *HOSTILE, *({"target": f"t{number}", "trigger": TRIGGER} for number in range(12)))
    done = cli("letters", "prod")
    assert (done.status, {row[0] for row in done.rows}) == (Exit.OK, {letter_id[:8] for letter_id in ids})
    assert [ids[0][:8], "orders", f"schedule {TRIGGER['id']}", SAID] in [row[:4] for row in done.rows]
    assert "19 letters in the dead-letter queue." in done.out
    assert {row["id"] for row in cli("letters", "prod", "--format", "json").json} == {each[:8] for each in ids}
    assert queue.left() == set(ids)


@pytest.mark.parametrize("ids", ["--id '{} {}'", "--id {} --id {}"])
def test_named_letters_are_deleted_and_the_others_are_not(cli: Cli, queue: Queue, ids: str) -> None:
    first, second, third = queue.put(REJECTED, REJECTED, REJECTED)
    done = cli("discard", "prod", "--yes", *shlex.split(ids.format(first, second[:8])))
    assert (done.status, first[:8] in done.err, third[:8] in done.err) == (Exit.OK, True, False)
    assert "2 letters deleted." in done.out
    assert queue.left() == {third}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--all",), "there is no terminal to ask on. Nothing was done: use --yes."),
        (("--id", "{id} not-there", "--yes"), "there is no letter 'not-there'"),
        (("--id", " ", "--yes"), "Name the letters with --id, or --all of them."),
        (("--id", "{id}", "--all"), "Name the letters with --id, or --all of them."),
    ],
)
def test_in_doubt_nothing_is_deleted(cli: Cli, queue: Queue, arguments: tuple[str, ...], said: str) -> None:
    put = queue.put(REJECTED, REJECTED)
    done = cli("discard", "prod", *(argument.format(id=put[0]) for argument in arguments))
    assert (done.status, said in done.err) == (Exit.COULD_NOT_RUN, True), done.err
    assert queue.left() == set(put)


@pytest.mark.parametrize(("answer", "status"), [("y", Exit.OK), ("", Exit.FINDINGS)])
def test_on_a_terminal_it_asks(
    cli: Cli, queue: Queue, monkeypatch: pytest.MonkeyPatch, answer: str, status: Exit
) -> None:
    ids = queue.put(REJECTED)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    late: list[str] = []

    def typed(*_: object, **__: object) -> str:
        late.extend(queue.put(REJECTED))  # a letter that arrives while the question stands
        return answer

    monkeypatch.setattr(Confirm, "get_input", typed)
    done = cli("discard", "prod", "--all")
    assert (done.status, "1 letter deleted." in done.out) == (status, status == Exit.OK)
    assert queue.left() == {*late, *(ids if status else ())}


def test_letters_that_another_person_reads_are_not_taken_for_none(cli: Cli, queue: Queue) -> None:
    assert "no letters in the dead-letter queue." in cli("discard", "prod", "--all").out
    queue.put(REJECTED)
    assert len(queue.left()) == 1  # received, and not handed back
    cli("discard", "prod", "--all").could_not_run("another person is reading 1 letter. Try again")


# ---- At the wire: what the emulator does not do


@pytest.fixture
def sqs(wire: AwsWire) -> AwsWire:
    wire.stack(DeadLetterQueueUrl="https://sqs/dead-letters")
    wire.answer("ChangeMessageVisibilityBatch", {"Successful": [], "Failed": []})
    found = {"Messages": [message("abc-1"), message("abc-2")]}
    wire.answer("ReceiveMessage", found, {}, found, {})
    return wire


def test_a_begin_of_several_ids_is_refused(cli: Cli, sqs: AwsWire) -> None:
    said = "2 letters' IDs begin with 'abc'. Nothing was deleted."
    cli("discard", "prod", "--id", "abc", "--yes").could_not_run(said)
    (back,) = sqs.asked("ChangeMessageVisibilityBatch")
    assert [entry["VisibilityTimeout"] for entry in back["Entries"]] == [0, 0]


def test_a_failed_deletion_is_a_finding(cli: Cli, sqs: AwsWire) -> None:
    sqs.answer("DeleteMessageBatch", {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError"}]})
    done = cli("discard", "prod", "--all", "--yes")
    assert done.status == Exit.FINDINGS
    assert "1 letter deleted.\n1 letter could not be deleted, or had gone. Try again.\n" in done.out
