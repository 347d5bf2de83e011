"""How an event was delivered, and so how it is redelivered: directly, or as a message on the Submissions queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.messaging.batches import Message, Redeliver
from rds_snap_backup.triggers import Request, unwrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event. `id` stands in for the identity of a trigger that brings none.

    `redeliver(request, target, seconds)` ensures that the submission is resumed; for a message that is on the queue
    already it raises `Redeliver`.
    """

    id: str
    tries: int
    is_queued: bool
    seconds_left: Callable[[], float]
    redeliver: Callable[[Request, str, int], None]


class Handler(Protocol):
    """What handles an event, however it was delivered."""

    def __call__(self, services: Services, event: Any, delivery: Delivery) -> dict[str, Any]:
        """Return the answer to the event."""


def receive(services: Services, event: Any, context: "LambdaContext", handler: Handler) -> dict[str, Any]:
    """Handle what a service or a caller invoked the function with, or a batch of the Submissions queue."""
    if isinstance(event, dict) and event.get("Records"):
        return handle_records(services, event, context, handler)
    return handler(services, event, direct(services, context))


def direct(services: Services, context: "LambdaContext") -> Delivery:
    """Return the delivery of an event that a service or a caller invoked the function with."""

    def enqueue(request: Request, target: str, seconds: int) -> None:
        services.queues.enqueue(request.trigger, target, seconds, request.attempt)

    return Delivery(
        id=context.aws_request_id,
        tries=1,
        is_queued=False,
        seconds_left=_seconds_left(context),
        redeliver=enqueue,
    )


def handle_records(
    services: Services, event: dict[str, Any], context: "LambdaContext", handler: Handler
) -> dict[str, Any]:
    """Handle messages of the Submissions queue; return `{"batchItemFailures": […]}`. Raises what AWS failed at."""

    def handle_message(message: Message) -> None:
        def postpone(_request: Request, _target: str, seconds: int) -> None:
            raise Redeliver(seconds)

        inner, delivery_id = unwrap(message.body, message.id)
        pauses = inner.get("pauses", 0) if isinstance(inner, dict) else 0
        delivery = Delivery(
            id=delivery_id,
            tries=message.receives + pauses,
            is_queued=True,
            seconds_left=_seconds_left(context),
            redeliver=postpone,
        )
        handler(services, inner, delivery)

    return services.submissions.consume(event, context, handle_message)


def _seconds_left(context: "LambdaContext") -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000
