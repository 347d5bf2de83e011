"""Commvault's jobs: reading its list, and telling which of them a request of ours started.

Pure but for `list_jobs`. What is then done with a found job is the ledger's and `submit.py`'s business.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from rds_snap_backup.commvault import CannotAsk, Commvault, Read
from rds_snap_backup.outcomes import Unauthorized
from rds_snap_backup.targets import Association

PAGE = 100
# Two sandboxes' clocks, one that sent and one that asks, may differ by this much.
CLOCK_SKEW_SECONDS = 5
BACKUP_OPERATIONS = {4, 59}
BACKUP_TYPES = {"backup", "snap backup", "snapbackup"}


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
        status = self.status.lower()
        ends = ("completed", "committed", "killed", "failed")
        return any(word in status for word in ends)

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


def list_jobs(commvault: Commvault, token: str, look_back: float, seconds: float) -> Jobs | Unauthorized | CannotAsk:
    """Read every page of the backup jobs that are active or ended in the last `look_back` seconds.

    `GET /Job` pages by the headers `limit` and `offset`, and leaves snap backups out unless they are asked for.
    """
    query = urlencode(
        {"completedJobLookupTime": max(1, int(look_back)), "jobCategory": "All", "jobFilter": "Backup,SNAPBACKUP"}
    )
    deadline = time.monotonic() + seconds
    rows: list[Job] = []
    seen = 0
    while True:
        headers = {"limit": str(PAGE), "offset": str(seen)}
        match commvault.get(f"/Job?{query}", token, deadline - time.monotonic(), headers):
            case Read(document, clock_ahead):
                page = document.get("jobs") or []
                rows += [job for job in map(read_job, page) if job]
                seen += len(page)
                if not page or seen >= int(document.get("totalRecordsWithoutPaging") or 0):
                    return Jobs(tuple(rows), clock_ahead)
            case problem:
                return problem


def read_job(row: Any) -> Job | None:
    """Return a row of a job list as a `Job`, or None where it has no id."""
    match row:
        case {"jobSummary": {"jobId": int() | str() as job_id} as summary}:
            subclient: dict[str, Any] = summary.get("subclient") or {}
            return Job(
                id=str(job_id),
                client_name=str(subclient.get("clientName", "")),
                instance_name=str(subclient.get("instanceName", "")),
                subclient_name=str(subclient.get("subclientName", "")),
                level=_level(summary.get("backupLevelName") or summary.get("backupLevel")),
                is_backup=summary.get("opType") in BACKUP_OPERATIONS
                or str(summary.get("jobType", "")).lower() in BACKUP_TYPES,
                status=str(summary.get("status") or summary.get("localizedStatus") or ""),
                reason=str(summary.get("pendingReason") or ""),
                started=int(summary.get("jobStartTime") or 0),
                ended=int(summary.get("jobEndTime") or 0),
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
    """`Synthetic Full`, `SYNTHETIC_FULL` and `Full` are written in several ways."""
    return str(value or "").strip().upper().replace(" ", "_")
