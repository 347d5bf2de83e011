"""Triggers: reads every event that can arrive, and refuses all others. Pure: no AWS call and no clock.

`selection.py` decides which targets and associations an RDS event selects.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeIs

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.untrusted import NotJson, clean_text, is_deep, is_name, is_printable, read_json, whole_number

type Kind = Literal["schedule", "rds", "manual"]

ALL = "*"
TARGET_TAG = "rds-snap-backup:target"
MAX_TARGET_NAME = 64
TARGET_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_TARGET_NAME}}}")
# Callers put it into shell commands and JSON: nothing that either of them interprets.
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
# In bytes: the ledger's key holds the target's name too, and DynamoDB's keys end at 2048.
MAX_IDENTITY = 1024
# A schedule fires when it is due; the scheduler's clock and ours differ by less.
MAX_AHEAD_SECONDS = 300
MAX_QUOTED = 100
# AWS's limit for the value of a tag.
MAX_TAG = 256
# Each name is a document to read. The owner of a database writes its tag, also in a member account.
MAX_TAGGED = 8
# A submission has far fewer letters: each is redriven by hand.
MAX_LETTER = 1_000_000
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/blue-green-deployments-overview.html
GREEN_INFIX = "-green-"
GREEN = re.compile(rf"{GREEN_INFIX}[a-z0-9]{{6}}$")
SNAPSHOT_ARN = re.compile(r":(cluster-)?snapshot:", re.IGNORECASE)

# A snap backup makes snapshots, and RDS reports them: these never start a backup, or it would feed itself.
# Backup started and finished, snapshots being created and created, of instances and clusters.
SELF_TRIGGERS = frozenset(
    f"RDS-EVENT-{number}" for number in ("0001", "0002", "0040", "0042", "0074", "0075", "0090", "0091", "0168", "0169")
)

_FORMS = 'Send {"target": "NAME"} (or "*" for all), an EventBridge schedule, or an RDS DB instance or cluster event.'


@dataclass(frozen=True)
class Trigger:
    """What happened. `id` is its identity: two deliveries with the same kind and identity are the same trigger.

    An RDS event has the names in its database's tag (`tagged`) and its `account`: they decide what it selects.
    """

    kind: Kind
    id: str
    time: str | None = None
    rds_event_id: str | None = None
    source_arn: str | None = None
    message: str | None = None
    tagged: tuple[str, ...] = ()
    account: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the `trigger` object of notifications; unknown fields are left out."""
        known = {
            "kind": self.kind,
            "id": self.id,
            "time": self.time,
            "rdsEventId": self.rds_event_id,
            "sourceArn": self.source_arn,
            "message": self.message,
        }
        return {name: value for name, value in known.items() if value is not None}

    def to_message(self) -> dict[str, Any]:
        """Return the `trigger` object of a submission's message and record, from which `from_json` makes the same trigger."""
        selecting: dict[str, Any] = {"tagged": list(self.tagged), "account": self.account}
        return self.to_json() | {name: value for name, value in selecting.items() if value}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read the object of `to_json` or `to_message`. Raises `InvalidInput`."""
        match document:
            case {"kind": "schedule" | "rds" | "manual" as kind, "id": identity} if _is_identity(identity):
                tagged = document.get("tagged")
                return cls(
                    kind=kind,
                    id=identity,
                    time=_bounded(document.get("time")),
                    rds_event_id=_bounded(document.get("rdsEventId")),
                    source_arn=_bounded(document.get("sourceArn")),
                    message=_message(document.get("message")),
                    tagged=tagged_names(" ".join(filter(_text, tagged))) if isinstance(tagged, list) else (),
                    account=_bounded(document.get("account")),
                )
            case _:
                raise InvalidInput("TRIGGER_INVALID", "The message's trigger has no kind or no id.", _FORMS)

    def moment(self, default: float) -> float:
        """Return when it happened in Unix seconds: the schedule's time or the event's `Date`, never after `default`.

        `default` is the time of its arrival, and the moment of a trigger that has no time.
        """
        happened = _seconds(self.time) if self.time else None
        return default if happened is None else min(happened, default)

    @property
    def database(self) -> str:
        """The name of the RDS event's database: from its ARN, since samples differ in `SourceIdentifier`."""
        return (self.source_arn or "").rpartition(":")[2]

    @property
    def is_green(self) -> bool:
        """Whether the database is the green one of a Blue/Green deployment, before the switchover."""
        return GREEN.search(self.database.lower()) is not None

    @property
    def region(self) -> str:
        """The region of the RDS event's database."""
        return _arn_part(self.source_arn, 3)


