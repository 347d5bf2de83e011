"""What the Audit function does with an event. It submits nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from rds_snap_backup.audit.daily import Auditor, make_audit
from rds_snap_backup.audit.preflight import check
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import TARGET_NAME, Arrival, Request, parse

FIELDS = {"schedule", "time"}
UNKNOWN = InvalidInput(
    "EVENT_UNKNOWN",
    "The Audit function does not know this event.",
    'Send {"audit": true}; or {"check": true}, and "target": "NAME" with it to check one target alone.',
)


def audit(auditor: Auditor, event: Any, request_id: str, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Answer `{"audit": true}` with the findings, `{"check": true}`, of one target where it names one, with the preflight."""
    try:
        match event:
            case {"check": True, "target": str(name)} if TARGET_NAME.fullmatch(name):
                return check(auditor.services, seconds_left, name)
            case {"check": True, **rest} if rest.get("target") is None:
                return check(auditor.services, seconds_left)
            case {"audit": True, **rest} if not rest:
                return make_audit(auditor, seconds_left, None)
            case {"audit": True, **rest} if rest.keys() <= FIELDS and all(
                isinstance(one, str) for one in rest.values()
            ):
                return make_audit(auditor, seconds_left, _identity(auditor, rest, request_id))
        raise UNKNOWN
    except InvalidInput as invalid:
        logger.error("Refused", error=invalid.problem.to_json())
        return {"ok": False, "refused": invalid.problem.to_json()}


def _identity(auditor: Auditor, fields: Mapping[Any, Any], request_id: str) -> str:
    """Return the identity of a scheduled run, as any schedule's: delivered twice it has the same one. Raises `InvalidInput`."""
    arrival = Arrival(request_id, auditor.services.clock())
    match parse({"schedule": fields.get("schedule"), "time": fields.get("time")}, arrival):
        case Request(trigger):
            return trigger.id
        case _:
            raise UNKNOWN
