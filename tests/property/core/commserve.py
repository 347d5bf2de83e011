"""An adversarial CommServe for the simulation: what it truly does, and what it shows of it, late and by another clock."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from random import Random

from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.levels import FULLNESS, covers
from rds_snap_backup.core.outcomes import (
    AlreadyRunning,
    Failed,
    Outcome,
    Rejected,
    Scheduled,
    Submitted,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from rds_snap_backup.core.subclients import Subclient
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest

WHY = Problem("WHY", "why", "hint")
UNREADABLE = Problem("UNREADABLE", "Commvault cannot be read.", "hint")
STATUSES = ("Completed",) * 6 + ("Completed w/ one or more errors", "Failed", "Failed", "Killed")
ENDS = {
    "Completed": "completed",
    "Completed w/ one or more errors": "completed_with_errors",
    "Failed": "failed",
    "Killed": "killed",
}
# Commvault lists the jobs that run, and those that ended since a time; the reader asks for this much more.
LIST_MARGIN_SECONDS = 240


@dataclass
class TrueJob:
    """A job as it truly is. `cause` is a submission's key and the number of its attempt; None: a foreign job."""

    id: str
    association: Association
    level: str
    cause: tuple[str, int] | None
    created: float
    begin: float
    end: float
    status: str
    visible: float
    has_names: bool = True


@dataclass
class Faults:
    """How often each fault happens, drawn once for a simulation."""

    lost: float = 0
    refused: float = 0
    unreadable: float = 0
    late: float = 0
    queued: float = 0
    partial: float = 0
    few_ids: float = 0
    paged: float = 0
    cached: float = 0
    strange: float = 0
    nameless: float = 0
    flickering: float = 0
    contended: float = 0

    @classmethod
    def draw(cls, rng: Random) -> "Faults":
        """Return faults of which about half do not happen in this simulation."""
        return cls(*(rng.choice((0.0, 0.05, 0.2, 0.5)) * rng.random() * (rng.random() < 0.6) for _ in fields(cls)))