@dataclass(frozen=True)
class Request:
    """A trigger that arrived. `names` are the targets it names, `("*",)` all; an RDS event names none, it selects."""

    trigger: Trigger
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SubmissionMessage:
    """A submission's own message. `letter` is its number if it was a dead letter."""

    trigger: Trigger
    target: str
    letter: int | None = None


@dataclass(frozen=True)
class Ignored:
    """An event that is understood and must not start a backup."""

    reason: str


@dataclass(frozen=True)
class Arrival:
    """How an event arrived. `id` is the identity of a trigger that brings none, `now` the time in Unix seconds.

    `is_message`: it is the body of a message that may be our own. `due`: the time in a dead letter of the Scheduler.
    """

    id: str
    now: float
    is_message: bool = False
    due: str | None = None


def parse(event: Any, arrival: Arrival, stack: str) -> Request | SubmissionMessage | Ignored:
    """Read an event as it arrived at the stack of this name. Raises `InvalidInput`."""
    if is_deep(event):
        raise InvalidInput("EVENT_UNKNOWN", "The event is nested more deeply than any that is known.", _FORMS)
    match event:
        case {"check": _} | {"audit": _} | {"inventory": _}:
            raise InvalidInput(
                "EVENT_UNKNOWN",
                "The Backup function starts backups; it answers no questions.",
                "Invoke the Audit function with the same event.",
            )
        case {"explain": _}:
            raise InvalidInput("EVENT_UNKNOWN", "Only an event that a caller sends directly is explained.", _FORMS)
        case {"target": name, "trigger": trigger, **rest} if arrival.is_message:
            if not (is_name(name) and len(name) <= MAX_TARGET_NAME and name != ALL):
                raise invalid_name(name)
            # A tag may name what no target can be called: that is rejected like an unknown target.
            return SubmissionMessage(Trigger.from_json(trigger), name, _letter(rest.get("letter")))
        case {"refused": dict(), "event": inner, "deliveryId": str(first_delivery)} if arrival.is_message:
            # The sender of what was refused may do no more now than before.
            return parse(inner, replace(arrival, id=first_delivery, is_message=False), stack)
        case {"source": "aws.rds", "detail-type": str(kind), "detail": dict(detail), **rest}:
            return _rds(kind, detail, rest.get("account"), stack)
        case {"source": "aws.scheduler" | "aws.events", "detail-type": "Scheduled Event", **rest}:
            resources = rest.get("resources")
            arn = resources[0] if isinstance(resources, list) and resources else None
            return _schedule(_named_in(rest.get("detail")), arn, rest.get("time"), arrival)
        case {"schedule": arn, **rest}:
            return _schedule(rest.get("target", "default"), arn, rest.get("time"), arrival)
        case {"trigger": dict()}:
            raise InvalidInput("TRIGGER_NOT_ALLOWED", "Only a message of the Submissions queue has a trigger.", _FORMS)
        case {"target": name, **rest}:
            return Request(Trigger("manual", _request_id(rest.get("requestId"), arrival)), _names(name))
        case {"source": str(source)}:
            message = f"Events of {_quoted(source)} ({_quoted(event.get('detail-type'))}) are not known."
            raise InvalidInput("EVENT_UNKNOWN", message, _FORMS)
        case _:
            raise InvalidInput("EVENT_UNKNOWN", "The event is empty or of no known kind.", _FORMS)


