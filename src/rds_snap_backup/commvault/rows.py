"""Reads a row of Commvault's job list: its values, however strange. Pure.

Every value in a row is taken as it may be: one strange text, number or date never keeps other rows from being read.
"""

from typing import Any

from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.levels import KNOWN, OTHER
from rds_snap_backup.untrusted import clean_text, is_name, unix_time, whole_number

BACKUP_OPERATIONS = {4, 59}
BACKUP_TYPES = {"backup", "snap backup", "snapbackup"}
MAX_STATUS = 100
# A list is kept in memory; of a reason 500 characters are shown, once it is unescaped.
MAX_REASON = 2000


def read_job(row: Any, clock_ahead: float = 0) -> Job | None:
    """Return a row of a job list as a `Job`, or None where it has no ID; `clock_ahead` as in `HttpResponse`."""
    match row:
        case {"jobSummary": {"jobId": job_id} as summary}:
            number = whole_number(job_id, 1)
        case _:
            return None
    if number is None:
        return None
    named = summary.get("subclient")
    subclient: dict[str, Any] = named if isinstance(named, dict) else {}
    user = summary.get("userName")
    return Job(
        id=str(number),
        client_name=_name(subclient.get("clientName")),
        instance_name=_name(subclient.get("instanceName")),
        subclient_name=_name(subclient.get("subclientName")),
        level=_level(summary.get("backupLevelName") or summary.get("backupLevel")),
        is_backup=whole_number(summary.get("opType")) in BACKUP_OPERATIONS
        or _text(summary.get("jobType")).lower() in BACKUP_TYPES,
        status=clean_text((_text(summary.get("status")) or _text(summary.get("localizedStatus")))[:MAX_STATUS]),
        started=_time(summary.get("jobStartTime"), clock_ahead),
        ended=_time(summary.get("jobEndTime"), clock_ahead),
        raw_user=_name(user.get("userName")) if isinstance(user, dict) else "",
        raw_reason=_text(summary.get("pendingReason"))[:MAX_REASON],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _name(value: Any) -> str:
    """A name is compared with a target's, character by character, so one that no target can have counts as missing."""
    return value if is_name(value) else ""


def _level(value: Any) -> str:
    """`Synthetic Full`, `SYNTHETIC_FULL` and `Full` are written in several ways; a number says nothing."""
    if not is_name(value) or whole_number(value) is not None:
        return ""
    level = value.strip().upper().replace(" ", "_")
    return level if level in KNOWN else OTHER


def _time(value: Any, clock_ahead: float) -> float:
    seconds = unix_time(value)
    return seconds - clock_ahead if seconds else 0
