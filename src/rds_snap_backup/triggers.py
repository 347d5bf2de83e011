"""What fired: every event that can arrive becomes a `Request`, a `Check` or an `Ignored`, or is refused.

Pure: no AWS call and no clock. Which targets an RDS event selects is decided in `targets.py`.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self, TypeIs

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.untrusted import NotJson, clean_text, is_deep, is_printable, read_json, whole_number

type Kind = Literal["schedule", "rds", "manual"]

ALL = "*"
TARGET_TAG = "rds-snap-backup:target"
MAX_TARGET_NAME = 64
TARGET_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_TARGET_NAME}}}")
# In bytes: the ledger's key holds the target's name too, and DynamoDB's keys end at 2048.
MAX_IDENTITY = 1024
# A schedule fires when it is due; its clock and ours differ by less.
MAX_AHEAD_SECONDS = 300
MAX_QUOTED = 100
# What AWS allows a tag's value to be.
MAX_TAG = 256
# A message is received 1,000 times at most, and redriven by hand.
MAX_ATTEMPT = 1_000_000
SNAPSHOT_ARN = re.compile(r":(cluster-)?snapshot:", re.IGNORECASE)

# A snap backup makes snapshots, and RDS reports them: these never start a backup, or it would feed itself.
# Backup started and finished, snapshots being created and created, of instances and clusters.
SELF_TRIGGERS = frozenset(
    f"RDS-EVENT-{number}" for number in ("0001", "0002", "0040", "0042", "0074", "0075", "0090", "0091", "0168", "0169")
)

_FORMS = (
    'Send {"target": "NAME"} (or "*" for all), {"check": true}, an EventBridge schedule, '
    "or an RDS DB instance or cluster event."
)


@dataclass(frozen=True)
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
    def from_json(cls, document: Any) -> Self:
        """Read `to_json`'s object; raise `InvalidInput` when it is not one."""
        match document:
            case {"kind": "schedule" | "rds" | "manual" as kind, "id": identity} if _is_identity(identity):
                return cls(
                    kind=kind,
                    id=identity,
                    time=_bounded(document.get("time")),
                    rds_event_id=_bounded(document.get("rdsEventId")),
                    source_arn=_bounded(document.get("sourceArn")),
                    message=_message(document.get("message")),
                )
            case _:
                raise InvalidInput("TRIGGER_INVALID", "The message's trigger has no kind or no id.", _FORMS)

    @property
    def database(self) -> str:
        """The name of the RDS event's database: from its ARN, since samples differ in `SourceIdentifier`."""
        return (self.source_arn or "").rpartition(":")[2]


@dataclass(frozen=True)
class Request:
    """A trigger and the targets it is for.

    `names` are those that it names, `("*",)` all of them; `()` is an RDS event's, which selects its targets by the names
    in its database's tag (`tagged`) or by their patterns, and comes from an `account`. `attempt` is set on a dead letter
    that was redriven: the attempt whose end it reports.
    """

    trigger: Trigger
    names: tuple[str, ...] = ()
    tagged: tuple[str, ...] = ()
    attempt: int | None = None
    account: str | None = None


@dataclass(frozen=True)
class Check:
    """A request for the preflight of all targets, or of one; nothing is submitted."""

    target: str | None = None


@dataclass(frozen=True)
class Ignored:
    """An event that is understood and must not start a backup."""

    reason: str


@dataclass(frozen=True)
class Arrival:
    """How an event arrived: at what time, and under which ID, the identity of a trigger that brings none.

    `is_message` is true of the body of a message of our own queue, the only place where a trigger may come ready-made.
    """

    id: str
    now: float
    is_message: bool = False


