"""The batch loop of a queue's consumer, by Powertools, and how long a message waits before it is redelivered.

A message that is on a queue is never sent to it again: it waits by its visibility timeout, and is reported as a batch
item failure. What is done with a message is the function's business.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rds_snap_backup.untrusted import list_in, whole_number

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs import SQSClient

MAX_PAUSE_SECONDS = 900
# SQS allows 12 hours from the receive, which was a moment ago.
MAX_VISIBILITY_SECONDS = 43000


def is_batch(event: object) -> bool:
    """Tell whether an event is what Lambda's poller sends: messages of a queue."""
    records = list_in(event, "Records")
    return bool(records) and all(
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and all(isinstance(record.get(name), str) for name in ("messageId", "receiptHandle", "body"))
        for record in records
    )


@dataclass(frozen=True)
class Message:
    """A message as it was received; `receives` says how often it was, this time included."""

    id: str
    receipt_handle: str
    body: str
    receives: int

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read an SQS record of a Lambda event."""
        attributes = record.get("attributes")
        count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, dict) else None
        return cls(record["messageId"], record["receiptHandle"], record["body"], whole_number(count, 1) or 1)


class Redeliver(Exception):
    """The message is to be redelivered after so many seconds; None: when its visibility timeout ends.

    `error` is raised once the batch has been handled, so that the function counts as failed.
    """

    def __init__(self, seconds: float | None = None, error: Exception | None = None) -> None:
        super().__init__("the message waits on its queue")
        self.seconds = seconds
        self.error = error


def backoff(first_seconds: float, tries: int) -> float:
    """Return the pause after so many tries: it doubles up to 15 minutes."""
    return min(first_seconds * 2.0 ** min(tries - 1, 20), MAX_PAUSE_SECONDS)


class Consumer:
    """The consumer of one queue. `client` makes the client: it is needed only where a message waits."""

    def __init__(self, queue_url: str, client: "Callable[[], SQSClient]") -> None:
        self._queue_url = queue_url
        self._client = client

    def consume(
        self, event: dict[str, Any], context: "LambdaContext", handle: Callable[[Message], None]
    ) -> dict[str, Any]:
        """Handle each message of a batch; return `{"batchItemFailures": […]}`.

        `handle` raises `Redeliver` for a message that waits. Any other error is raised when all messages have been
        handled: the whole batch is then redelivered, and what was done is found done.
        """
        # Not needed by the first event of a cold start, and a tenth of its imports.
        from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

        def handle_record(record: Any) -> None:
            message = Message.from_record(record.raw_event)
            try:
                handle(message)
            except Redeliver as redelivery:
                if redelivery.seconds is not None:
                    self._postpone(message, redelivery.seconds)
                raise

        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        response: Any = process_partial_response(
            event, record_handler=handle_record, processor=processor, context=context
        )
        for _, error, _ in processor.exceptions:
            failure = error.error if isinstance(error, Redeliver) else error
            if failure is not None:
                raise failure
        return dict(response)

    def _postpone(self, message: Message, seconds: float) -> None:
        self._client().change_message_visibility(
            QueueUrl=self._queue_url,
            ReceiptHandle=message.receipt_handle,
            VisibilityTimeout=min(max(1, math.ceil(seconds)), MAX_VISIBILITY_SECONDS),
        )
