"""The dead-letter queue of a stack: its letters, read without losing one.

A letter that is read stays in its queue: it is held, invisible to others, and then handed back, unless it was deleted.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Self

from ops.letter import Letter
from ops.stack import CannotRun, DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Longer than it takes to read MAX_LETTERS; what is not handed back returns by itself after that.
HELD_SECONDS = 60
MAX_LETTERS = 1000
MAX_BATCH = 10


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """The dead-letter queue of a stack; `destination_url` is the queue that its letters are redriven to."""

    client: "SQSClient"
    url: str
    destination_url: str

    @classmethod
    def of(cls, stack: DeployedStack) -> Self:
        """Return the dead-letter queue of a stack."""
        client: SQSClient = stack.session.client("sqs")
        return cls(client, stack.output("DeadLetterQueueUrl"), stack.output("SubmissionsQueueUrl"))

    @contextmanager
    def held(self) -> Iterator[list[Letter]]:
        """Give the letters, the oldest first and at most `MAX_LETTERS`; afterwards they are in the queue again."""
        messages: dict[str, MessageTypeDef] = {}
        try:
            while len(messages) < MAX_LETTERS:
                received = {one["MessageId"]: one for one in self._receive()}
                if not received.keys() - messages.keys():
                    break
                messages |= received
            yield sorted(map(Letter.read, messages.values()), key=lambda letter: letter.sent_at)
        finally:
            for batch in batched(messages.values(), MAX_BATCH, strict=False):
                # Of a letter that was deleted this fails, which the answer lists, and of any other it does no harm.
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

    def require_none_in_flight(self) -> None:
        """Raise `CannotRun` where letters exist that nobody can receive now: somebody reads them, or was interrupted."""
        if number := self._in_flight():
            raise CannotRun(f"somebody else is reading {number} of its letters. Try again in a minute.")

    def _in_flight(self) -> int:
        name: QueueAttributeNameType = "ApproximateNumberOfMessagesNotVisible"
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def delete(self, letters: Collection[Letter]) -> int:
        """Delete letters that are held; return how many are deleted."""
        deleted = 0
        for batch in batched(letters, MAX_BATCH, strict=False):
            answer = self.client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(batch)],
            )
            deleted += len(answer.get("Successful", []))
        return deleted

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
