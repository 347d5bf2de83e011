"""How an event was delivered, and so how its submission is resumed: directly, or as a message on the queue."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.messaging.batches import Message, Redeliver, is_batch
from rds_snap_backup.observability import logger
from rds_snap_backup.triggers import Arrival, Trigger, unwrap
from rds_snap_backup.untrusted import whole_number

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Longer than a lease: when the message is received, a run that was killed has lost its submission.
SAFETY_NET_SECONDS = 90
# A direct delivery pauses once before it is on the queue.
MAX_PAUSES = 1000


class Delivery(Protocol):
    """One delivery of an event. `tries` says how often it was delivered, this time included."""

    arrival: Arrival
    tries: int
    is_queued: bool
    has_safety_net: bool
    seconds_left: Callable[[], float]

    def redeliver(self, trigger: Trigger, target: str, seconds: float) -> None:
        """Ensure that the submission is resumed after so many seconds; raises `Redeliver` for a message."""


class Handler(Protocol):
    """What handles an event, however it was delivered."""

    def __call__(self, services: Services, event: Any, delivery: Delivery) -> dict[str, Any]:
        """Return the answer to the event."""


class DirectDelivery:
    """An event that a service or a caller invoked the function with."""

    tries = 1
    is_queued = False

    def __init__(self, services: Services, context: "LambdaContext") -> None:
        self.arrival = Arrival(context.aws_request_id, services.clock())
        self.has_safety_net = False
        self.seconds_left = _seconds_left(context)
        self._queues = services.queues

    def redeliver(self, trigger: Trigger, target: str, seconds: float) -> None:
        """Put the submission on the queue, unless its safety net is there already."""
        if not self.has_safety_net:
            self._queues.enqueue(trigger, target, seconds)

    def send_safety_net(self, trigger: Trigger, target: str) -> None:
        """Put the submission on the queue beforehand: a synchronous invocation that is killed has no destination."""
        try:
            self._queues.enqueue(trigger, target, SAFETY_NET_SECONDS)
        except AWS_FAILURES:
            logger.warning("The safety net could not be sent", exc_info=True)
        else:
            self.has_safety_net = True


class QueuedDelivery:
    """A message of the Submissions queue."""

    is_queued = True
    has_safety_net = False

    def __init__(self, arrival: Arrival, tries: int, context: "LambdaContext") -> None:
        self.arrival = arrival
        self.tries = tries
        self.seconds_left = _seconds_left(context)

    def redeliver(self, _trigger: Trigger, _target: str, seconds: float) -> None:
        """Let the message wait on its queue."""
        raise Redeliver(seconds)


def receive(services: Services, event: Any, context: "LambdaContext", handler: Handler) -> dict[str, Any]:
    """Handle what a service or a caller invoked the function with, or a batch of the Submissions queue."""
    if is_batch(event):
        return handle_records(services, event, context, handler)
    return handler(services, event, DirectDelivery(services, context))


def handle_records(
    services: Services, event: dict[str, Any], context: "LambdaContext", handler: Handler
) -> dict[str, Any]:
    """Handle messages of the Submissions queue; return `{"batchItemFailures": […]}`. Raises what AWS failed at."""

    def handle_message(message: Message) -> None:
        inner, arrival = unwrap(message.body, message.id, services.clock())
        pauses = whole_number(inner.get("pauses"), 0, MAX_PAUSES) if isinstance(inner, dict) else None
        tries = message.receives + (pauses or 0)
        handler(services, inner, QueuedDelivery(arrival, tries, context))

    return services.submissions.consume(event, context, handle_message)


def _seconds_left(context: "LambdaContext") -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000
