"""Reads Commvault's jobs for a whole batch with few calls: SaaS allows a tenant 1,000 reading calls an hour.

Rows that were read are reused for a while, the *window*. A lone job is read by its ID, several from the list, and a page
of the list is read as soon as the jobs still missing, and those read by ID in this window, are more than the pages that
are left. Where many jobs are polled, one that began after the first page was read lets that page be read again: it has the
newest jobs. So a window costs at most two calls for every page of the list, however the messages fall into batches, one
for each minute in which jobs began, and one for each job that the list does not show.
"""

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from rds_snap_backup.commvault.answers import THROTTLE_SECONDS
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.job_lists import JobList, Page, Position
from rds_snap_backup.commvault.jobs import PAGE, get_job, list_jobs, list_page
from rds_snap_backup.commvault.queries import QueryFailed, is_of_the_call
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Scan
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem

MAX_WINDOW_SECONDS = 60
# From this number of jobs on a window lasts longer by this factor.
MANY_JOBS = 20
MANY_FACTOR = 5
LOOK_BACK_MARGIN_SECONDS = 240
MIN_SECONDS_TO_ASK = 2
# Jobs that the list does not show are gone or brand-new: few, and should they be many, they take turns.
MAX_BY_ID = 20
RATE_LIMITED = "HTTP_429"
# Reading takes this long in a run at most, so that requests get their turn; and this long in the run after one in which
# Commvault was too slow for that.
READ_SECONDS = 10.0
LONG_READ_SECONDS = 32.0
# Of that for the list. Jobs that it does not show in this time have the rest, so that each is read at some time.
LIST_SHARE = 0.7
# The answer to a call for the list cannot be used: a call for one job may still be.
OF_THE_LIST = frozenset({"UNREADABLE_ANSWER", "JOB_LIST_TOO_LONG", "HTTP_200", "TIMED_OUT"})

NOT_ASKED = Problem("NOT_ASKED", "There was no time to ask for the job.", "It is polled again automatically.")