@dataclass
class CommServe:
    """Jobs and answers. `skew`: its own clock minus the clock of its web server, which is ours."""

    rng: Random
    faults: Faults
    skew: float
    reconcile: float
    # What happens to a request for a subclient of which a job runs.
    when_busy: str
    shows_users: bool = False
    durations: tuple[float, ...] = (1, 30, 600, 600, 5000, 30_000)
    statuses: tuple[str, ...] = STATUSES
    unknown: set[str] = field(default_factory=set)
    ineligible: set[str] = field(default_factory=set)
    jobs: dict[str, TrueJob] = field(default_factory=dict)
    next_id: int = 100
    # An ID that its subclient's item knows is not counted again: then no job of that ID would ever be adopted.
    items: dict[str, Subclient] = field(default_factory=dict)
    # Schedules that exist, by submission and association; attempts whose answer named an ID of another subclient.
    schedules: Counter[tuple[str, str]] = field(default_factory=Counter)
    misnamed: set[tuple[str, int]] = field(default_factory=set)

    def calm(self, now: float) -> None:
        """Let nothing go wrong from now on, and no job run for more than some hours."""
        self.faults, self.durations, self.statuses = Faults(), (600,), ("Completed",)
        for job in self.jobs.values():
            job.begin = min(job.begin, max(now, job.created))
            job.end = min(job.end, max(now, job.begin) + 30_000)

    # ---- Requests

    def create_task(self, request: BackupRequest, cause: tuple[str, int], now: float) -> Outcome:
        """Do what a request asks for, or not; the answer says so, or not."""
        rng, faults = self.rng, self.faults
        if rng.random() < faults.refused:
            return rng.choice((Unavailable(WHY), Failed(WHY), Unauthorized(WHY), Throttled(WHY, rng.choice((30, 900)))))
        wanted = request.associations
        bad = [association for association in wanted if association.key in self.unknown | self.ineligible]
        busy = [association for association in wanted if self.when_busy == "refuse" and self._is_busy(association, now)]
        good = [association for association in wanted if association not in bad and association not in busy]
        is_lost = rng.random() < faults.lost
        if request.task_type == "SCHEDULE":
            if bad:
                return Unknown(WHY) if is_lost else Rejected(WHY, blames_names=True)
            if not is_lost or rng.random() < 0.5:
                self.schedules.update((cause[0], association.key) for association in wanted)
            return Unknown(WHY) if is_lost else Scheduled(7)
        if bad or busy:
            if rng.random() < faults.partial:
                started = self._start(rng.sample(good, rng.randint(0, len(good))), request, cause, now)
                if started and rng.random() < 0.5 and not is_lost:
                    return self._named(started, cause)
            if is_lost:
                return Unknown(WHY)
            return Rejected(WHY, blames_names=True) if bad else AlreadyRunning(WHY)
        if is_lost:
            accepted = rng.choice((wanted, wanted, (), rng.sample(wanted, rng.randint(0, len(wanted)))))
            self._start(accepted, request, cause, now)
            return Unknown(WHY)
        return self._named(self._start(wanted, request, cause, now), cause)

    def start_foreign(self, association: Association, level: str, now: float, seconds: float) -> None:
        """Let Commvault's own schedule start a job."""
        job = self._new(association, level, None, now)
        job.begin, job.end, job.visible = now, now + seconds, now

    def restore(self, count: int) -> bool:
        """Restore Commvault's database: forget the last jobs and count their IDs again. Tells whether there were any."""
        gone = [self.jobs.pop(job_id) for job_id in sorted(self.jobs, key=int)[-count:]]
        self.next_id = min((int(job.id) for job in gone), default=self.next_id)
        return bool(gone)

    def _is_busy(self, association: Association, now: float) -> bool:
        return any(job.association.key == association.key and job.end > now for job in self.jobs.values())

    def _named(self, started: list[TrueJob], cause: tuple[str, int]) -> Submitted:
        rng, ids = self.rng, [job.id for job in started]
        rng.shuffle(ids)
        if rng.random() < self.faults.few_ids:
            ids = ids[: rng.randint(1, len(ids))]
        if rng.random() < self.faults.strange:
            # A repeated ID, or one of another subclient's job.
            keys = {job.association.key for job in started}
            others = [job.id for job in self.jobs.values() if job.has_names and job.association.key not in keys]
            ids.append(rng.choice([ids[0], *others]))
            self.misnamed |= {cause} if ids[-1] in others else set()
        return Submitted(tuple(ids), 402)

    def _start(
        self, associations: Iterable[Association], request: BackupRequest, cause: tuple[str, int], now: float
    ) -> list[TrueJob]:
        rng, faults = self.rng, self.faults
        started = []
        for association in associations:
            job = self._new(association, request.backup_level, cause, now)
            wait: float = rng.choice((5, 60, 300, 1500)) if rng.random() < faults.queued else 0
            if self.when_busy == "queue":
                ends = [other.end for other in self.jobs.values() if other.association.key == association.key]
                wait = max([wait, *(end - now for end in ends[:-1])])
            job.begin = now + wait
            job.end = job.begin + rng.choice(self.durations)
            if rng.random() < faults.late:
                job.visible = now + rng.choice((5, 60, self.reconcile * rng.random(), self.reconcile * 2))
            job.has_names = rng.random() >= faults.nameless
            started.append(job)
        return started

    def _new(self, association: Association, level: str, cause: tuple[str, int] | None, now: float) -> TrueJob:
        rng = self.rng
        if level in FULLNESS and rng.random() < 0.1:
            level = rng.choice([fuller for fuller in FULLNESS if covers(fuller, level)])
        item = self.items.get(association.key)
        while item and str(self.next_id) in item.known_ids:
            self.next_id += 1
        job = TrueJob(str(self.next_id), association, level, cause, now, now, now, rng.choice(self.statuses), now)
        self.next_id += 1
        self.jobs[job.id] = job
        return job

    # ---- Rows

    def row(self, job_id: str, now: float) -> Job | None:
        """Return what is shown of a job, which may be nothing now and something a moment later."""
        job = self.jobs.get(job_id)
        if job is None or job.visible > now or self.rng.random() < self.faults.flickering:
            return None
        return self._show(job, now)

    def rows(self, client: str, since: float, now: float) -> list[Job]:
        """Return the list of a client's jobs that run, or ended since then."""
        since -= LIST_MARGIN_SECONDS
        return [
            self._show(job, now)
            for job in self.jobs.values()
            if job.visible <= now and job.association.client_name == client and (job.end > now or job.end >= since)
        ]

    def _show(self, job: TrueJob, now: float) -> Job:
        has_begun, has_ended = job.begin <= now, job.end <= now
        names = job.association.names
        if not (job.has_names or has_ended):
            names = (names[0], "", "") if int(job.id) % 3 else ("", "", "")
        # A queued job shows no start, or the time at which it was created.
        started = job.begin if has_begun else (0, job.created)[int(job.id) % 2]
        status = job.status if has_ended else "Running" if has_begun else "Queued"
        return Job(
            job.id,
            *names,
            job.level,
            True,
            status,
            started and started + self.skew,
            job.end + self.skew if has_ended else 0,
            ("product", "another")[job.cause is None] if self.shows_users else "",
            "It could not be done." if has_ended and job.status == "Failed" else "",
        )
