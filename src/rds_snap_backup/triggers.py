"""What fired: every event that can arrive becomes a `Request`, a `Check` or an `Ignored`, or is refused.

Pure: no AWS call and no clock. Which targets an RDS event selects is `targets.py`'s business.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, Self

from rds_snap_backup.problems import Refused

type Kind = Literal["schedule", "rds", "manual"]

ALL = "*"
TARGET_TAG = "rds-snap-backup:target"
TARGET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LONGEST_IDENTITY = 1024

# A snap backup makes snapshots, and RDS reports them: these never start a backup, or it would feed itself.
# Backup started and finished, snapshot created, deleted, restored or copied, for instances and clusters.
SELF_TRIGGERS = frozenset(
    f"RDS-EVENT-{number}" for number in ("0001", "0002", "0040", "0042", "0074", "0075", "0090", "0091", "0168", "0169")
)

_FORMS = (
    'Send {"target": "NAME"} (or "*" for all), {"check": true}, an EventBridge schedule, '
    "or an RDS DB instance or cluster event."
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What happened. `id` is its identity: two deliveries with the same one are the same trigger."""

    kind: Kind
    id: str
    time: str | None = None
    rds_event_id: str | None = None
    source_arn: str | None = None
    message: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the `trigger` object of notifications and queue messages, without what is not known."""
        known = {
            "kind": self.kind,
            "id": self.id,
            "time": self.time,
            "rdsEventId": self.rds_event_id,
            "sourceArn": self.source_arn,
            "message": self.message,
        }
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read `to_json`'s object; raise `Refused` when it is not one."""
        match document:
            case {"kind": "schedule" | "rds" | "manual" as kind, "id": str(identity)}:
                return cls(
                    kind=kind,
                    id=identity,
                    time=document.get("time"),
                    rds_event_id=document.get("rdsEventId"),
                    source_arn=document.get("sourceArn"),
                    message=document.get("message"),
                )
            case _:
                raise Refused("TRIGGER_INVALID", "The message's trigger has no kind or no id.", _FORMS)

    @property
    def database(self) -> str:
        """The name of the RDS event's database: from its ARN, since samples differ in `SourceIdentifier`."""
        return (self.source_arn or "").rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Request:
    """A trigger and the targets it names; `("*",)` is all of them, `()` those whose databases match.

    `attempt` is set on a dead letter that was sent back: the attempt that it told the end of.
    """

    trigger: Trigger
    names: tuple[str, ...]
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The preflight is asked for; nothing is submitted."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is understood and must not start a backup."""

    reason: str


def parse(event: Any, delivery_id: str) -> Request | Check | Ignored:
    """Read an event as it arrived. `delivery_id` is the identity of a trigger that brings none. Raises `Refused`."""
    match event:
        case {"check": True}:
            return Check()
        case {"target": str(name), "trigger": dict(trigger), **rest}:
            return Request(Trigger.from_json(trigger), (_name(name),), _attempt(rest.get("attempt")))
        case {"refused": dict(), "event": inner, "deliveryId": str(first_delivery)}:
            return parse(inner, first_delivery)
        case {"source": "aws.rds", "detail-type": str(kind), "detail": dict(detail)}:
            return _rds(kind, detail)
        case {"source": "aws.scheduler" | "aws.events", "detail-type": "Scheduled Event", **rest}:
            arn = next(iter(event.get("resources") or ()), None)
            return _schedule(_named_in(rest.get("detail")), arn, rest.get("time"), delivery_id)
        case {"schedule": arn, **rest}:
            return _schedule(rest.get("target", "default"), arn, rest.get("time"), delivery_id)
        case {"target": name, **rest}:
            identity = rest.get("requestId")
            if identity is not None and not (isinstance(identity, str) and 0 < len(identity) <= LONGEST_IDENTITY):
                raise Refused(
                    "REQUEST_ID_INVALID",
                    f"requestId must be a text of 1 to {LONGEST_IDENTITY} characters.",
                    "Give the same requestId to calls that mean the same backup, or leave it out.",
                )
            return Request(Trigger("manual", identity or delivery_id), (_name(name),))
        case {"source": str(source)}:
            raise Refused(
                "EVENT_UNKNOWN", f"Events of {source!r} ({event.get('detail-type')!r}) are not known.", _FORMS
            )
        case _:
            raise Refused("EVENT_UNKNOWN", "The event is empty or of no known kind.", _FORMS)


def unwrap(message: dict[str, Any]) -> tuple[object, str]:
    """Return the event in an SQS record and its delivery's own id; a body that is not JSON is returned as it is.

    Lambda's on-failure destination wraps the event. Its request id comes before the message's own: it is the id
    that the first, failed run went by, and another one would be another trigger.
    """
    try:
        body = json.loads(message["body"])
    except ValueError:
        return message["body"], message["messageId"]
    match body:
        case {"requestPayload": payload, "requestContext": {"requestId": str(request_id)}}:
            return payload, request_id
        case {"requestPayload": payload}:
            return payload, message["messageId"]
        case _:
            return body, message["messageId"]


def _rds(kind: str, detail: dict[str, Any]) -> Request | Ignored:
    event_id, source_arn, date = detail.get("EventID"), detail.get("SourceArn"), detail.get("Date")
    source_type = str(detail.get("SourceType"))
    if "SNAPSHOT" in source_type or "Snapshot" in kind:
        return Ignored(f"Snapshot events never start a backup: a backup makes snapshots ({source_type}, {event_id}).")
    if event_id in SELF_TRIGGERS:
        return Ignored(f"{event_id} never starts a backup: a backup causes it.")
    if kind not in {"RDS DB Instance Event", "RDS DB Cluster Event"}:
        raise Refused("EVENT_UNKNOWN", f"RDS events of type {kind!r} are not known.", _FORMS)
    match event_id, source_arn, date:
        case str(), str(), str():
            trigger = Trigger(
                kind="rds",
                id=f"{source_arn}|{event_id}|{date}",
                time=date,
                rds_event_id=event_id,
                source_arn=source_arn,
                message=detail.get("Message"),
            )
        case _:
            raise Refused(
                "EVENT_INCOMPLETE",
                "The RDS event lacks EventID, SourceArn or Date, so it can not be told from others.",
                "Start the backup by hand if it is wanted, and send events as RDS made them.",
            )
    tags = detail.get("Tags")
    named = str(tags.get(TARGET_TAG) or "") if isinstance(tags, dict) else ""
    return Request(trigger, tuple(dict.fromkeys(_name(name) for name in named.split())))


def _schedule(target: object, arn: object, time: object, delivery_id: str) -> Request:
    """A schedule's identity is its ARN and the time it was due; a placeholder that nobody filled in is none."""
    identity = delivery_id
    due = time if isinstance(time, str) and not time.startswith("<") else None
    if due and isinstance(arn, str) and arn and not arn.startswith("<"):
        identity = f"{arn}|{due}"
    return Request(Trigger("schedule", identity, due), (_name(target),))


def _named_in(detail: object) -> object:
    """The target named in a schedule's `detail`, which Scheduler's default payload sends as a JSON text."""
    if isinstance(detail, str):
        try:
            detail = json.loads(detail)
        except ValueError:
            detail = {}
    return detail.get("target", "default") if isinstance(detail, dict) else "default"


def _name(name: object) -> str:
    if isinstance(name, str) and (name == ALL or TARGET_NAME.fullmatch(name)):
        return name
    raise Refused(
        "TARGET_NAME_INVALID",
        f"{name!r} is no target name.",
        'Names have 1 to 64 letters, digits, "_", "." or "-"; "*" is all targets.',
    )


def _attempt(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