@dataclass(slots=True)
class Window:
    """What was asked since `begun`: the rows of the list up to `end` of `total`, and the number of jobs read by ID.

    `newest` is when the list's first page was read last, 0 if it was not.
    """

    begun: float = 0
    look_back: float = 0
    newest: float = 0
    end: int = 0
    total: int = 1
    by_id: int = 0

    @property
    def pages_left(self) -> int:
        """How many pages of the list were not read; 1 before the first page is read, when that is not known."""
        return -((self.end - self.total) // PAGE) if self.end < self.total else 0


@dataclass(slots=True)
class Known:
    """What a sandbox has read recently: rows with the time they were read, and the unknown statuses it has logged."""

    rows: dict[str, tuple[float, Job]] = field(default_factory=dict)
    statuses: set[str] = field(default_factory=set)


class JobReader:
    """Reads jobs for one sandbox. `first_poll_seconds` is the shortest pause between two polls of a job."""

    def __init__(self, commvault: Commvault, first_poll_seconds: float, clock: Callable[[], float]) -> None:
        self._commvault = commvault
        self._shortest = min(first_poll_seconds, MAX_WINDOW_SECONDS)
        self._clock = clock
        self._window = Window()
        self._known = Known()
        self._listing: Listing | None = None
        self._failure: tuple[float, Problem] | None = None
        self._is_slow = False
        self._is_long = False

    def read(self, asked: Sequence[JobsWanted], seconds_left: float) -> list[JobsRead]:
        """Read what a batch of submissions wants, in a run that has `seconds_left`."""
        # Never two long runs in a row: the requests of the batch wait meanwhile.
        self._is_long = self._is_slow and not self._is_long
        self._is_slow = False
        budget = LONG_READ_SECONDS if self._is_long else READ_SECONDS
        self._forget(self._clock())
        deadline = time.monotonic() + min(budget, seconds_left)
        listings = [self._list(wanted, deadline) if wanted.clients else None for wanted in asked]
        polled = {job_id: wanted.since for wanted in asked for job_id in wanted.job_ids}
        absent, problems = self._poll(polled, deadline) if polled else (set(), {})
        return [
            self._result(wanted, listing, absent, problems) for wanted, listing in zip(asked, listings, strict=True)
        ]

    def _result(
        self, wanted: JobsWanted, listing: Listing | Problem | None, absent: set[str], problems: dict[str, Problem]
    ) -> JobsRead:
        rows = {job_id: self._known.rows[job_id][1] for job_id in wanted.job_ids if job_id in self._known.rows}
        problem = next((problems[job_id] for job_id in wanted.job_ids if job_id in problems), None)
        missing = frozenset(absent.intersection(wanted.job_ids))
        if isinstance(listing, Problem):
            return JobsRead(self._clock(), rows, missing, problem=listing)
        return JobsRead(self._clock(), rows, missing, listing, problem)

    # ---- Lists for what is in doubt

    def _list(self, wanted: JobsWanted, deadline: float) -> Listing | Problem:
        """Read the jobs since an attempt, page by page across runs where the list is long."""
        now, last, scan = self._clock(), self._listing, wanted.scan
        if (
            last
            and scan is None
            and last.begun > now - self._window_seconds
            and last.begun >= wanted.fresh
            and last.since <= wanted.since
            and set(wanted.clients) <= set(last.clients)
        ):
            return last
        if not self._may_ask():
            return self._failure[1] if self._failure else NOT_ASKED
        if not self._has_time(deadline):
            return NOT_ASKED
        scan = scan or Scan(now, wanted.since, wanted.clients, {})
        position = Position.from_json(scan.place) if scan.place else None
        look_back = now - scan.since + LOOK_BACK_MARGIN_SECONDS
        match list_jobs(self._commvault, scan.clients, look_back, deadline, position):
            case JobList(rows, place):
                self._remember(rows)
                left = None
                if place:
                    is_nameless = any(row.is_backup and not row.has_ended and not all(row.names) for row in rows)
                    left = replace(scan, place=place.to_json(), has_nameless=scan.has_nameless or is_nameless)
                listing = Listing(rows, scan.begun, scan.since, scan.clients, left, scan.has_nameless)
                if wanted.scan is None and left is None:
                    self._listing = listing
                return listing
            case Unauthorized(problem) | QueryFailed(problem):
                self._fail(problem)
                return problem

    # ---- Polls

    def _poll(self, wanted: dict[str, float], deadline: float) -> tuple[set[str], dict[str, Problem]]:
        """Read jobs, given with the times of their attempts; return IDs that do not exist, and why others were not read."""
        now = self._clock()
        unread = {job_id: since for job_id, since in wanted.items() if job_id not in self._known.rows}
        absent: set[str] = set()
        problems: dict[str, Problem] = {}
        if unread and self._may_ask():
            if self._window.begun <= now - self._window_seconds:
                self._window = Window(now, now - min(unread.values()) + LOOK_BACK_MARGIN_SECONDS)
            begun = time.monotonic()
            self._read_list(unread, begun + (deadline - begun) * LIST_SHARE)
            absent, problems = self._read_by_id(unread.keys() - self._known.rows.keys(), deadline)
        otherwise = self._failure[1] if self._failure else NOT_ASKED
        left = unread.keys() - self._known.rows.keys() - absent - problems.keys()
        return absent, problems | dict.fromkeys(left, otherwise)

    def _read_list(self, wanted: dict[str, float], deadline: float) -> None:
        """Read what is worth it of the list: its first page again for new jobs where there are many, then further ones."""
        window, unread = self._window, set(wanted)
        if len(self._known.rows) >= MANY_JOBS and 0 < window.newest < max(wanted.values()):
            self._read_page(0, deadline)
        while unread := unread - self._known.rows.keys():
            if not 0 < window.pages_left < len(unread) + window.by_id or not self._has_time(deadline):
                break
            page = self._read_page(window.end, deadline)
            if page is None:
                break
            window.end, window.total = page.end, page.total
        self._is_slow = self._is_slow or bool(unread and not self._has_time(deadline))

    def _read_page(self, offset: int, deadline: float) -> Page | None:
        """Read a page of the list and remember its rows; None where that failed."""
        window, now = self._window, self._clock()
        match list_page(self._commvault, window.look_back, offset, deadline):
            case Page(rows) as page:
                window.newest = window.newest if offset else now
                self._remember(rows)
                return page
            case QueryFailed(problem) if is_of_the_call(problem) or problem.code in OF_THE_LIST:
                logger.warning("The job list cannot be used; jobs are read one by one", error=problem.to_json())
                self._is_slow = self._is_slow or problem.code == "TIMED_OUT"
                window.total = window.end
            case Unauthorized(problem) | QueryFailed(problem):
                self._fail(problem)
        return None

    def _read_by_id(self, unread: Collection[str], deadline: float) -> tuple[set[str], dict[str, Problem]]:
        absent: set[str] = set()
        problems: dict[str, Problem] = {}
        for job_id in random.sample(sorted(unread), min(len(unread), MAX_BY_ID)):  # nosec B311 # no secret
            if self._failure or not self._has_time(deadline):
                break
            self._window.by_id += 1
            match get_job(self._commvault, job_id, deadline):
                case Job() as job:
                    self._remember([job])
                case None:
                    absent.add(job_id)
                case QueryFailed(problem) if problem.code != RATE_LIMITED:
                    # It may concern this job only: the others are asked for nevertheless.
                    problems[job_id] = problem
                    self._is_slow = self._is_slow or problem.code == "TIMED_OUT"
                case Unauthorized(problem) | QueryFailed(problem):
                    self._fail(problem)
        return absent, problems

    # ---- What is known

    @property
    def _window_seconds(self) -> float:
        return self._shortest * (MANY_FACTOR if len(self._known.rows) >= MANY_JOBS else 1)

    def _remember(self, rows: Collection[Job]) -> None:
        now = self._clock()
        for job in rows:
            self._known.rows[job.id] = (now, job)
            if not job.is_known and job.status not in self._known.statuses:
                self._known.statuses.add(job.status)
                logger.warning("An unknown job status counts as running", job_id=job.id, status=job.status)

    def _forget(self, now: float) -> None:
        if self._failure and now >= self._failure[0]:
            self._failure = None
        oldest = now - self._window_seconds
        self._known.rows = {job_id: read for job_id, read in self._known.rows.items() if read[0] > oldest}

    def _may_ask(self) -> bool:
        """Return whether to ask: a server that has just failed is not asked again for every message."""
        return self._failure is None

    def _has_time(self, deadline: float) -> bool:
        return time.monotonic() < deadline - MIN_SECONDS_TO_ASK

    def _fail(self, problem: Problem) -> None:
        self._is_slow = problem.code in {"TIMED_OUT", "JOB_LIST_TOO_SLOW"}
        # A slow server is asked again in the next run, which has more time.
        seconds = THROTTLE_SECONDS if problem.code == RATE_LIMITED else 0 if self._is_slow else self._shortest
        self._failure = (self._clock() + seconds, problem)
