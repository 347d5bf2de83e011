"""The dead-letter queue of a stack: its letters, read without losing one.

A letter that is read stays in its queue: it is held, invisible to others, and then handed back, unless it was deleted.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Self

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import Request, SubmissionMessage, parse, unwrap
from rds_snap_backup.untrusted import NotJson, clean_text, read_json
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.output import counted
from rds_snap_backup_cli.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Longer than it takes to read MAX_LETTERS; what is not handed back returns by itself after that.
HELD_SECONDS = 60
MAX_LETTERS = 1000
MAX_BATCH = 10
MAX_SHOWN = 300


@dataclass(frozen=True)
class Letter:
    """A letter as it is shown. Texts that it does not have are empty."""

    id: str
    receipt: str
    sent_at: datetime
    target: str
    trigger: str
    error: str

    @classmethod
    def read(cls, message: "MessageTypeDef", stack: str) -> Self:
        """Read a message of the dead-letter queue, whoever sent it; any body gives a letter."""
        body = message.get("Body", "")
        attributes = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
        target, trigger = target_and_trigger(message["MessageId"], body, attributes, stack)
        return cls(
            id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            sent_at=datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC),
            target=clean_text(target, MAX_SHOWN),
            trigger=clean_text(trigger, MAX_SHOWN),
            error=clean_text(error_of(body, attributes), MAX_SHOWN),
        )


def target_and_trigger(message_id: str, body: str, attributes: Mapping[str, str], stack: str) -> tuple[str, str]:
    """Return target and trigger, as the Backup function reads the letter when it is redriven."""
    kept = {name: {"stringValue": value} for name, value in attributes.items()}
    try:
        event, arrival = unwrap(body, message_id, kept, time.time())
        match parse(event, arrival, stack):
            case SubmissionMessage(trigger, target):
                return target, f"{trigger.kind} {trigger.id}"
            case Request(trigger, names):
                return " ".join(names), f"{trigger.kind} {trigger.id}"
    except (InvalidInput, RecursionError):
        pass
    return "", attributes.get("RULE_ARN") or body


def error_of(body: str, attributes: Mapping[str, str]) -> str:
    """Return the error of a letter.

    The functions' letters are described in docs/reference.md. EventBridge and Scheduler say in attributes why they could
    not deliver an event: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    try:
        document: Any = read_json(body)
    except NotJson:
        document = None
    match document:
        case {"error": {"code": code, "message": message}} | {"refused": {"code": code, "message": message}}:
            return f"{code}: {message}"
        case {"requestPayload": _, "responsePayload": {"errorMessage": reason}}:
            return f"the run failed: {reason}"
        case {"requestPayload": _}:
            return "the run failed"
    return ": ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))


@dataclass(frozen=True)
class DeadLetterQueue:
    """The dead-letter queue of a stack."""

    client: "SQSClient"
    url: str
    stack: DeployedStack

    @classmethod
    def of(cls, stack: DeployedStack) -> Self:
        """Return the dead-letter queue of a stack."""
        client: SQSClient = stack.session.client("sqs")
        return cls(client, stack.output("DeadLetterQueueUrl"), stack)

    @contextmanager
    def held(self) -> Iterator[list[Letter]]:
        """Give the letters, the oldest first and at most `MAX_LETTERS`; afterwards they are in the queue again.

        Raises `CannotRun` if there is none, but others hold some.
        """
        messages: dict[str, MessageTypeDef] = {}
        try:
            while len(messages) < MAX_LETTERS:
                received = {item["MessageId"]: item for item in self._receive()}
                if not received.keys() - messages.keys():
                    break
                messages |= received
            if not messages and (number := self._in_flight()):
                raise CannotRun(f"another person is reading {counted(number, 'letter')}. Try again in a minute.")
            read = (Letter.read(message, self.stack.name) for message in messages.values())
            yield sorted(read, key=lambda letter: letter.sent_at)
        finally:
            for batch in batched(messages.values(), MAX_BATCH):  # noqa: B911 # 3.12 has no `strict`
                # For a deleted letter this fails, which the answer lists.
                self.client.change_message_visibility_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                        for number, one in enumerate(batch)
                    ],
                )

    def is_empty(self) -> bool:
        """Tell whether there is no letter, in flight or not. What is visible stays so."""
        return not self._receive(held_seconds=0) and not self._in_flight()

    def delete(self, letters: Collection[Letter]) -> int:
        """Delete letters that are held; return how many are deleted."""
        deleted = 0
        for batch in batched(letters, MAX_BATCH):  # noqa: B911 # 3.12 has no `strict`
            answer = self.client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(batch)],
            )
            deleted += len(answer.get("Successful", []))
        return deleted

    def _in_flight(self) -> int:
        name: QueueAttributeNameType = "ApproximateNumberOfMessagesNotVisible"
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _receive(self, held_seconds: int = HELD_SECONDS) -> "list[MessageTypeDef]":
        """Receive up to ten letters; with a wait, so that SQS asks all its servers and an empty answer is one."""
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MAX_BATCH,
            VisibilityTimeout=held_seconds,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])
