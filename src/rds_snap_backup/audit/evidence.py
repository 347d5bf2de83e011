"""The evidence of backups: Commvault's own jobs, whoever started them.

Its list is read once, newest first, until each subclient has a completed job or could only have one that is too old, and
the list goes back to the last daily audit.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.inventory import CALL_SECONDS, OUT_OF_TIME
from rds_snap_backup.commvault.job_lists import Page, Position
from rds_snap_backup.commvault.jobs import list_page
from rds_snap_backup.commvault.queries import QueryFailed
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.core.phases import COMPLETED
from rds_snap_backup.core.record import DAY
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association

MAX_LOOK_BACK_SECONDS = 7 * DAY
# A request takes at most this long.
REQUEST_SECONDS = 30.0

# Client, instance and subclient.
type SubclientNames = tuple[str, str, str]


@dataclass(frozen=True)
class Jobs:
    """The last completed job of each subclient, and how the recent jobs ended.

    `problem` is why the list was not read to its end, `is_begun` whether any of it was read.
    """

    completed: Mapping[SubclientNames, Job] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    problem: Problem | None = None
    is_begun: bool = False


@dataclass(frozen=True)
class Wanted:
    """The time since which each subclient must have a completed job; all jobs since `recent` are counted."""

    oldest: Mapping[SubclientNames, float]
    recent: float


def names_in(association: Association) -> SubclientNames:
    """Return the names by which jobs are recognized."""
    return association.client_name, association.instance_name, association.subclient_name


def began(job: Job) -> float:
    """Return when a job began, or ended if that is not known; 0 if neither is."""
    return job.started or job.ended


def read_jobs(commvault: Commvault, wanted: Wanted, now: float, seconds_left: Callable[[], float]) -> Jobs:
    """Read the jobs as far as they are needed."""
    look_back = min(now - min(wanted.recent, *wanted.oldest.values(), now), MAX_LOOK_BACK_SECONDS)
    completed: dict[SubclientNames, Job] = {}
    recent: dict[str, str] = {}
    at: Position | None = Position() if wanted.oldest else None
    is_begun = False
    problem: Problem | None = None
    while at and not problem:
        left = seconds_left()
        if left < CALL_SECONDS:
            problem = OUT_OF_TIME
            break
        match list_page(commvault, look_back, at.offset, time.monotonic() + min(left, REQUEST_SECONDS)):
            case Page() as page:
                is_begun = True
                for job in page.rows:
                    if job.is_backup and job.names in wanted.oldest:
                        _take(job, completed, recent, wanted.recent)
                missing = (oldest for names, oldest in wanted.oldest.items() if names not in completed)
                at = None if _is_past(page, min(wanted.recent, *missing, now)) else at.after(page)
            case QueryFailed(found) | Unauthorized(found):
                problem = found
    return Jobs(completed, Counter(recent.values()), problem, is_begun)


def _is_past(page: Page, oldest: float) -> bool:
    """Tell whether the pages that follow have older jobs only: Commvault lists the newest first, but does not promise it."""
    return len(page.rows) > 1 and int(page.rows[0].id) > int(page.rows[-1].id) and began(page.rows[-1]) < oldest


def _take(job: Job, completed: dict[SubclientNames, Job], recent: dict[str, str], since: float) -> None:
    known = completed.get(job.names)
    if job.end in COMPLETED and began(job) and (known is None or began(known) < began(job)):
        completed[job.names] = job
    if began(job) >= since:
        recent[job.id] = job.end or "running"
