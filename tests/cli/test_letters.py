"""Listing, discarding and reading dead letters, in queues of emulated AWS and at the wire."""

import json
import uuid
from collections.abc import Iterator
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

TRIGGER = {"kind": "schedule", "id": "arn:schedule/default/nightly|2026-01-31T02:00:00Z"}
ERROR = {"code": "NO_JOBS", "message": "Commvault created no [red]job.", "hint": "Check the subclient."}
REJECTED = {"target": "orders", "trigger": TRIGGER, "letter": 2, "error": ERROR}
UNFILLED = {"target": "orders", "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
RDS = {
    "source": "aws.rds",
    "detail-type": "RDS DB Instance Event",
    "detail": {"EventID": "RDS-EVENT-0005", "SourceArn": "arn:db", "Date": "d"},
}
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
    text = body if isinstance(body, str) else json.dumps(body)
    received = {"MessageId": identity, "ReceiptHandle": f"r-{identity}", "Body": text, "MessageAttributes": named}
    return received | {"Attributes": {"SentTimestamp": "1500"}}


@pytest.mark.parametrize(
    ("body", "attributes", "said"),
    [
        (REJECTED, {}, ("orders", f"schedule {TRIGGER['id']}", SAID)),
        (
            {"event": {"target": "x", "requestId": "r"}, "deliveryId": "d", "refused": ERROR},
            {},
            ("x", "manual r", SAID),
        ),
        (
            {"event": "a text", "deliveryId": "d", "refused": ERROR},
            {},
            ("", '{"event": "a text", "deliveryId": "d"', SAID),
        ),
        (
            {"requestPayload": {"target": "orders", "schedule": "arn", "time": "2026-01-31T02:00:00Z"}},
            {},
            ("orders", "schedule arn|2026-01-31T02:00:00Z", "the run failed"),
        ),
        (
            {
                "requestPayload": {"target": "orders"},
                "requestContext": {"requestId": "q"},
                "responsePayload": {"errorMessage": "Task timed out"},
            },
            {},
            ("orders", "manual q", "the run failed: Task timed out"),
        ),
        (
            RDS,
            {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Not allowed"},
            ("", "rds arn:db|RDS-EVENT-0005|d", "NO_PERMISSIONS: Not allowed"),
        ),
        (
            UNFILLED,
            {"ERROR_CODE": "X", "SCHEDULE_ARN": "arn", "SCHEDULED_TIME": "2026-01-31T02:00:00Z"},
            ("orders", "schedule arn|2026-01-31T02:00:00Z", "X"),
        ),
        ({}, {"RULE_ARN": "rule"}, ("", "rule", "")),
        ([1], {}, ("", "[1]", "")),
        ({"target": 7, "trigger": {"kind": [], "id": {}}, "letter": "x"}, {}, ("", '{"target": 7, "trigger":', "")),
    ],
)
def test_every_letter_can_be_read(body: Any, attributes: dict[str, str], said: tuple[str, str, str]) -> None:
    letter = Letter.read(message("a", body, **attributes), "prod")
    target, trigger, error = said
    assert (letter.target, letter.error) == (target, error)
    assert letter.trigger.startswith(trigger)
    assert letter.sent_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


# ---- Queues


@dataclass(frozen=True)
class Queue:
    """The dead-letter queue of a stack, which a test fills."""

    aws: Emulator
    url: str

    def put(self, *bodies: Any) -> list[str]:
        """Send letters; return their IDs."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        sqs = self.aws.client("sqs")
        return [sqs.send_message(QueueUrl=self.url, MessageBody=text)["MessageId"] for text in texts]

    def left(self) -> set[str]:
        """Return the IDs of the letters that anybody can read now."""
        sqs, found = self.aws.client("sqs"), set[str]()
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            found |= {received["MessageId"] for received in messages}
        return found


@pytest.fixture
def queue(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A stack `prod` with a dead-letter queue."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    client = aws.client("cloudformation")
    name = f"letters-{uuid.uuid4().hex[:8]}"
    template = {
        "Resources": {"Letters": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"DeadLetterQueueUrl": {"Value": {"Ref": "Letters"}}, "Version": {"Value": "2.0.0"}},
    }
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", name)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    url = next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "DeadLetterQueueUrl")
    yield Queue(aws, url)
    client.delete_stack(StackName=name)


def test_letters_are_shown_and_stay_where_they_are(cli: Cli, queue: Queue) -> None:
    ids = queue.put(REJECTED, *HOSTILE, *({"target": f"t{number}", "trigger": TRIGGER} for number in range(12)))
    done = cli("letters")
    assert done.status == Exit.OK
    row = next(line for line in done.out.splitlines() if ids[0][:8] in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["orders", f"schedule {TRIGGER['id']}", SAID]
    assert all(letter_id[:8] in done.out for letter_id in ids)
    assert "19 letters in the dead-letter queue." in done.out
    rows = json.loads(cli("letters", "--format", "json").out)
    assert {row["id"] for row in rows} == {letter_id[:8] for letter_id in ids}
    assert queue.left() == set(ids)


def test_named_letters_are_deleted_and_the_others_are_not(cli: Cli, queue: Queue) -> None:
    first, second, third = queue.put(REJECTED, REJECTED, REJECTED)
    done = cli("discard", "--id", f"{first} {second[:8]}", "--yes")
    assert done.status == Exit.OK
    assert first[:8] in done.err
    assert third[:8] not in done.err
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
    done = cli("discard", *(argument.format(id=put[0]) for argument in arguments))
    assert (done.status, said in done.err) == (Exit.COULD_NOT_RUN, True), done.err
    assert queue.left() == set(put)


@pytest.mark.parametrize(("answer", "status"), [("y", Exit.OK), ("n", Exit.FINDINGS), ("", Exit.FINDINGS)])
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
    done = cli("discard", "--all")
    assert done.status == status
    assert ("1 letter deleted." in done.out) is (status == Exit.OK)
    assert queue.left() == {*late, *(ids if status else ())}


# ---- At the wire: what the emulator does not do


@pytest.fixture
def sqs(wire: AwsWire) -> AwsWire:
    wire.stack(DeadLetterQueueUrl="https://sqs/dead-letters")
    wire.answer("ChangeMessageVisibilityBatch", {"Successful": [], "Failed": []})
    return wire


def test_a_begin_of_several_ids_is_refused(cli: Cli, sqs: AwsWire) -> None:
    sqs.answer("ReceiveMessage", {"Messages": [message("abc-1"), message("abc-2")]}, {})
    assert (
        "2 letters' IDs begin with 'abc'. Nothing was deleted." in cli("discard", "prod", "--id", "abc", "--yes").line
    )
    (back,) = sqs.asked("ChangeMessageVisibilityBatch")
    assert {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in back["Entries"]} == {
        "r-abc-1": 0,
        "r-abc-2": 0,
    }


def test_a_failed_deletion_is_a_finding(cli: Cli, sqs: AwsWire) -> None:
    found = {"Messages": [message("a"), message("b")]}
    sqs.answer("ReceiveMessage", found, {}, found, {})
    sqs.answer("DeleteMessageBatch", {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError"}]})
    done = cli("discard", "prod", "--all", "--yes")
    assert done.status == Exit.FINDINGS
    assert "1 letter deleted.\n1 letter could not be deleted, or had gone. Try again.\n" in done.out


@pytest.mark.parametrize("arguments", [("letters",), ("discard", "--all")])
def test_letters_that_another_person_reads_are_not_taken_for_none(
    cli: Cli, queue: Queue, arguments: tuple[str, ...]
) -> None:
    assert "no letters in the dead-letter queue." in cli(*arguments).out
    queue.put(REJECTED)
    assert len(queue.left()) == 1  # received, and not handed back
    done = cli(*arguments)
    assert done.status == Exit.COULD_NOT_RUN
    assert "another person is reading 1 letter. Try again" in done.line
