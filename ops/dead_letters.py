"""The two dead-letter queues of a stack: what they are called, and their letters, read without losing one.

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
    import argparse

    from mypy_boto3_sqs import SQSClient

# Longer than it takes to read MAX_LETTERS; what is not handed back returns by itself after that.
HELD_SECONDS = 60
MAX_LETTERS = 1000
MAX_BATCH = 10


@dataclass(frozen=True, slots=True)
class Route:
    """A dead-letter queue and the queue that its letters are for, each by the output that holds its URL."""

    letters: str
    queue: str
    queue_name: str


ROUTES = {
    "submissions": Route("DeadLetterQueueUrl", "SubmissionsQueueUrl", "Submissions queue"),
    "jobs": Route("JobsDeadLetterQueueUrl", "JobsQueueUrl", "Jobs queue"),
}


def add_queue_argument(parser: "argparse.ArgumentParser") -> None:
    """Let a command name the queue."""
    parser.add_argument("--queue", choices=sorted(ROUTES), default="submissions", help="whose dead letters")


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """A dead-letter queue of a stack; `destination_url` is the queue that its letters are redriven to."""

    client: "SQSClient"
    url: str
    destination_url: str
    destination: str

    @classmethod
    def of(cls, stack: DeployedStack, name: str) -> Self:
        """Return the dead-letter queue of the queue `name`, a key of `ROUTES`."""
        route = ROUTES[name]
        if name == "jobs" and "SubmissionsQueueUrl" in stack.outputs and "JobsQueueUrl" not in stack.outputs:
            raise CannotRun("the stack follows no jobs (its parameter FollowHours is 0), so it has no Jobs queue.")
        client: SQSClient = stack.session.client("sqs")
        return cls(client, stack.output(route.letters), stack.output(route.queue), route.queue_name)

    @contextmanager
    def held(self) -> Iterator[list[Letter]]:
        """Give the letters, the oldest first and at most `MAX_LETTERS`; afterwards they are in the queue again."""
        letters: dict[str, Letter] = {}
        try:
            while len(letters) < MAX_LETTERS:
                received = [letter for letter in self._receive() if letter.id not in letters]
                if not received:
                    break
                letters |= {letter.id: letter for letter in received}
            yield sorted(letters.values(), key=lambda letter: letter.sent_at)
        finally:
            for batch in batched(letters.values(), MAX_BATCH, strict=False):
                # Of a letter that was deleted this fails, which the answer lists, and of any other it does no harm.
                self.client.change_message_visibility_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                        for number, letter in enumerate(batch)
                    ],
                )

    def is_empty(self) -> bool:
        """Tell whether there is no letter that can be read. It stays visible to others."""
        return not self._receive(held_seconds=0)

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

    def _receive(self, held_seconds: int = HELD_SECONDS) -> list[Letter]:
        """Receive up to ten letters; with a wait, so that SQS asks all its servers and an empty answer is one."""
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MAX_BATCH,
            VisibilityTimeout=held_seconds,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [Letter.read(message) for message in answer.get("Messages", [])]
