"""Any body of a message of the Submissions queue is unwrapped and handled, or redelivered."""

from types import SimpleNamespace
from typing import Any

from rds_snap_backup.messaging.batches import Consumer, backoff
from rds_snap_backup.submit.deliveries import Delivery, handle_records
from tests.fuzz import limits
from tests.fuzz.targets.events import event_text
from tests.fuzz.triggers import NOW, handle
from tests.fuzz.wire import Aws
from tests.support import Context

AWS: Any = Aws()
SERVICES: Any = SimpleNamespace(clock=lambda: NOW, submissions=Consumer("submissions", lambda: AWS))
CONTEXT: Any = Context()


def fuzz(data: bytes) -> None:
    """Handle a batch of one message."""
    body = event_text(data)
    if len(body.encode("utf-8", "surrogatepass")) > limits.MAX_MESSAGE:
        return

    def handler(services: Any, event: Any, delivery: Delivery) -> dict[str, Any]:
        limits.require(1 <= delivery.tries < 10**6, "the number of tries is not usable")
        limits.require(1 <= backoff(1, delivery.tries) <= 900, "a pause is not usable")
        handle(event, delivery.arrival)
        return {}

    record = {
        "messageId": "0c1f3f3e-7a51-4a57-9d8c-2f4b7a0e1d22",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
    }
    handle_records(SERVICES, {"Records": [record]}, CONTEXT, handler)