def unwrap(text: str, message_id: str, attributes: object, now: float) -> tuple[object, Arrival]:
    """Return the event in a message of the queue and how it arrived; a body that is not JSON stays as it is.

    `attributes` are the record's `messageAttributes`. Our own messages have none: AWS sets them on its dead letters, whose
    bodies other people wrote. The identity is the Scheduler's ARN and time, else the ID of the request that failed (Lambda's
    on-failure destination wraps the event), else the message's.
    """
    arn, due = (_attribute(attributes, name) for name in ("SCHEDULE_ARN", "SCHEDULED_TIME"))
    scheduled = f"{arn}|{due}" if arn and due else ""
    arrival = Arrival(scheduled or message_id, now, is_message=not attributes, due=due if scheduled else None)
    try:
        body = read_json(text)
    except NotJson:
        return text, arrival
    match body:
        case {"requestPayload": payload, **rest}:
            match rest.get("requestContext"):
                case {"requestId": str(request_id)} if request_id and not scheduled:
                    arrival = replace(arrival, id=request_id)
            return payload, replace(arrival, is_message=False)
        case _:
            return body, arrival


def database_event(arn: str, event_id: str, date: str) -> dict[str, Any]:
    """Return the event that EventBridge would deliver for a database without tags. Raises `InvalidInput`."""
    kind, name = _arn_part(arn, 5), arn.rpartition(":")[2]
    if not (arn.startswith("arn:") and _arn_part(arn, 2) == "rds" and kind and is_name(name)):
        raise InvalidInput(
            "EVENT_UNKNOWN",
            f"{_quoted(arn)} is not the ARN of a database.",
            "Send an ARN such as arn:aws:rds:eu-central-1:111122223333:db:orders-db.",
        )
    source_type, detail_type = {
        "db": ("DB_INSTANCE", "RDS DB Instance Event"),
        "cluster": ("CLUSTER", "RDS DB Cluster Event"),
    }.get(kind, ("SNAPSHOT", "RDS DB Snapshot Event"))
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": detail_type,
        "source": "aws.rds",
        "account": _arn_part(arn, 4),
        "time": date,
        "region": _arn_part(arn, 3),
        "resources": [arn],
        "detail": {
            "SourceType": source_type,
            "SourceArn": arn,
            "Date": date,
            "SourceIdentifier": name,
            "EventID": event_id,
        },
    }


def tagged_names(tag: object) -> tuple[str, ...]:
    """Return the first 8 different names in the value of a database's tag `rds-snap-backup:target`."""
    return tuple(dict.fromkeys(clean_text(tag[:MAX_TAG]).split()))[:MAX_TAGGED] if isinstance(tag, str) else ()


def invalid_name(name: object) -> InvalidInput:
    """Return the error for a name that no target can have."""
    return InvalidInput(
        "TARGET_NAME_INVALID",
        f"{_quoted(name)} is not a target name.",
        'Names have 1 to 64 letters, digits, "_", "." or "-"; "*" is all targets.',
    )


def _rds(kind: str, detail: dict[str, Any], account: object, stack: str) -> Request | Ignored:
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
    # EventBridge sets the account; the rest of an event on a custom bus is what its sender wrote.
    arn_account, event_account = _arn_part(source_arn, 4), _text(account)
    if arn_account and event_account and event_account != arn_account:
        raise InvalidInput(
            "TRIGGER_NOT_ALLOWED",
            f"The event of the account {_quoted(event_account)} names a database of {_quoted(arn_account)}.",
            "Look for its sender: RDS reports a database in the account that owns it.",
        )
    tags = detail.get("Tags")
    return Request(
        Trigger(
            kind="rds",
            id=identity,
            time=date,
            rds_event_id=event_id,
            source_arn=source_arn,
            message=_message(detail.get("Message")),
            tagged=_of_stack(tagged_names(tags.get(TARGET_TAG) if isinstance(tags, dict) else None), stack),
            # Some samples lack it, and their database's ARN has it.
            account=clean_text(event_account or arn_account, MAX_QUOTED) or None,
        )
    )