def parse(event: Any, arrival: Arrival) -> Request | Check | Ignored:
    """Read an event as it arrived. Raises `InvalidInput`."""
    if is_deep(event):
        raise InvalidInput("EVENT_UNKNOWN", "The event is nested more deeply than any that is known.", _FORMS)
    match event:
        case {"check": True, **rest}:
            name = rest.get("target", ALL)
            return Check(None if name == ALL else _name(name))
        case {"audit": True}:
            # With a schedule's fields, it would be one for the target `default`.
            raise InvalidInput("EVENT_UNKNOWN", "The Submit function makes no audit: the Audit function does.", _FORMS)
        case {"target": name, "trigger": trigger, **rest} if arrival.is_message:
            return Request(Trigger.from_json(trigger), (_name(name),), attempt=_attempt(rest.get("attempt")))
        case {"refused": dict(), "event": {"refused": dict(), "event": _, "deliveryId": str()} as letter} if (
            arrival.is_message
        ):
            return parse(letter, arrival)
        case {"refused": dict(), "event": inner, "deliveryId": str(first_delivery)} if arrival.is_message:
            # Whoever sent what was refused may do no more now than before.
            return parse(inner, replace(arrival, id=first_delivery, is_message=False))
        case {"source": "aws.rds", "detail-type": str(kind), "detail": dict(detail), **rest}:
            return _rds(kind, detail, rest.get("account"))
        case {"source": "aws.scheduler" | "aws.events", "detail-type": "Scheduled Event", **rest}:
            resources = rest.get("resources")
            arn = resources[0] if isinstance(resources, list) and resources else None
            return _schedule(_named_in(rest.get("detail")), arn, rest.get("time"), arrival)
        case {"schedule": arn, **rest}:
            return _schedule(rest.get("target", "default"), arn, rest.get("time"), arrival)
        case {"trigger": dict()}:
            raise InvalidInput("TRIGGER_NOT_ALLOWED", "Only a message of the Submissions queue has a trigger.", _FORMS)
        case {"target": name, **rest}:
            identity = rest.get("requestId")
            if identity is None or _is_placeholder(identity):
                identity = arrival.id
            if not _is_identity(identity):
                raise InvalidInput(
                    "REQUEST_ID_INVALID",
                    f"requestId must be a text of 1 to {MAX_IDENTITY} bytes without control characters.",
                    "Give the same requestId to calls that mean the same backup, or leave it out.",
                )
            return Request(Trigger("manual", identity), (_name(name),))
        case {"source": str(source)}:
            message = f"Events of {_quoted(source)} ({_quoted(event.get('detail-type'))}) are not known."
            raise InvalidInput("EVENT_UNKNOWN", message, _FORMS)
        case _:
            raise InvalidInput("EVENT_UNKNOWN", "The event is empty or of no known kind.", _FORMS)


def unwrap(text: str, message_id: str, now: float) -> tuple[object, Arrival]:
    """Return the event in a message of the queue and how it arrived; a body that is not JSON stays as it is.

    Lambda's on-failure destination wraps the event. Its request ID comes before the message's own: the first, failed run
    had that ID, and another one would be another trigger.
    """
    try:
        body = read_json(text)
    except NotJson:
        return text, Arrival(message_id, now, is_message=True)
    match body:
        case {"requestPayload": payload, "requestContext": {"requestId": str(request_id)}} if request_id:
            return payload, Arrival(request_id, now)
        case {"requestPayload": payload}:
            return payload, Arrival(message_id, now)
        case _:
            return body, Arrival(message_id, now, is_message=True)


def _rds(kind: str, detail: dict[str, Any], account: object) -> Request | Ignored:
    event_id, source_arn, date = (_text(detail.get(name)) for name in ("EventID", "SourceArn", "Date"))
    source_type = _text(detail.get("SourceType")) or ""
    if "snapshot" in f"{source_type} {kind}".lower() or SNAPSHOT_ARN.search(source_arn or ""):
        return Ignored(
            "Snapshot events never start a backup: a backup makes snapshots "
            f"({_quoted(source_type)}, {_quoted(event_id)})."
        )
    if event_id in SELF_TRIGGERS:
        return Ignored(f"{event_id} never starts a backup: a backup causes it.")
    if kind not in {"RDS DB Instance Event", "RDS DB Cluster Event"}:
        raise InvalidInput("EVENT_UNKNOWN", f"RDS events of type {_quoted(kind)} are not known.", _FORMS)
    identity = f"{source_arn}|{event_id}|{date}"
    if not (event_id and source_arn and date and _is_identity(identity)):
        raise InvalidInput(
            "EVENT_INCOMPLETE",
            "The RDS event lacks EventID, SourceArn or Date, so it cannot be distinguished from others.",
            "Start the backup by hand if it is wanted, and send events as RDS made them.",
        )
    trigger = Trigger("rds", identity, date, event_id, source_arn, _message(detail.get("Message")))
    tags = detail.get("Tags")
    tagged = tagged_names(tags.get(TARGET_TAG) if isinstance(tags, dict) else None)
    if not isinstance(account, str):  # Some samples lack it, and their database's ARN has it.
        account = source_arn.split(":")[4] if source_arn.count(":") > 4 else ""
    return Request(trigger, tagged=tagged, account=clean_text(account, MAX_QUOTED))


