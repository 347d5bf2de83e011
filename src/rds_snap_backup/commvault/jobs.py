"""Commvault's jobs: reading them, what their statuses mean, and which of them a request of ours started.

Pure but for the three functions that read. What is then done with a job is `submit.py`'s and `follow.py`'s business.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from rds_snap_backup.commvault.client import Commvault, QueryFailed, Read
from rds_snap_backup.commvault.outcomes import LATER, Unauthorized, whole_number
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association

PAGE = 100
# Two sandboxes' clocks, one that sent and one that asks, may differ by this much.
CLOCK_SKEW_SECONDS = 5
BACKUP_OPERATIONS = {4, 59}
BACKUP_TYPES = {"backup", "snap backup", "snapbackup"}
# Statuses of a job that goes on, as Commvault documents them.
GOING_ON = {
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

# An answer that is no list must not be believed to say that no job was started.
NO_JOB_LIST = QueryFailed(Problem("UNREADABLE_ANSWER", "Commvault's answer is no list of jobs.", LATER))

type End = Literal["completed", "completed_with_errors", "failed", "killed"]


@dataclass(frozen=True, slots=True)
class Job:
    """A row of Commvault's job list. Times are Unix seconds on Commvault's clock, 0 where it gives none."""

    id: str
    client_name: str
    instance_name: str
    subclient_name: str
    level: str
    is_backup: bool
    status: str
    reason: str
    started: int
    ended: int

    @property
    def has_ended(self) -> bool:
        """Tell whether the status is an end; one that nobody knows means still running."""
        return self.end is not None

    @property
    def end(self) -> End | None:
        """Return how the job ended, or None while it goes on.

        Warnings count as errors, since somebody must look at them; so does Committed, a job that was ended by hand and
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
        """Tell whether the status is one that Commvault documents."""
        return self.has_ended or self.status.strip().lower() in GOING_ON

    def is_of(self, association: Association) -> bool:
        """Tell whether this is a backup of an association, by its exact names."""
        return self.is_backup and (self.client_name, self.instance_name, self.subclient_name) == (
            association.client_name,
            association.instance_name,
            association.subclient_name,
        )


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs, and by how many seconds Commvault's clock is, at the least, ahead of ours."""

    rows: tuple[Job, ...]
    clock_ahead: float


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the job list. `end` is how many rows it and those before it had, `total` how many there are in all."""

    rows: tuple[Job, ...]
    end: int
    total: int
    clock_ahead: float

    @property
    def is_last(self) -> bool:
        """Tell whether no page follows."""
        return self.end >= self.total


def list_jobs(commvault: Commvault, token: str, look_back: float, seconds: float) -> Jobs | Unauthorized | QueryFailed:
    """Read every page of the backup jobs that are active or ended in the last `look_back` seconds."""
    deadline = time.monotonic() + seconds
    rows: list[Job] = []
    seen = 0
    while True:
        match list_page(commvault, token, look_back, seen, deadline - time.monotonic()):
            case Page() as page:
                rows += page.rows
                seen = page.end
                if page.is_last:
                    return Jobs(tuple(rows), page.clock_ahead)
            case problem:
                return problem


def list_page(
    commvault: Commvault, token: str, look_back: float, offset: int, seconds: float
) -> Page | Unauthorized | QueryFailed:
    """Read one page of the backup jobs that are active or ended in the last `look_back` seconds.

    `GET /Job` pages by the headers `limit` and `offset`, and leaves snap backups out unless they are asked for.
    """
    query = urlencode(
        {"completedJobLookupTime": max(1, int(look_back)), "jobCategory": "All", "jobFilter": "Backup,SNAPBACKUP"}
    )
    match commvault.get(f"/Job?{query}", token, seconds, {"limit": str(PAGE), "offset": str(offset)}):
        case Read(document, clock_ahead):
            page, total = document.get("jobs"), whole_number(document.get("totalRecordsWithoutPaging"))
            if not isinstance(page, list):
                if total is None:
                    return NO_JOB_LIST
                page = []
            end = offset + len(page)
            total = (total or 0) if page else end
            return Page(tuple(job for job in map(read_job, page) if job), end, total, clock_ahead)
        case problem:
            return problem


def get_job(commvault: Commvault, token: str, job_id: str, seconds: float) -> Job | Unauthorized | QueryFailed | None:
    """Read one job; None where Commvault shows none of this id."""
    match commvault.get(f"/Job/{job_id}", token, seconds):
        case Read(document, _):
            listed = document.get("jobs")
            rows = map(read_job, listed if isinstance(listed, list) else [])
            return next((job for job in rows if job and job.id == job_id), None)
        case problem:
            return problem


def read_job(row: Any) -> Job | None:
    """Return a row of a job list as a `Job`, or None where it has no id."""
    match row:
        case {"jobSummary": {"jobId": job_id} as summary} if number := whole_number(job_id):
            named = summary.get("subclient")
            subclient: dict[str, Any] = named if isinstance(named, dict) else {}
            return Job(
                id=str(number),
                client_name=str(subclient.get("clientName", "")),
                instance_name=str(subclient.get("instanceName", "")),
                subclient_name=str(subclient.get("subclientName", "")),
                level=_level(summary.get("backupLevelName") or summary.get("backupLevel")),
                is_backup=whole_number(summary.get("opType")) in BACKUP_OPERATIONS
                or str(summary.get("jobType", "")).lower() in BACKUP_TYPES,
                status=str(summary.get("status") or summary.get("localizedStatus") or ""),
                reason=str(summary.get("pendingReason") or ""),
                started=whole_number(summary.get("jobStartTime")) or 0,
                ended=whole_number(summary.get("jobEndTime")) or 0,
            )
        case _:
            return None


def started_since(
    associations: Iterable[Association], jobs: Jobs, attempted_at: float, level: str, excluded: Collection[str]
) -> dict[Association, str]:
    """Return, for each association that has one, the job that the attempt at `attempted_at` (our clock) can have started.

    Of several the earliest: triggers of one target then find their jobs in the order of their attempts. A job whose
    level Commvault does not tell can be of any.
    """
    earliest = attempted_at + jobs.clock_ahead - CLOCK_SKEW_SECONDS
    found: dict[Association, str] = {}
    for association in associations:
        for job in sorted(jobs.rows, key=lambda job: (job.started, int(job.id) if job.id.isdecimal() else 0)):
            if (
                job.is_of(association)
                and job.level in {"", level}
                and job.started >= int(earliest)
                and job.id not in excluded
                and job.id not in found.values()
            ):
                found[association] = job.id
                break
    return found


def running(associations: Iterable[Association], jobs: Jobs) -> dict[Association, str]:
    """Return the newest running job of each association that has one, whatever its level."""
    found: dict[Association, str] = {}
    for association in associations:
        for job in sorted(jobs.rows, key=lambda job: job.started):
            if job.is_of(association) and not job.has_ended:
                found[association] = job.id
    return found


def _level(value: Any) -> str:
    """`Synthetic Full`, `SYNTHETIC_FULL` and `Full` are written in several ways; a number tells nothing."""
    return value.strip().upper().replace(" ", "_") if isinstance(value, str) and whole_number(value) is None else ""
