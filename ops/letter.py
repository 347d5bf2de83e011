"""A dead letter: what it says of its trigger, its target and what went wrong, whoever put it into the queue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from ops.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

NOT_KNOWN = "-"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is shown; every text is one line. `attempt` is -1 where it says none."""

    id: str
    receipt: str
    sent_at: datetime
    target: str
    trigger: str
    error: str
    attempt: int = -1

    @classmethod
    def read(cls, message: "MessageTypeDef") -> Self:
        """Read a message of a dead-letter queue; any body gives a letter."""
        body = message.get("Body", "")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            document = {}
        attributes = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
        target, trigger, error = describe(document, attributes)
        attempt = document.get("attempt")
        return cls(
            id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            sent_at=datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC),
            target=_shown(target),
            trigger=_shown(trigger or body),
            error=_shown(error),
            attempt=attempt if isinstance(attempt, int) else -1,
        )


def describe(document: Mapping[str, Any], attributes: Mapping[str, str]) -> tuple[object, object, object]:
    """Return target, trigger and error of a letter; what it does not say is not a text.

    The function's own letters are described in docs/reference.md. EventBridge and Scheduler keep an event that they could
    not deliver as it is, and say why in the message's attributes:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
    """
    undelivered = ": ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
    match document:
        case {"jobIds": [*jobs], "target": target, "trigger": {"kind": kind, "id": identity}}:
            return target, f"{kind} {identity}", f"no longer followed: jobs {', '.join(map(str, jobs))}"
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
        case {"target": target, "schedule": schedule, "time": time}:
            return target, f"schedule {schedule}|{time}", undelivered
        case {"target": target, "requestId": identity}:
            return target, f"manual {identity}", undelivered
        case _:
            due = filter(None, map(attributes.get, ("SCHEDULE_ARN", "SCHEDULED_TIME", "RULE_ARN")))
            return document.get("target"), "|".join(due), undelivered


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
