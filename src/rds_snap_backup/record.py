"""The record of a submission, and the small steps that change it. Pure. `submission.py` says when they are taken."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, TaskType
from rds_snap_backup.triggers import Trigger

type End = Literal[
    "scheduled", "joined", "completed", "completed_with_errors", "killed", "lost", "failed", "rejected", "abandoned"
]
type State = Literal["waiting", "requested", "running"] | End
# Every change of state. `requested` holds what is out and what is in doubt; the last two lines are a redrive.
TRANSITIONS: Mapping[State, Mapping[State, str]] = {
    "waiting": {
        "requested": "attempt",
        "joined": "satisfied by another job",
        "rejected": "left the document",
        "abandoned": "time is over",
    },
    "requested": {
        "running": "job ID or adopted",
        "scheduled": "taskType SCHEDULE",
        "waiting": "certainly not accepted",
        "rejected": "refused for good",
        "abandoned": "time is over",
        "lost": "its jobs are missing",
    },
    "running": {
        "completed": "",
        "completed_with_errors": "",
        "killed": "",
        "failed": "no tries left",
        "lost": "",
        "waiting": "failed, tries left",
        "requested": "rows show no job of it",
    },
    "rejected": {"waiting": "redrive"},
    "abandoned": {"waiting": "redrive", "requested": "redrive, in doubt"},
}
OPEN: frozenset[State] = frozenset({"waiting", "requested", "running"})
COMPLETED: frozenset[State] = frozenset({"completed", "completed_with_errors"})
SUCCEEDED: frozenset[State] = frozenset({"completed", "scheduled"})
REOPENABLE: frozenset[State] = frozenset({"rejected", "abandoned"})
MINUTE, HOUR, DAY = 60, 3600, 86400
# The function's timeout (50 s) and 30 s.
LEASE_SECONDS = 80
MAX_PAUSE, MAX_LATE_PAUSE = 15 * MINUTE, HOUR
MAX_EXCUSED_SECONDS = 72 * HOUR
# The CommServe's clock may differ by this much from its web server's, the one that we see.
CLOCK_SKEW_SECONDS = 120
MISSING_SECONDS = 600
LOST_MESSAGE_SECONDS = HOUR
MAX_KNOWN_IDS = 5


@dataclass(frozen=True)
class Policy:
    """The stack's settings that the rules need, in seconds."""

    retry_seconds: float
    follow_seconds: float
    first_retry_seconds: float
    first_poll_seconds: float
    reconcile_seconds: float
    settle_seconds: float

    @property
    def missing_seconds(self) -> float:
        """How long a job must be missing from complete reads before it is lost."""
        return max(MISSING_SECONDS, self.reconcile_seconds)


@dataclass(frozen=True)
class Pin:
    """What is sent, apart from the associations, and the target's cool-down and retries."""

    level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify: bool = True
    cool_down_seconds: float = 0
    retries: int = 0


@dataclass(frozen=True)
class JobFacts:
    """A backup's job. `started` is 0 where no row has shown it."""

    id: str
    started: float = 0
    ended: float = 0
    level: str = ""
    reason: str = ""


type Doubt = Literal["unknown", "refused", "running"]


@dataclass(frozen=True)
class Attempt:
    """One CreateTask request. `ended` is 0 until its outcome is recorded or its lease is over.

    `job_ids` are those that the answer named; `matched` those of them whose backup is known, `foreign` those that are
    another submission's or subclient's job.
    `doubt` says why a backup of it can be in doubt: no answer, a refused group, or a group with a running job.
    """

    number: int
    level: str
    began: float
    ended: float = 0
    job_ids: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    task_id: int | None = None
    doubt: Doubt | None = None
    error: Problem | None = None
    missing_since: float = 0
    is_none_believed: bool = False


