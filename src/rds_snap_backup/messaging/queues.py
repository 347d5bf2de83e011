"""The queues: the message of each submission, and the dead letters."""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any

from rds_snap_backup.observability import logger
from rds_snap_backup.triggers import Trigger
from rds_snap_backup.untrusted import is_deep

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

MAX_BATCH = 10
MAX_DELAY = 900
BATCH_TRIES = 3
BATCH_PAUSE_SECONDS = 0.2
# Of the 262,144 bytes that SQS accepts.
MAX_BODY = 250_000
MAX_DELIVERY_ID = 1024
# SQS allows 12 hours from the receive, which was a moment ago.
MAX_VISIBILITY_SECONDS = 43_000


class FanOutError(Exception):
    """Some targets' messages could not be sent. Repeating it is harmless: a copy of a message starts nothing."""


class Queues:
    """The Submissions queue and its dead-letter queue. `client` makes the client when it is first needed."""

    def __init__(self, submissions_url: str, dead_letters_url: str, client: "Callable[[], SQSClient]") -> None:
        self._submissions_url = submissions_url
        self._dead_letters_url = dead_letters_url
        self._client = client

    def send(self, trigger: Trigger, target: str, delay: float = 0) -> None:
        """Send a submission's message; it arrives after `delay` seconds."""
        self._client().send_message(
            QueueUrl=self._submissions_url,
            MessageBody=_body(trigger, target),
            DelaySeconds=min(math.ceil(delay), MAX_DELAY),
        )

    def send_all(self, trigger: Trigger, targets: Iterable[str]) -> None:
        """Send one message per target; raise `FanOutError` naming the targets that have none."""
        for names in batched(targets, MAX_BATCH, strict=False):
            left = dict(enumerate(names))
            for number in range(BATCH_TRIES):
                time.sleep(number * BATCH_PAUSE_SECONDS)
                entries: list[SendMessageBatchRequestEntryTypeDef] = [
                    {"Id": str(place), "MessageBody": _body(trigger, name)} for place, name in left.items()
                ]
                answer = self._client().send_message_batch(QueueUrl=self._submissions_url, Entries=entries)
                left = {int(failed["Id"]): left[int(failed["Id"])] for failed in answer.get("Failed", [])}
                if not left:
                    break
            else:
                raise FanOutError(f"No message could be sent for the targets {', '.join(left.values())}.")

    def send_event(self, event: object, request_id: str) -> None:
        """Put an event on the Submissions queue as Lambda's on-failure destination does.

        In the envelope it can do no more than where it came from: only a bare body is read as a submission's message.
        """
        envelope = {"requestContext": {"requestId": request_id}, "requestPayload": event}
        self._client().send_message(QueueUrl=self._submissions_url, MessageBody=json.dumps(envelope))

    def postpone(self, pauses: Mapping[str, float]) -> None:
        """Hide received messages for some seconds each, by their receipt handles; 0 makes one visible at once.

        A message that cannot be hidden is logged: its receipt handle is stale, and it comes again by itself.
        """
        for handles in batched(pauses, MAX_BATCH, strict=False):
            entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(place), "ReceiptHandle": handle, "VisibilityTimeout": _visibility(pauses[handle])}
                for place, handle in enumerate(handles)
            ]
            answer = self._client().change_message_visibility_batch(QueueUrl=self._submissions_url, Entries=entries)
            for failed in answer.get("Failed", []):
                logger.warning("A message could not be postponed", code=failed["Code"])

    def dead_letter(self, trigger: Trigger, target: str, letter: int, error: Mapping[str, str]) -> None:
        """Keep a dead letter of this number; redriven, it opens its submission again."""
        self._client().send_message(
            QueueUrl=self._dead_letters_url, MessageBody=_body(trigger, target, letter=letter, error=error)
        )

    def refuse(self, event: object, delivery_id: str, error: Mapping[str, str]) -> None:
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


def _visibility(seconds: float) -> int:
    return min(max(0, math.ceil(seconds)), MAX_VISIBILITY_SECONDS)


def _body(trigger: Trigger, target: str, **members: Any) -> str:
    """The trigger has the identity, so that it never changes on the way."""
    return json.dumps({"target": target, "trigger": trigger.to_message(), **members})
