"""A row of Commvault's job list: its values, however strange, and the meaning of its status. Pure.

Every value in a row is taken as it may be: one strange text, number or date never keeps other rows from being read.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rds_snap_backup.untrusted import clean_text, is_name, whole_number

if TYPE_CHECKING:
    from rds_snap_backup.targets import Association

BACKUP_OPERATIONS = {4, 59}
BACKUP_TYPES = {"backup", "snap backup", "snapbackup"}
# Statuses of a job that has not ended, as Commvault documents them.
ACTIVE = {
    "running",
    "waiting",
    "pending",
    "queued",
    "suspend pending",
    "suspended",
    "kill pending",
    "interrupt pending",
    "interrupted",
    "running (cannot be verified)",
    "abnormal terminated cleanup",
}
MAX_STATUS = 100
# A list is kept in memory; of a reason 500 characters are shown, once it is unescaped.
MAX_REASON = 2000
# The last second that Python's datetime knows; and a number above this one is in milliseconds, not seconds.
MAX_TIME = 253402300799
MAX_SECONDS = 10**11

type JobEnd = Literal["completed", "completed_with_errors", "failed", "killed"]


@dataclass(frozen=True)
class Job:
    """A job as Commvault shows it. Times are Unix seconds on our clock, 0 where it gives none."""

    id: str
    client_name: str
    instance_name: str
    subclient_name: str
    level: str
    is_backup: bool
    status: str
    started: float
    ended: float
    raw_reason: str = field(default="", repr=False)

    @property
    def reason(self) -> str:
        """What Commvault says of its state. Read only here: of a list of thousands of jobs few are asked for it."""
        return clean_text(self.raw_reason)

    @property
    def has_ended(self) -> bool:
        """Return whether the status is an end; an unknown one means still running."""
        return self.end is not None

    @property
    def end(self) -> JobEnd | None:
        """Return how the job ended, or None while it runs.

        Warnings count as errors, since a person must look at them; so does Committed, a job that was ended by hand and
        whose work so far is kept.
        """
        status = self.status.lower()
        if "killed" in status:
            return "killed"
        if "failed" in status:
            return "failed"
        if "completed" in status:
            return "completed_with_errors" if "error" in status or "warning" in status else "completed"
        return "completed_with_errors" if "committed" in status else None

    @property
    def is_known(self) -> bool:
        """Return whether the status is one that Commvault documents."""
        return self.has_ended or self.status.strip().lower() in ACTIVE

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of its client, instance and subclient; empty where the row has none."""
        return self.client_name, self.instance_name, self.subclient_name

    def is_of(self, association: "Association") -> bool:
        """Return whether this is a backup of an association, by its exact names."""
        return self.is_backup and self.names == association.names


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
        raw_reason=_text(summary.get("pendingReason"))[:MAX_REASON],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _name(value: Any) -> str:
    """A name is compared with a target's, character by character, so one that no target can have counts as missing."""
    return value if is_name(value) else ""


def _level(value: Any) -> str:
    """`Synthetic Full`, `SYNTHETIC_FULL` and `Full` are written in several ways; a number says nothing."""
    return value.strip().upper().replace(" ", "_") if is_name(value) and whole_number(value) is None else ""


def _time(value: Any, clock_ahead: float) -> float:
    number = whole_number(value, 0) or 0
    seconds = number // 1000 if number > MAX_SECONDS else number
    return seconds - clock_ahead if 0 < seconds <= MAX_TIME else 0
