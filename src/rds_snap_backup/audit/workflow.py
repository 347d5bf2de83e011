"""What the Audit function does with an event. It submits nothing."""

from collections.abc import Callable
from typing import Any

from rds_snap_backup.audit.preflight import check
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.triggers import TARGET_NAME


def audit(services: Services, event: Any, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Answer `{"check": true}`, of one target where the event names one, with `{"ok", "checks"}`."""
    match event:
        case {"check": True, "target": str(name)} if TARGET_NAME.fullmatch(name):
            return check(services, seconds_left, name)
        case {"check": True, **rest} if rest.get("target") is None:
            return check(services, seconds_left)
    problem = Problem(
        "EVENT_UNKNOWN",
        "The Audit function does not know this event.",
        'Send {"check": true}, and "target": "NAME" with it to check one target alone.',
    )
    logger.error("Refused", error=problem.to_json())
    return {"ok": False, "refused": problem.to_json()}
