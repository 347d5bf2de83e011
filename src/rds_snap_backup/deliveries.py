"""How an event came, and so how it is told to come back: directly, or as a message on the Submissions queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.triggers import Request, unwrap
from rds_snap_backup.wiring import Parts

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Powertools wraps what the SDK raises.
AWS_FAILURES = (ClientError, BotoCoreError, GetParameterError)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event. `id` stands in for the identity of a trigger that brings none.

    `come_back(request, target, seconds)` sees to it that the submission is taken up again; for a message that is on
    the queue already it raises `Postponed`.
    """

    id: str
    tries: int
    is_queued: bool
    seconds_left: Callable[[], float]
    come_back: Callable[[Request, str, int], None]


class Postponed(Exception):
    """The message stays on its queue and comes back by itself."""


class Handler(Protocol):
    """What handles an event, however it came."""

    def __call__(self, parts: Parts, event: Any, delivery: Delivery) -> dict[str, Any]:
        """Return the answer to the event."""


def direct(parts: Parts, context: "LambdaContext") -> Delivery:
    """Return the delivery of an event that a service or a caller invoked the function with."""

    def enqueue(request: Request, target: str, seconds: int) -> None:
        parts.queues.enqueue(request.trigger, target, seconds, request.attempt)

    return Delivery(
        id=context.aws_request_id,
        tries=1,
        is_queued=False,
        seconds_left=_seconds_left(context),
        come_back=enqueue,
    )


def handle_records(parts: Parts, event: dict[str, Any], context: "LambdaContext", handler: Handler) -> dict[str, Any]:
    """Handle messages of the Submissions queue; return `{"batchItemFailures": […]}`. What AWS failed at is raised."""
    # Not needed by the first event of a cold start, and a tenth of its imports.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def handle_record(record: Any) -> None:
        message = record.raw_event

        def postpone(_request: Request, _target: str, seconds: int) -> None:
            parts.queues.postpone(message["receiptHandle"], seconds)
            raise Postponed

        inner, delivery_id = unwrap(message)
        pauses = inner.get("pauses", 0) if isinstance(inner, dict) else 0
        receives = int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
        delivery = Delivery(
            id=delivery_id,
            tries=receives + pauses,
            is_queued=True,
            seconds_left=_seconds_left(context),
            come_back=postpone,
        )
        handler(parts, inner, delivery)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer: Any = process_partial_response(event, record_handler=handle_record, processor=processor, context=context)
    for kind, error, _ in processor.exceptions:
        if kind is not Postponed and error is not None:
            raise error
    return dict(answer)


def _seconds_left(context: "LambdaContext") -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000
