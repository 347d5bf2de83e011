"""A dead letter: its trigger, its target and its error, whoever put it into the queue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from ops.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

NOT_KNOWN = "-"
# As in the functions: deeper than anything that AWS sends, and far from where Python's own recursion ends.
MAX_DEPTH = 50
# What EventBridge Scheduler has not filled in: https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
PLACEHOLDER = "<aws.scheduler"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is shown; every text is one line."""

    id: str
    receipt: str
    sent_at: datetime
    target: str
    trigger: str
    error: str

    @classmethod
    def read(cls, message: "MessageTypeDef") -> Self:
        """Read a message of a dead-letter queue; any body gives a letter."""
        body = message.get("Body", "")
        attributes = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
        target, trigger, error = describe(read_object(body), attributes)
        return cls(
            id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            sent_at=datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC),
            target=_shown(target),
            trigger=_shown(trigger or body),
            error=_shown(error),
        )


def read_object(body: str) -> dict[str, Any]:
    """Return the JSON object in a text; `{}` where it is none, or is nested too deeply."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and not is_deep(document) else {}


def is_deep(document: object) -> bool:
    """Tell whether objects and lists are nested so deeply that no function should descend into them."""
    level = [document]
    for _ in range(MAX_DEPTH):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [value for values in inner for value in values]
    return bool(level)


def describe(document: Mapping[str, Any], attributes: Mapping[str, str]) -> tuple[object, object, object]:
    """Return target, trigger and error of a letter; what it does not say is not a text.

    The function's own letters are described in docs/reference.md. EventBridge and Scheduler keep an event that they could
    not deliver as it is. The message's attributes say why, and have the identity of a schedule's run:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
    """
    undelivered = ": ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
    match document:
        case {"target": target, "trigger": {"kind": kind, "id": identity}}:
            return target, f"{kind} {identity}", _error(document.get("error"))
        case {"event": event, "refused": refused}:
            return *_within(event), _error(refused)
        case {"requestPayload": event}:  # Lambda's on-failure destination
            match document.get("responsePayload"):
                case {"errorMessage": reason}:
                    return *_within(event), f"the run failed: {reason}"
                case _:
                    return *_within(event), "the run failed"
        case {"source": source, "detail": {"EventID": event_id, "SourceArn": arn}}:
            return None, f"{source} {event_id} {arn}", undelivered
        case {"target": target, "schedule": str(schedule), "time": str(time)} if not f"{schedule} {time}".count(
            PLACEHOLDER
        ):
            return target, f"schedule {schedule}|{time}", undelivered
        case {"target": target, "requestId": identity}:
            return target, f"manual {identity}", undelivered
    schedule_arn, scheduled_time = attributes.get("SCHEDULE_ARN"), attributes.get("SCHEDULED_TIME")
    is_run = schedule_arn and scheduled_time
    due = f"schedule {schedule_arn}|{scheduled_time}" if is_run else attributes.get("RULE_ARN")
    return document.get("target"), due, undelivered


def _within(event: object) -> tuple[object, object]:
    """Return target and trigger of an event that another message holds."""
    target, trigger, _ = describe(event, {}) if isinstance(event, dict) else (None, None, None)
    return target, trigger or json.dumps(event)


def _error(error: object) -> str | None:
    match error:
        case {"code": code, "message": message}:
            return f"{code}: {message}"
        case _:
            return None


def _shown(text: object) -> str:
    return (one_line(text) if isinstance(text, str) else "") or NOT_KNOWN
