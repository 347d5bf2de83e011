"""How old a target's last backup is, and whether it may be: what the preflight and the audit ask of the ledger. Pure."""

from dataclasses import dataclass
from typing import Literal, Self

from rds_snap_backup.audit.documents import StoredTarget
from rds_snap_backup.audit.report import Row
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.history import TargetHistory
from rds_snap_backup.messaging.notifications import iso

type Verdict = Literal["fresh", "stale", "exempt", "disabled", "invalid"]

HOUR = 3600
DEFAULT = "default"
STALE = "BACKUP_STALE"
MAX_JOBS_SHOWN = 5
HINT = (
    "Find out what became of its last submission: its messages, the dead-letter queue, the job in Commvault. Then start "
    "the target by hand. If its backups may be older than that, let maxAgeHours in its document say so."
)


@dataclass(frozen=True)
class Ages:
    """What the stack's settings say of ages. `default_hours` is 0 where only targets with `maxAgeHours` are asked.

    Where jobs are followed, backups that completed count; else those that were submitted.
    """

    default_hours: int
    is_default_scheduled: bool
    are_jobs_followed: bool
    kept_days: int

    @classmethod
    def of(cls, config: Config) -> Self:
        """Read the settings."""
        return cls(
            config.backup_max_age_hours, config.is_default_scheduled, config.follow_hours > 0, config.ledger_days
        )


@dataclass(frozen=True)
class Freshness:
    """The verdict on a target's last backup; `max_age_hours` is None where its age is not asked."""

    verdict: Verdict
    history: TargetHistory
    max_age_hours: int | None = None


def judge(stored: StoredTarget, history: TargetHistory, ages: Ages, now: float) -> Freshness:
    """Judge a target's last backup; one maximum age is granted from the last change of its document."""
    target = stored.content
    if target is None:
        return Freshness("invalid", history)
    if not target.enabled:
        return Freshness("disabled", history)
    hours = target.max_age_hours
    is_scheduled = history.scheduled_at > 0 or (target.name == DEFAULT and ages.is_default_scheduled)
    if hours is None and is_scheduled and ages.default_hours:
        hours = ages.default_hours
    # Of a scheduled task Commvault starts the jobs later, and nothing shows whether it did.
    if hours is None or target.request.task_type == "SCHEDULE":
        return Freshness("exempt", history)
    is_fresh = now - max(_last(history, ages), stored.document.changed_at) <= hours * HOUR
    return Freshness("fresh" if is_fresh else "stale", history, hours)


def last_backup_row(target: str, judged: Freshness, ages: Ages, now: float) -> Row:
    """Return the row about a target's last backup."""
    history = judged.history
    if judged.verdict == "stale":
        detail = f"{_stale(history, ages, now)} At most {judged.max_age_hours} h are allowed."
        return Row("last_backup", target, ok=False, detail=detail, hint=HINT, code=STALE)
    if not history.submitted_at:
        return Row("last_backup", target, ok=True, detail=f"Never submitted, or more than {ages.kept_days} days ago.")
    completed = f" {_completed(history)}" if ages.are_jobs_followed and history.completed_at else ""
    return Row("last_backup", target, ok=True, detail=f"Last submitted at {iso(history.submitted_at)}.{completed}")


def _last(history: TargetHistory, ages: Ages) -> float:
    return history.completed_at if ages.are_jobs_followed else history.submitted_at


def _stale(history: TargetHistory, ages: Ages, now: float) -> str:
    submitted = f" It was last submitted at {iso(history.submitted_at)}." if history.submitted_at else ""
    if not (last := _last(history, ages)):
        what = "completed" if ages.are_jobs_followed else "was submitted"
        return f"No backup of it {what} within the {ages.kept_days} days that the ledger keeps.{submitted}"
    old = f"That is {int((now - last) // HOUR)} h ago."
    return f"{_completed(history)} {old}{submitted}" if ages.are_jobs_followed else f"{submitted.strip()} {old}"


def _completed(history: TargetHistory) -> str:
    jobs = history.completed_jobs
    shown = f" (job {', '.join(jobs[:MAX_JOBS_SHOWN])}{', …' if len(jobs) > MAX_JOBS_SHOWN else ''})" if jobs else ""
    return f"The last one that completed began at {iso(history.completed_at)}{shown}."
