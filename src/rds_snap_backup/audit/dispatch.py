"""Which question an event asks the Audit function."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rds_snap_backup.audit.auditor import Auditor
from rds_snap_backup.audit.daily import make_audit
from rds_snap_backup.audit.listing import take_inventory
from rds_snap_backup.audit.preflight import check
from rds_snap_backup.audit.proving import Question
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import TARGET_NAME, Arrival, Request, Trigger, parse

UNKNOWN = InvalidInput(
    "EVENT_UNKNOWN",
    "The Audit function does not know this event.",
    'Send {"audit": true}, {"inventory": true}, {"prove": {"database": ARN, "since": TIME}}, or {"check": true}, with '
    '"target": "NAME" to check one target.',
)


def answer(auditor: Auditor, event: Any, request_id: str, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Answer `{"audit": true}`, `{"inventory": true}`, `{"prove": …}` or `{"check": true}`, the preflight."""
    services, readings = auditor.services, auditor.readings
    try:
        match event:
            case {"check": True, **rest} if rest.keys() <= {"target", "page"}:
                target = _target(rest.get("target"))
                read = partial(check, services, auditor.databases, auditor.members, seconds_left, target)
                return readings.answer(("check", target), _page(rest), read)
            case {"audit": True, **rest} if rest.keys() <= {"page"}:
                return readings.answer("audit", _page(rest), lambda: make_audit(auditor, seconds_left))
            case {"inventory": True, **rest} if rest.keys() <= {"page"}:
                return readings.answer("inventory", _page(rest), lambda: take_inventory(auditor, seconds_left))
            case {"prove": asked, **rest} if not rest:
                return auditor.prover.prove(Question.read(asked), seconds_left)
            case {"audit": True, **rest} if rest.keys() <= {"schedule", "time"}:
                return dict(make_audit(auditor, seconds_left, _run(auditor, rest, request_id)).rest)
        raise UNKNOWN
    except InvalidInput as invalid:
        logger.error("Refused", error=invalid.problem.to_json())
        return {"ok": False, "refused": invalid.problem.to_json()}


def _target(name: object) -> str | None:
    if name is None or (isinstance(name, str) and TARGET_NAME.fullmatch(name)):
        return name
    raise UNKNOWN


def _page(fields: Mapping[Any, Any]) -> int:
    number = fields.get("page", 1)
    if isinstance(number, int) and not isinstance(number, bool) and number >= 1:
        return number
    raise UNKNOWN


def _run(auditor: Auditor, fields: Mapping[Any, Any], request_id: str) -> Trigger:
    """Return the trigger of a scheduled run; its identity is the same if it is delivered twice. Raises `InvalidInput`."""
    if not all(isinstance(value, str) for value in fields.values()):
        raise UNKNOWN
    services = auditor.services
    schedule = {"schedule": fields.get("schedule"), "time": fields.get("time")}
    match parse(schedule, Arrival(request_id, services.clock()), services.config.service):
        case Request(trigger):
            return trigger
        case _:
            raise UNKNOWN
