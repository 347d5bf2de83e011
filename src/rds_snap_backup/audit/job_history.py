"""The recent jobs of instance groups, whoever started them, from Commvault's list of jobs.

It is read once, newest first, until each group has a completed job or could only have one that is too old.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.inventory import CALL_SECONDS, OUT_OF_TIME
from rds_snap_backup.commvault.job_lists import Page, Position
from rds_snap_backup.commvault.jobs import list_page
from rds_snap_backup.commvault.queries import QueryFailed
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.core.policy import DAY
from rds_snap_backup.problems import Problem

MAX_LOOK_BACK_SECONDS = 7 * DAY
# Jobs of one group, of thousands that a storm of events may start.
MAX_KEPT = 50
# A request takes at most this long.
REQUEST_SECONDS = 30.0

# Client, instance and subclient.
type SubclientNames = tuple[str, str, str]


@dataclass(frozen=True)
class Jobs:
    """The recent backup jobs of each group, the newest first. `problem` is why the list was not read to its end."""

    of_group: Mapping[SubclientNames, Sequence[Job]] = field(default_factory=dict)
    problem: Problem | None = None

    def last(self, names: SubclientNames) -> Job | None:
        """Return a group's last job that has ended."""
        return next((job for job in self.of_group.get(names, ()) if job.has_ended), None)

    def completed(self, names: SubclientNames, since: float) -> Job | None:
        """Return a group's last job that completed without errors, if it began after a time."""
        found = next((job for job in self.of_group.get(names, ()) if job.end == "completed"), None)
        return found if found and found.started > since else None

    def at(self, names: SubclientNames, time: float, room: float) -> Job | None:
        """Return the group's job that ran at a time, with this room at its start and end."""
        for job in self.of_group.get(names, ()):
            if job.started and job.started - room <= time and (not job.ended or time <= job.ended + room):
                return job
        return None


def began(job: Job) -> float:
    """Return when a job began, or ended if that is not known; 0 if neither is."""
    return job.started or job.ended


def read_jobs(
    commvault: Commvault, oldest: Mapping[SubclientNames, float], now: float, seconds_left: Callable[[], float]
) -> Jobs:
    """Read the jobs as far as they are needed; `oldest` is the time since which a completed job of each group matters."""
    look_back = min(now - min((*oldest.values(), now)), MAX_LOOK_BACK_SECONDS)
    jobs: dict[SubclientNames, dict[str, Job]] = {}
    completed: set[SubclientNames] = set()
    at: Position | None = Position() if oldest else None
    problem: Problem | None = None
    while at and not problem:
        left = seconds_left()
        if left < CALL_SECONDS:
            problem = OUT_OF_TIME
            break
        match list_page(commvault, look_back, at.offset, time.monotonic() + min(left, REQUEST_SECONDS)):
            case Page() as page:
                for job in page.rows:
                    if job.is_backup and job.names in oldest:
                        mine = jobs.setdefault(job.names, {})
                        is_completed = job.end == "completed"
                        if len(mine) < MAX_KEPT or (is_completed and job.names not in completed):
                            mine[job.id] = job
                        if is_completed:
                            completed.add(job.names)
                missing = (since for names, since in oldest.items() if names not in completed)
                at = None if _is_past(page, min((*missing, now))) else at.after(page)
            case QueryFailed(found) | Unauthorized(found):
                problem = found
    newest_first = {names: sorted(mine.values(), key=began, reverse=True) for names, mine in jobs.items()}
    return Jobs(newest_first, problem)


def _is_past(page: Page, oldest: float) -> bool:
    """Tell whether the pages that follow have older jobs only: Commvault lists the newest first, but does not promise it."""
    return len(page.rows) > 1 and int(page.rows[0].id) > int(page.rows[-1].id) and began(page.rows[-1]) < oldest
