"""The queues: a submission that waits, a trigger fanned out, and what goes to the dead-letter queue."""

import json
import math
from collections.abc import Callable, Iterable
from itertools import batched
from typing import TYPE_CHECKING, Any

from rds_snap_backup.triggers import Trigger
from rds_snap_backup.untrusted import is_deep

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_BATCH = 10
MAX_DELAY = 900
BATCH_TRIES = 3
# Of the 262,144 bytes that SQS accepts.
MAX_BODY = 250_000
MAX_DELIVERY_ID = 1024


class FanOutError(Exception):
    """Some targets' messages could not be sent; those that were will be submitted once, however often it is repeated."""


class Queues:
    """The Submissions queue and its dead-letter queue. `client` makes the client: most runs send no message."""

    def __init__(self, submissions_url: str, dead_letters_url: str, client: "Callable[[], SQSClient]") -> None:
        self._submissions_url = submissions_url
        self._dead_letters_url = dead_letters_url
        self._client = client

    def enqueue(self, trigger: Trigger, target: str, delay: float) -> None:
        """Put a submission that was delivered otherwise on the queue, to be resumed after `delay` seconds."""
        self._client().send_message(
            QueueUrl=self._submissions_url,
            MessageBody=_body(trigger, target, pauses=1),
            DelaySeconds=min(math.ceil(delay), MAX_DELAY),
        )

    def fan_out(self, trigger: Trigger, targets: Iterable[str]) -> None:
        """Put one message per target on the queue; raise `FanOutError` naming the targets that have none."""
        for names in batched(targets, MAX_BATCH, strict=False):
            left = dict(enumerate(names))
            for _ in range(BATCH_TRIES):
                entries: list[SendMessageBatchRequestEntryTypeDef] = [
                    {"Id": str(number), "MessageBody": _body(trigger, name)} for number, name in left.items()
                ]
                answer = self._client().send_message_batch(QueueUrl=self._submissions_url, Entries=entries)
                left = {int(one["Id"]): left[int(one["Id"])] for one in answer.get("Failed", [])}
                if not left:
                    break
            else:
                raise FanOutError(f"No message could be sent for the targets {', '.join(left.values())}.")

    def dead_letter(self, trigger: Trigger, target: str, attempt: int, error: dict[str, str]) -> None:
        """Keep a submission that has failed; redriven, it is opened again."""
        self._client().send_message(
            QueueUrl=self._dead_letters_url, MessageBody=_body(trigger, target, attempt=attempt, error=error)
        )

    def refuse(self, event: object, delivery_id: str, error: dict[str, str]) -> None:
        """Keep an event that was not understood; redriven, it is read again under the same identity.

        Of an event that no message can hold the beginning is kept, as a text.
        """
        match event:
            case {"event": inner, "deliveryId": str(first), "refused": dict()}:
                event, delivery_id = inner, first  # It was refused before.
        kept = {"deliveryId": delivery_id[:MAX_DELIVERY_ID], "refused": error}
        body = json.dumps({"event": "It is nested too deeply to be kept." if is_deep(event) else event, **kept})
        if len(body) > MAX_BODY:
            body = json.dumps({"event": json.dumps(event)[: MAX_BODY // 4], **kept})
        self._client().send_message(QueueUrl=self._dead_letters_url, MessageBody=body)


def _body(trigger: Trigger, target: str, **beside: Any) -> str:
    """The identity is in the trigger, so that it never changes on the way."""
    return json.dumps({"target": target, "trigger": trigger.to_json(), **beside})