def tagged_names(tag: object) -> tuple[str, ...]:
    """Return the names in the value of a database's tag `rds-snap-backup:target`, where it has one."""
    # What is longer than a target's name can be is shortened, and stays what is none.
    names = [
        name if len(name) <= MAX_TARGET_NAME else f"{name[: MAX_TARGET_NAME - 1]}…"
        for name in (clean_text(tag[:MAX_TAG]).split() if isinstance(tag, str) else ())
    ]
    return tuple(dict.fromkeys(names))


def _schedule(target: object, arn: object, time: object, arrival: Arrival) -> Request:
    """A schedule's identity is its ARN and the time it was due; a placeholder that was not filled in is none."""
    due = _text(time) if not _is_placeholder(time) else None
    identity = f"{arn}|{due}" if due and _text(arn) and not _is_placeholder(arn) else arrival.id
    if not _is_identity(identity) or not (due is None or _is_identity(due)):
        raise InvalidInput(
            "EVENT_UNKNOWN", "The schedule's ARN or time is too long, or has control characters.", _FORMS
        )
    if identity == arrival.id and "|" in identity:
        # A letter that was made up to take another run's identity: AWS's own IDs have no such character.
        raise InvalidInput("EVENT_UNKNOWN", "The schedule has no ARN or no time, and its delivery no ID.", _FORMS)
    if due and _seconds(due) > arrival.now + MAX_AHEAD_SECONDS:
        # The identity of a run to come: accepted now, it would suppress that run.
        raise InvalidInput("SCHEDULE_IN_FUTURE", f"The schedule's time {clean_text(due)} lies ahead.", _FORMS)
    return Request(Trigger("schedule", identity, due), (_name(target),))


def _seconds(time: str) -> float:
    """Return an ISO 8601 time as Unix seconds; a text that is not one counts as the past."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _named_in(detail: object) -> object:
    """The target named in a schedule's `detail`, which Scheduler's default payload sends as a JSON text."""
    if isinstance(detail, str):
        try:
            detail = read_json(detail)
        except NotJson:
            detail = {}
    return detail.get("target", "default") if isinstance(detail, dict) else "default"


def _name(name: object) -> str:
    if isinstance(name, str) and (name == ALL or TARGET_NAME.fullmatch(name)):
        return name
    raise invalid_name(name)


def invalid_name(name: object) -> InvalidInput:
    """Return the error of what cannot be a target's name."""
    return InvalidInput(
        "TARGET_NAME_INVALID",
        f"{_quoted(name)} is not a target name.",
        'Names have 1 to 64 letters, digits, "_", "." or "-"; "*" is all targets.',
    )


def _quoted(value: object) -> str:
    """Return what a message says of a value that is not known: the beginning of a text, or what else it is."""
    return repr(clean_text(value, MAX_QUOTED)) if isinstance(value, str) else f"a value of type {type(value).__name__}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _bounded(value: object) -> str | None:
    return value if _is_identity(value) else None


def _message(value: object) -> str | None:
    return clean_text(value) or None if isinstance(value, str) else None


def _is_identity(value: object) -> TypeIs[str]:
    """Tell whether this is a text that fits into the ledger's key, and can stand in a message as it is."""
    return isinstance(value, str) and is_printable(value) and 0 < len(value.encode()) <= MAX_IDENTITY


def _is_placeholder(value: object) -> bool:
    """Tell whether this is one of Scheduler's placeholders, `<aws.scheduler.…>`, that was not filled in."""
    return isinstance(value, str) and value.startswith("<aws.scheduler")


def _attempt(value: object) -> int | None:
    return whole_number(value, 0, MAX_ATTEMPT) if isinstance(value, int) else None