@dataclass(frozen=True)
class Backup:
    """One association of a submission.

    `moment` is what a job must begin after to satisfy it. `due` is when it needs attention next. `is_in_doubt`: a
    request for it may have been accepted, and its job is not known. `level` is the least level of the next attempt.
    `since` and the `excused` seconds measure RetryHours; `held_since` begins an excused wait.
    """

    association: Association
    moment: float
    due: float
    since: float
    state: State = "waiting"
    is_in_doubt: bool = False
    attempt: int = 0
    level: str = ""
    pauses: int = 0
    refusals: int = 0
    failures: int = 0
    excused: float = 0
    excused_before: float = 0
    held_since: float = 0
    job: JobFacts | None = None
    running_since: float = 0
    missing_since: float = 0
    is_reconciled: bool = False
    joined: str = ""
    error: Problem | None = None

    @property
    def key(self) -> str:
        """The association's key."""
        return self.association.key

    @property
    def is_open(self) -> bool:
        """Whether it has no end yet."""
        return self.state in OPEN


@dataclass(frozen=True)
class Notice:
    """The facts of one notification that is still to be published; `backups` are keys of associations.

    `letter` is the number of the dead letter that goes with it, 0 for none.
    """

    status: str
    at: float
    backups: tuple[str, ...]
    attempt: int = 0
    level: str = ""
    job_ids: tuple[str, ...] = ()
    task_id: int | None = None
    submitted_at: float = 0
    is_reconciled: bool = False
    letter: int = 0
    error: Problem | None = None
    retry_at: float = 0
    started: float = 0
    ended: float = 0
    reason: str = ""


