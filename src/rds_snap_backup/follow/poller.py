"""Polling many jobs with few reading calls, of which Commvault's SaaS allows a tenant 1,000 an hour.

What was read serves every message that is due within the next minute, a *window*. A lone job is read alone, several
from the list, whatever their clients; and a page of the list is read as soon as the jobs still missing, and those read
alone in this window, are more than the pages that are left. So a window costs at most two calls for every 100
jobs that the list shows, however the messages fall into batches, and one more for each job that it does not show.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rds_snap_backup.commvault import jobs
from rds_snap_backup.commvault.answers import THROTTLE_SECONDS
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.jobs import PAGE, Job, Page
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import QueryFailed, is_of_the_call
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem

MAX_WINDOW_SECONDS = 60
LOOK_BACK_MARGIN_SECONDS = 120
MIN_SECONDS_TO_ASK = 2
# Jobs that the list does not show are gone or brand-new: few, and should they be many, they take turns.
MAX_READ_ALONE = 20
RATE_LIMITED = "HTTP_429"

# The answer to a call for the list cannot be used: a call for one job may still be.
OF_THE_LIST = frozenset({"UNREADABLE_ANSWER", "JOB_LIST_TOO_LONG", "HTTP_200"})

NOT_ASKED = Problem("NOT_ASKED", "There was no time to ask for the job.", "It is polled again automatically.")


@dataclass(frozen=True)
class Missing:
    """Commvault shows no such job, not even where it is asked for alone."""


# A job as Commvault shows it, or why it could not be polled.
type Observation = Job | Missing | Problem


@dataclass(slots=True)
class Window:
    """What was asked since `begun`: the rows of the list up to `end` of `total`, and so many jobs alone."""

    begun: float
    look_back: float
    end: int = 0
    total: int = 1
    alone: int = 0

    @property
    def pages_left(self) -> int:
        """How many pages of the list were not read; 1 before the first page is read, when that is not known."""
        return -((self.end - self.total) // PAGE) if self.end < self.total else 0


class JobPoller:
    """What a sandbox has read recently. `window_seconds` must be shorter than any pause between polls of one job."""

    def __init__(self, commvault: Commvault, window_seconds: float, clock: Callable[[], float]) -> None:
        self._commvault = commvault
        self._window_seconds = min(window_seconds, MAX_WINDOW_SECONDS)
        self._clock = clock
        self._window = Window(begun=0, look_back=0)
        self._read: dict[str, tuple[float, Job]] = {}
        self._failure: tuple[float, Problem] | None = None

    def poll(self, wanted: Mapping[str, float], deadline: float) -> dict[str, Observation]:
        """Poll jobs, given with the times they were submitted, before a deadline on the monotonic clock."""
        now = self._clock()
        self._read = {job_id: read for job_id, read in self._read.items() if read[0] > now - self._window_seconds}
        unread = {job_id: submitted_at for job_id, submitted_at in wanted.items() if job_id not in self._read}
        failures: dict[str, Observation] = {}
        if unread and self._may_ask(now):
            if self._window.begun <= now - self._window_seconds:
                self._window = Window(now, now - min(unread.values()) + LOOK_BACK_MARGIN_SECONDS)
            self._read_list(set(unread), deadline)
            failures = self._read_alone(unread.keys() - self._read.keys(), deadline)
        otherwise = self._failure[1] if self._failure else NOT_ASKED
        return {
            job_id: self._read[job_id][1] if job_id in self._read else failures.get(job_id, otherwise)
            for job_id in wanted
        }

    def _may_ask(self, now: float) -> bool:
        """Return whether to ask: a server that has just failed is not asked again for every message."""
        if self._failure and now >= self._failure[0]:
            self._failure = None
        return self._failure is None

    def _read_list(self, unread: set[str], deadline: float) -> None:
        window = self._window
        while unread and 0 < window.pages_left < len(unread) + window.alone and self._has_time(deadline):
            match jobs.list_page(self._commvault, window.look_back, window.end, deadline):
                case Page(rows, end, total):
                    window.end, window.total = end, total
                    self._read |= {job.id: (self._clock(), job) for job in rows}
                    unread -= self._read.keys()
                case QueryFailed(problem) if is_of_the_call(problem) or problem.code in OF_THE_LIST:
                    logger.warning("The job list cannot be used; jobs are read one by one", error=problem.to_json())
                    window.total = window.end
                case Unauthorized(problem) | QueryFailed(problem):
                    self._fail(problem)
                    return

    def _read_alone(self, unread: set[str], deadline: float) -> dict[str, Observation]:
        """Read jobs one by one; return those that were not read, and why."""
        failures: dict[str, Observation] = {}
        for job_id in random.sample(sorted(unread), min(len(unread), MAX_READ_ALONE)):  # nosec B311 # no secret
            if self._failure or not self._has_time(deadline):
                break
            self._window.alone += 1
            match jobs.get_job(self._commvault, job_id, deadline):
                case Job() as job:
                    self._read[job_id] = (self._clock(), job)
                case None:
                    failures[job_id] = Missing()
                case Unauthorized(problem):
                    self._fail(problem)
                case QueryFailed(problem) if problem.code == RATE_LIMITED:
                    self._fail(problem)
                case QueryFailed(problem):
                    # It may concern this job alone: the others are asked for all the same.
                    failures[job_id] = problem
        return failures

    def _has_time(self, deadline: float) -> bool:
        return time.monotonic() < deadline - MIN_SECONDS_TO_ASK

    def _fail(self, problem: Problem) -> None:
        seconds = THROTTLE_SECONDS if problem.code == RATE_LIMITED else self._window_seconds
        self._failure = (self._clock() + seconds, problem)
