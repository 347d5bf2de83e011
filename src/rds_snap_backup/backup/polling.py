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
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import QueryFailed, is_of_the_call
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Submission
from rds_snap_backup.sightings import Sight
from rds_snap_backup.submission import Look

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
class RecentList:
    """A list for what is in doubt: when its reading began, how far back it goes, whose jobs it has for certain."""

    begun: float
    since: float
    clients: frozenset[str]
    jobs: JobList


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
        self._listing: RecentList | None = None
        self._failure: tuple[float, Problem] | None = None
        self._is_slow = False
        self._is_long = False

    def read(self, asked: Sequence[tuple[Submission, Look]], seconds_left: float) -> list[Sight]:
        """Read what a batch of submissions looks for, in a run that has `seconds_left`."""
        # Never two long runs in a row: the requests of the batch wait meanwhile.
        self._is_long = self._is_slow and not self._is_long
        self._is_slow = False
        budget = LONG_READ_SECONDS if self._is_long else READ_SECONDS
        self._forget(self._clock())
        deadline = time.monotonic() + min(budget, seconds_left)
        listings = [self._list(submission, look, deadline) for submission, look in asked]
        wanted = {job_id: look.since for _, look in asked for job_id in look.job_ids}
        absent, problems = self._poll(wanted, deadline) if wanted else (set(), {})
        return [
            # A list that could not be read on is read on later.
            replace(sight, scan=submission.scan) if isinstance(listing, Problem) else sight
            for (submission, look), listing in zip(asked, listings, strict=True)
            for sight in [self._sight(look, listing, absent, problems)]
        ]

    def _sight(
        self, look: Look, listing: RecentList | Problem | None, absent: set[str], problems: dict[str, Problem]
    ) -> Sight:
        rows = {job_id: self._known.rows[job_id][1] for job_id in look.job_ids if job_id in self._known.rows}
        problem = next((problems[job_id] for job_id in look.job_ids if job_id in problems), None)
        missing = absent.intersection(look.job_ids)
        match listing:
            case RecentList(begun, jobs=JobList(listed, position)):
                scan = {**position.to_json(), "begun": begun} if position else None
                listed_since = 0.0 if position else begun
                return Sight(self._clock(), rows, frozenset(missing), listed, listed_since, scan, problem)
            case Problem():
                return Sight(self._clock(), rows, frozenset(missing), problem=listing)
            case None:
                return Sight(self._clock(), rows, frozenset(missing), problem=problem)

    # ---- Lists for what is in doubt

    def _list(self, submission: Submission, look: Look, deadline: float) -> RecentList | Problem | None:
        """Read the jobs since an attempt, page by page across runs where the list is long."""
        if not look.clients:
            return None
        now, last = self._clock(), self._listing
        scan = submission.scan
        clients = frozenset(look.clients)
        is_recent = last and last.begun > now - self._window_seconds
        if scan is None and last and is_recent and last.since <= look.since and clients <= last.clients:
            return last
        if not self._may_ask():
            return self._failure[1] if self._failure else NOT_ASKED
        if not self._has_time(deadline):
            return NOT_ASKED
        position = Position.from_json(scan) if scan else None
        since = look.since - LOOK_BACK_MARGIN_SECONDS
        match list_jobs(self._commvault, clients, now - since, deadline, position):
            case JobList() as jobs:
                self._remember(jobs.rows)
                begun = float(scan.get("begun", now)) if scan else now
                listing = RecentList(begun, look.since, clients, jobs)
                if scan is None and jobs.next is None:
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