@dataclass(frozen=True)
class Submission:
    """Everything that is known of one trigger for one target. `error` is set where it was rejected without backups."""

    trigger: Trigger
    target: str
    created: float
    opened: float
    pin: Pin = Pin()
    backups: tuple[Backup, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    attempt_count: int = 0
    outbox: tuple[Notice, ...] = ()
    letters: int = 0
    opened_letter: int = 0
    cut_offs: int = 0
    is_settled: bool = False
    error: Problem | None = None
    # Where a list of jobs that is too long for one run is read on, and when its reading began.
    scan: Mapping[str, Any] | None = None
    woken: float = 0
    # The version that the ledger has; the run and number of the write that made it.
    version: int = 0
    write_id: str = ""

    @property
    def key(self) -> str:
        """The ledger's key. The kind is part of it, so that no kind can take another's identity."""
        return submission_key(self.target, self.trigger)

    @property
    def is_over(self) -> bool:
        """Whether all backups have an end and nothing is unpublished."""
        return not self.outbox and not any(backup.is_open for backup in self.backups)

    @property
    def wake_at(self) -> float:
        """When it needs attention next; the time of the oldest notice while one is unpublished."""
        if self.outbox:
            return self.outbox[0].at
        return min((self._due(backup) for backup in self.backups if backup.is_open), default=0)

    @property
    def lease_end(self) -> float:
        """When the lease of the run that sends for it is over; 0 where nothing is out."""
        return max((attempt.began + LEASE_SECONDS for attempt in self.attempts if self.has_out(attempt)), default=0)

    @property
    def last_due(self) -> float:
        """When something of it was due last. A backup may have waited for long while a neighbour's attempts went on."""
        ends = [attempt.ended or attempt.began + LEASE_SECONDS for attempt in self.attempts]
        return max(self.created, self.wake_at, *ends)

    def attempt_of(self, backup: Backup) -> Attempt:
        """Return the last attempt of a backup that has had one."""
        return next(attempt for attempt in self.attempts if attempt.number == backup.attempt)

    def backup_of(self, key: str) -> Backup | None:
        """Return the backup of an association, by its key."""
        return next((backup for backup in self.backups if backup.key == key), None)

    def unassigned(self, attempt: Attempt) -> tuple[str, ...]:
        """Return the job IDs of an attempt's answer that no row has shown yet."""
        return tuple(job_id for job_id in attempt.job_ids if job_id not in (*attempt.matched, *attempt.foreign))

    def is_stuck(self, now: float) -> bool:
        """Tell whether its message must be lost: it is open, and nothing has gone on for an hour."""
        return not self.is_over and self.last_due + LOST_MESSAGE_SECONDS < now

    def request(self, attempt: Attempt) -> BackupRequest:
        """Return what an attempt that is out sends."""
        associations = tuple(backup.association for backup in self.backups if is_out(backup, attempt))
        return BackupRequest(associations, attempt.level, self.pin.task_type, self.pin.notify)

    def has_out(self, attempt: Attempt) -> bool:
        """Tell whether the request of an attempt is out: sent, or about to be, without a recorded outcome."""
        return not attempt.ended and any(is_out(backup, attempt) for backup in self.backups)

    def _due(self, backup: Backup) -> float:
        if backup.state == "requested" and not (attempt := self.attempt_of(backup)).ended:
            return attempt.began + LEASE_SECONDS
        return backup.due


@dataclass(frozen=True)
class CompletedJob:
    """The last completed job of a subclient, and the key of the submission whose job it is."""

    id: str
    started: float
    level: str
    submission: str


@dataclass(frozen=True)
class Subclient:
    """The ledger's item of one subclient: who claimed it last, the last IDs that claimers got, the last completed job.

    `key` is the association's key and `version` the version that was read, 0 where there is no item.
    """

    key: str
    version: int = 0
    claimer: str = ""
    known_ids: tuple[str, ...] = ()
    completed: CompletedJob | None = None

    def knowing(self, *job_ids: str) -> "Subclient":
        """Return it with these IDs among the last that claimers got."""
        new = [job_id for job_id in job_ids if job_id not in self.known_ids]
        return replace(self, known_ids=(*self.known_ids, *new)[-MAX_KNOWN_IDS:]) if new else self

    def with_completed(self, job: CompletedJob) -> "Subclient":
        """Return it with a completed job, unless it has a later one."""
        if self.completed and self.completed.started >= job.started:
            return self
        return replace(self, completed=job)


type Subclients = Mapping[str, Subclient]


@dataclass(frozen=True)
class Change:
    """A changed submission, and the changed subclient items that are saved with it in one transaction."""

    submission: Submission
    subclients: tuple[Subclient, ...] = ()


def submission_key(target: str, trigger: Trigger) -> str:
    """Return the ledger's key of a trigger for a target."""
    return f"submission#{target}#{trigger.kind}#{trigger.id}"


# ---- Small steps


def moved(backup: Backup, state: State) -> Backup:
    """Change a backup's state; only the changes in `TRANSITIONS` exist."""
    if state not in TRANSITIONS.get(backup.state, {}):
        raise ValueError(f"a backup that is {backup.state} does not become {state}")
    return replace(backup, state=state)


def with_job(backup: Backup, job: JobFacts | None, now: float) -> Backup:
    """Let a backup run; `job` is None where no row has shown yet which job is its."""
    running = backup if backup.state == "running" else moved(backup, "running")
    return replace(
        released(running, now),
        job=job,
        running_since=backup.running_since or now,
        is_in_doubt=False,
        due=now,
        pauses=0,
        missing_since=0,
        error=None,
    )


def is_out(backup: Backup, attempt: Attempt) -> bool:
    """Tell whether a backup belongs to the request of an attempt that is out."""
    return backup.state == "requested" and backup.attempt == attempt.number and not backup.is_in_doubt


def may_have_job(submission: Submission, backup: Backup) -> bool:
    """Tell whether a backup has a job, or one of the IDs that an answer named may be its."""
    if backup.state == "running" or backup.job:
        return True
    return backup.state == "requested" and bool(submission.unassigned(submission.attempt_of(backup)))


def earliest_start(attempt: Attempt, job: JobFacts) -> float:
    """Return the earliest time at which a job can have begun: its row has the CommServe's clock."""
    return max(job.started - CLOCK_SKEW_SECONDS, attempt.began)


def next_pause(first: float, pauses: int, submission: Submission, now: float) -> float:
    """Return the pause before the next try or poll: it doubles up to 15 minutes, an hour from a day after creation on."""
    longest = MAX_PAUSE if now < submission.created + DAY else MAX_LATE_PAUSE
    return min(first * 2.0 ** min(pauses, 20), longest)


def time_tried(backup: Backup, now: float) -> float:
    """Return how long a backup was tried, without the excused time, of which there are 72 h at most."""
    held = now - backup.held_since if backup.held_since else 0
    excused = min(backup.excused + held, MAX_EXCUSED_SECONDS)
    return now - backup.since - max(0, excused - backup.excused_before)


def released(backup: Backup, now: float) -> Backup:
    """End an excused wait."""
    if not backup.held_since:
        return backup
    return replace(backup, excused=backup.excused + now - backup.held_since, held_since=0)


def on_hold(backup: Backup, problem: Problem, until: float, now: float) -> Backup:
    """Begin or continue an excused wait."""
    return replace(backup, due=until, pauses=backup.pauses + 1, held_since=backup.held_since or now, error=problem)


def end_each(
    submission: Submission, backups: list[Backup], problem: Problem, now: float, state: End = "abandoned"
) -> Submission:
    """End backups that have no job, with one notice and one dead letter."""
    if not backups:
        return submission
    submission = map_chosen(
        submission, backups, lambda backup: replace(released(moved(backup, state), now), error=problem)
    )
    return with_letter(submission, state, backups, problem, now)


def with_letter(
    submission: Submission, status: End, backups: Iterable[Backup], problem: Problem, now: float
) -> Submission:
    """Add the notice of backups that have ended without a job, and of the next dead letter."""
    letter = submission.letters + 1
    backups = list(backups)
    number = max((backup.attempt for backup in backups), default=0)
    notice = Notice(
        status, now, keys_of(backups), number, submission.pin.level if backups else "", letter=letter, error=problem
    )
    return with_notice(replace(submission, letters=letter), notice)


def notice_of(
    status: str, attempt: Attempt, backups: Iterable[Backup], now: float, task_id: int | None = None
) -> Notice:
    """Return the notice of backups that an attempt has started."""
    return Notice(
        status, now, keys_of(backups), attempt.number, attempt.level, task_id=task_id, submitted_at=attempt.began
    )


def with_job_notices(submission: Submission, ended: Iterable[str], now: float) -> Submission:
    """Add a notice for each job that has ended; backups of one attempt that are lost without a known job share one."""
    together: dict[tuple[str, int], list[Backup]] = {}
    for key in ended:
        if backup := submission.backup_of(key):
            together.setdefault((backup.job.id if backup.job else "", backup.attempt), []).append(backup)
    for backups in together.values():
        submission = with_notice(submission, job_notice(submission, backups, now))
    return submission


def job_notice(submission: Submission, backups: list[Backup], now: float) -> Notice:
    """Return the notice of a job that has ended."""
    first = backups[0]
    attempt, job = submission.attempt_of(first), first.job
    return Notice(
        first.state,
        now,
        keys_of(backups),
        attempt.number,
        attempt.level,
        job_ids=(job.id,) if job else submission.unassigned(attempt) or attempt.job_ids,
        task_id=attempt.task_id,
        submitted_at=attempt.began,
        is_reconciled=first.is_reconciled,
        error=first.error,
        started=job.started if job else 0,
        ended=job.ended if job else 0,
        reason=job.reason if job else "",
    )


def with_notice(submission: Submission, notice: Notice) -> Submission:
    """Add a notice to the outbox."""
    return replace(submission, outbox=(*submission.outbox, notice))


def with_attempt(submission: Submission, attempt: Attempt) -> Submission:
    """Replace an attempt by its changed form."""
    attempts = tuple(attempt if known.number == attempt.number else known for known in submission.attempts)
    return replace(submission, attempts=attempts)


def pruned(submission: Submission) -> Submission:
    """Forget attempts that no backup's last one is any more."""
    numbers = {backup.attempt for backup in submission.backups}
    return replace(submission, attempts=tuple(attempt for attempt in submission.attempts if attempt.number in numbers))


def map_backups(submission: Submission, change: Callable[[Backup], Backup]) -> Submission:
    """Change every backup."""
    return replace(submission, backups=tuple(map(change, submission.backups)))


def map_chosen(submission: Submission, chosen: Iterable[Backup], change: Callable[[Backup], Backup]) -> Submission:
    """Change the chosen backups."""
    keys = {backup.key for backup in chosen}
    return map_backups(submission, lambda backup: change(backup) if backup.key in keys else backup)


def keys_of(backups: Iterable[Backup]) -> tuple[str, ...]:
    """Return the keys of the associations of backups."""
    return tuple(backup.key for backup in backups)


def names_of(backups: Iterable[Backup]) -> str:
    """Return the names of backups as a message shows them."""
    associations = [backup.association for backup in backups]
    return ", ".join(" / ".join(association.names) for association in associations)