def _of_stack(tagged: tuple[str, ...], stack: str) -> tuple[str, ...]:
    """Return the names that count in this stack: `STACK/NAME` counts as `NAME` in that stack and nowhere else."""
    names = (name.removeprefix(f"{stack}/") for name in tagged)
    return tuple(dict.fromkeys(name for name in names if name and "/" not in name))


def _schedule(target: object, arn: object, time: object, arrival: Arrival) -> Request:
    """A schedule's identity is its ARN and the time it was due; an unfilled placeholder is neither."""
    arn, time = (_text(value) if not _is_placeholder(value) else None for value in (arn, time))
    identity = f"{arn}|{time}" if arn and time else arrival.id
    due = time or arrival.due
    if not _is_identity(identity) or not (due is None or _is_identity(due)):
        raise InvalidInput(
            "EVENT_UNKNOWN", "The schedule's ARN or time is too long, or has control characters.", _FORMS
        )
    if identity == arrival.id and "|" in identity and arrival.due is None:
        # A letter that was made up to take another run's identity: AWS's own IDs have no such character.
        raise InvalidInput("EVENT_UNKNOWN", "The schedule has no ARN or no time, and its delivery no ID.", _FORMS)
    if due and (_seconds(due) or 0) > arrival.now + MAX_AHEAD_SECONDS:
        # The identity of a run to come: accepted now, it would suppress that run.
        raise InvalidInput(
            "SCHEDULE_IN_FUTURE",
            f"The schedule's time {clean_text(due)} lies ahead.",
            "Send the time at which the schedule was due.",
        )
    return Request(Trigger("schedule", identity, due), _names(target))


def _request_id(given: object, arrival: Arrival) -> str:
    """Return the identity of a manual request: its `requestId`, else the delivery's own ID."""
    if given is None or _is_placeholder(given):
        if _is_identity(arrival.id):
            return arrival.id
    elif isinstance(given, str) and REQUEST_ID.fullmatch(given):
        return given
    raise InvalidInput(
        "REQUEST_ID_INVALID",
        'requestId must have 1 to 256 letters, digits, "_", ".", ":" or "-".',
        "Give the same requestId to calls that mean the same backup, or leave it out.",
    )


def _seconds(time: str) -> float | None:
    """Return an ISO 8601 time as Unix seconds, or None if it is not one; UTC if it names no zone."""
    try:
        moment = datetime.fromisoformat(time)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _named_in(detail: object) -> object:
    """Return the target named in a schedule's `detail`, which Scheduler's default payload sends as a JSON text."""
    if isinstance(detail, str):
        try:
            detail = read_json(detail)
        except NotJson:
            detail = {}
    return detail.get("target", "default") if isinstance(detail, dict) else "default"


def _names(name: object) -> tuple[str]:
    return (ALL,) if name == ALL else (_name(name),)


def _name(name: object) -> str:
    if isinstance(name, str) and TARGET_NAME.fullmatch(name):
        return name
    raise invalid_name(name)


def _quoted(value: object) -> str:
    """Return how a message shows an unknown value: the beginning of a text, or its type."""
    return repr(clean_text(value, MAX_QUOTED)) if isinstance(value, str) else f"a value of type {type(value).__name__}"


def _attribute(attributes: object, name: str) -> str | None:
    match attributes:
        case dict() if isinstance(attribute := attributes.get(name), dict):
            return _bounded(attribute.get("stringValue"))
    return None


def _arn_part(arn: str | None, number: int) -> str:
    parts = (arn or "").split(":")
    return parts[number] if len(parts) > 5 else ""


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


def _letter(value: object) -> int | None:
    return whole_number(value, 1, MAX_LETTER) if isinstance(value, int) else None
