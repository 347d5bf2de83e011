"""The record of a submission and every rule that changes it. Pure: no AWS, no HTTP, no clock, no randomness.

Theory of operation. A submission is one trigger for one target. Each of its backups is one association and is in one
`State`; `TRANSITIONS` lists every change of state that exists. A run loads the record and repeats: `elapse` applies the
deadlines that are over, `decide` names the next step, the shell does it, one function here applies what happened, and
the shell saves the record. So wherever a run is killed, the record says what the next run does:

- an attempt is recorded (`start`) before its request leaves, an outcome (`answered`) before it is published;
- an attempt without a recorded outcome is *out*. Its start and LEASE_SECONDS are the lease of the run that sent it.
  When the lease is over, its backups are *in doubt*, because the request may have been accepted;
- a backup in doubt is sent again only when a list of jobs, read after the window of adoption, shows no job of it;
- a notice stays in the outbox until it is published.

Per subclient at most one request is out or in doubt in a stack. The `Subclient` item names the last claimer, and
`start` claims the items of all backups that it sends. Times are Unix seconds on our clock unless a name says otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from rds_snap_backup.commvault.levels import covers
from rds_snap_backup.commvault.outcomes import (
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
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, Target, TaskType
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
MAX_CUT_OFFS = 5
MAX_PAUSE, MAX_LATE_PAUSE = 15 * MINUTE, HOUR
# Of the queue's 14 days: a redriven message keeps its time stamp.
MAX_OPEN_SECONDS = 9 * DAY
MAX_EXCUSED_SECONDS = 72 * HOUR
# The CommServe's clock may differ by this much from its web server's, the one that we see.
CLOCK_SKEW_SECONDS = 120
MISSING_SECONDS = 600
UNASKED_SETTLE_SECONDS = 600
RETRY_PAUSES = 30
LOST_MESSAGE_SECONDS = HOUR
MAX_KNOWN_IDS = 5
# A refused group is sent together once more; refused so again, each of its backups is sent alone.
ALONE = 2
AVAILABLE = frozenset({"available", "storage-optimization"})

LOOK_AT_JOBS = "Look for a job of this subclient in Commvault's job controller before you start one by hand."
RESOLVE = "Resolve that, then redrive the dead letter."


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
    """A backup's job. `is_seen`: a row has matched it. `started` is 0 where no row has shown it."""

    id: str
    is_seen: bool = False
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
        return max((attempt.began + LEASE_SECONDS for attempt in self.attempts if self._is_out(attempt)), default=0)

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
        associations = tuple(backup.association for backup in self.backups if _is_out(backup, attempt))
        return BackupRequest(associations, attempt.level, self.pin.task_type, self.pin.notify)

    def _is_out(self, attempt: Attempt) -> bool:
        return not attempt.ended and any(_is_out(backup, attempt) for backup in self.backups)

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


# ---- The next step


@dataclass(frozen=True)
class Publish:
    """Publish the first notice of the outbox, then apply `published`."""

    notice: Notice


@dataclass(frozen=True)
class Settle:
    """Ask RDS for the status of the trigger's database, then apply `settle`."""


@dataclass(frozen=True)
class Look:
    """Read these jobs and, where clients are given, the jobs since `since`; then apply `see`.

    `keys` are the associations of the backups that it is for.
    """

    job_ids: tuple[str, ...]
    clients: tuple[str, ...]
    since: float
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadInventory:
    """Ask which of these associations Commvault knows, then apply `take_inventory`."""

    associations: tuple[Association, ...]


@dataclass(frozen=True)
class Start:
    """Read the document, the subclient items of `keys` and their claimers, then apply `start`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Do nothing until then."""

    until: float


@dataclass(frozen=True)
class Over:
    """The submission is over: delete its message."""


type Step = Publish | Settle | Look | ReadInventory | Start | Wait | Over


def decide(submission: Submission, now: float) -> Step:
    """Return what a run does next. `elapse` has been applied before."""
    if submission.outbox:
        return Publish(submission.outbox[0])
    if submission.is_over:
        return Over()
    if submission.wake_at > now:
        return Wait(submission.wake_at)
    due = [backup for backup in submission.backups if backup.is_open and backup.due <= now]
    if any(_is_looked_for(submission, backup) for backup in due):
        return _look(submission, now)
    if refused := tuple(backup.association for backup in due if _awaits_inventory(submission, backup)):
        return ReadInventory(refused)
    waiting = tuple(backup.key for backup in due if backup.state == "waiting")
    if waiting and not submission.lease_end:
        if submission.trigger.kind == "rds" and not submission.attempt_count and not submission.is_settled:
            return Settle()
        return Start(waiting)
    return Wait(max(submission.wake_at, submission.lease_end))


def submission_key(target: str, trigger: Trigger) -> str:
    """Return the ledger's key of a trigger for a target."""
    return f"submission#{target}#{trigger.kind}#{trigger.id}"


# ---- Beginning, deadlines, redrive


def begin(trigger: Trigger, target: Target, associations: Iterable[Association], pin: Pin, now: float) -> Submission:
    """Return a new submission; its backups are fixed from now on."""
    return Submission(
        trigger, target.name, now, now, pin, tuple(_new_backup(trigger, one, now) for one in associations)
    )


def reject_trigger(trigger: Trigger, target: str, problem: Problem, now: float) -> Submission:
    """Return the submission of a trigger whose target is unknown or not valid: it is rejected and has no backups."""
    submission = Submission(trigger, target, now, now, error=problem)
    return _with_letter(submission, "rejected", (), problem, now)


def pin_of(target: Target, cool_down_minutes: int, retries: int) -> Pin:
    """Return what a document pins; the numbers are the stack's defaults."""
    minutes = cool_down_minutes if target.cool_down_minutes is None else target.cool_down_minutes
    return Pin(
        target.request.backup_level,
        target.request.task_type,
        target.request.notify_user_on_job_completion,
        minutes * MINUTE,
        retries if target.retry_failed_jobs is None else target.retry_failed_jobs,
    )


def reopen(submission: Submission, letter: int, fresh: Submission, now: float) -> Submission:
    """Open all rejected and abandoned backups again, for a redriven letter of a higher number than the last that did.

    `fresh` is what `begin` makes of the current document: a submission that has no backups takes them from there.
    """
    if letter <= submission.opened_letter:
        return submission
    opened = replace(submission, opened=now, opened_letter=submission.letters, cut_offs=0, error=None)
    if not submission.backups:
        return replace(opened, backups=fresh.backups, pin=fresh.pin)
    return _map(
        opened,
        lambda backup: (
            replace(
                _move(backup, "requested" if backup.is_in_doubt else "waiting"),
                due=now,
                since=now,
                excused=0,
                excused_before=0,
                held_since=now if backup.is_in_doubt else 0,
                pauses=0,
                failures=0,
                refusals=0,
                error=None,
            )
            if backup.state in REOPENABLE
            else backup
        ),
    )


def elapse(submission: Submission, now: float) -> Submission:
    """Apply the deadlines that are over: the lease of an attempt that is out, and the nine days of a submission."""
    for attempt in submission.attempts:
        if submission._is_out(attempt) and now >= attempt.began + LEASE_SECONDS:  # noqa: SLF001
            submission = _cut_off(submission, attempt, now)
    is_open = any(backup.is_open for backup in submission.backups)
    if is_open and now >= submission.opened + MAX_OPEN_SECONDS and not submission.lease_end:
        submission = _expire(submission, now)
    return submission


def _cut_off(submission: Submission, attempt: Attempt, now: float) -> Submission:
    ended = replace(attempt, ended=attempt.began + LEASE_SECONDS, doubt="unknown")
    submission = replace(_with_attempt(submission, ended), cut_offs=submission.cut_offs + 1)
    submission = _map(
        submission,
        lambda backup: (
            replace(backup, is_in_doubt=True, due=now, pauses=0, held_since=attempt.began)
            if _is_out(backup, attempt)
            else backup
        ),
    )
    if submission.pin.task_type == "SCHEDULE":
        return _end_all(submission, lambda backup: backup.attempt == attempt.number, SCHEDULE_UNKNOWN, now)
    if submission.cut_offs >= MAX_CUT_OFFS:
        return _end_all(submission, lambda backup: not _may_have_named_job(submission, backup), RUNS_CUT_OFF, now)
    return submission


def _expire(submission: Submission, now: float) -> Submission:
    """End what is still open after nine days: what has no job is abandoned, what runs is lost."""
    lost = [backup for backup in submission.backups if backup.is_open and _may_have_named_job(submission, backup)]
    ended = _end_all(submission, lambda backup: not _may_have_named_job(submission, backup), OPEN_TOO_LONG, now)
    ended = _each(ended, lost, lambda backup: replace(_move(backup, "lost"), error=NOT_FOLLOWED, is_in_doubt=False))
    return _job_notices(ended, _keys(lost), now)


# ---- Settling


type DatabaseStatus = str | Problem | None


def settle(submission: Submission, status: DatabaseStatus, policy: Policy, now: float) -> Submission:
    """Go on, or wait for the event's database. `status` is None where RDS does not know it, a problem where it cannot be asked."""
    match status:
        case None:
            patience = 0.0
        case Problem():
            patience = min(UNASKED_SETTLE_SECONDS, policy.settle_seconds)
        case _:
            patience = 0.0 if status in AVAILABLE else policy.settle_seconds
    until = submission.trigger.moment(submission.created) + patience
    if not patience or now >= until:
        return _map(replace(submission, is_settled=True), lambda backup: _released(backup, now))
    seen = status.message if isinstance(status, Problem) else f"Its status is {status!r}."
    problem = Problem(
        "DATABASE_NOT_AVAILABLE",
        f"The backup waits until the database {submission.trigger.database!r} is available. {seen}",
        "No action is needed. SettleMinutes sets how long it waits at most.",
    )
    pause = _pause(policy.first_retry_seconds, max(backup.pauses for backup in submission.backups), submission, now)
    return _map(
        submission,
        lambda backup: _held(backup, problem, min(now + pause, until), now) if backup.state == "waiting" else backup,
    )


# ---- Starting an attempt


@dataclass(frozen=True)
class Surroundings:
    """What a start depends on: the subclient items, their claimers by key, and until when Commvault refuses requests."""

    subclients: Subclients
    claimers: Mapping[str, Submission]
    throttled_until: float = 0


def repin(submission: Submission, target: Target | None, pin: Pin, now: float) -> Submission:
    """Take the current document for what is waiting; None where it is not usable, so that what is pinned stays.

    A waiting backup whose association has left the document is rejected.
    """
    if target is None:
        return submission
    current = {association.key: association for association in target.request.associations}
    removed = [backup for backup in submission.backups if backup.state == "waiting" and backup.key not in current]
    submission = _map(
        replace(submission, pin=pin),
        lambda backup: (
            replace(backup, association=current[backup.key])
            if backup.state == "waiting" and backup.key in current
            else backup
        ),
    )
    if not removed:
        return submission
    problem = Problem(
        "ASSOCIATION_REMOVED",
        f"{_names(removed)} is no longer in the document of the target {submission.target!r}.",
        "Nothing, if that is intended: delete the dead letter. Else add it to the document and redrive.",
    )
    keys = {backup.key for backup in removed}
    return _end_all(submission, lambda backup: backup.key in keys, problem, now, "rejected")


def start(submission: Submission, surroundings: Surroundings, policy: Policy, now: float) -> Change:
    """Join what is satisfied, hold what must wait, and begin one attempt for others, if there are any.

    It is about the waiting backups whose subclient items are in `surroundings`.
    An attempt that was begun is out: the shell saves the change, then sends `request` once.
    """
    free: list[Backup] = []
    held: dict[str, Backup] = {}
    for backup in submission.backups:
        subclient = surroundings.subclients.get(backup.key)
        if backup.state != "waiting" or subclient is None:
            continue
        claimer = surroundings.claimers.get(subclient.claimer) if subclient.claimer != submission.key else None
        if satisfying := _satisfying(submission, backup, subclient, claimer):
            job, claimer_key = satisfying
            joined = _released(_move(backup, "joined"), now)
            held[backup.key] = replace(joined, job=job, joined=claimer_key, error=None)
        elif claimer and _is_busy(claimer, backup.key, policy, now):
            pause = _pause(policy.first_retry_seconds, backup.pauses, submission, now)
            held[backup.key] = _held(backup, SUBCLIENT_BUSY, now + pause, now)
        elif surroundings.throttled_until > now:
            held[backup.key] = _held(backup, RATE_LIMITED, surroundings.throttled_until, now)
        else:
            free.append(backup)
    submission = _map(submission, lambda backup: held.get(backup.key, backup))
    submission = _abandon_expired(_joined_notices(submission, held, now), held, policy, now)
    chosen = _one_attempt(submission, free)
    if not chosen:
        return Change(submission)
    attempt = Attempt(submission.attempt_count + 1, _level(submission, chosen[0]), now)
    keys = {backup.key for backup in chosen}

    def send(backup: Backup) -> Backup:
        if backup.key not in keys:
            return backup
        return replace(_released(_move(backup, "requested"), now), attempt=attempt.number, error=None)

    submission = replace(submission, attempts=(*submission.attempts, attempt), attempt_count=attempt.number)
    claimed = tuple(replace(surroundings.subclients[key], claimer=submission.key) for key in sorted(keys))
    return Change(_pruned(_map(submission, send)), claimed)


def out_attempt(submission: Submission) -> Attempt | None:
    """Return the attempt that is out."""
    return next((attempt for attempt in submission.attempts if submission._is_out(attempt)), None)  # noqa: SLF001


def _one_attempt(submission: Submission, free: list[Backup]) -> list[Backup]:
    """Choose what one request asks for: backups of one level, or one backup that is sent alone."""
    together = [backup for backup in free if backup.refusals < ALONE]
    if not together:
        return free[:1]
    level = _level(submission, together[0])
    return [backup for backup in together if _level(submission, backup) == level]


def _level(submission: Submission, backup: Backup) -> str:
    """Return the level of a backup's next attempt: the pinned one, or that of a failed job where it is fuller."""
    if backup.level and not covers(submission.pin.level, backup.level):
        return backup.level
    return submission.pin.level


def _satisfying(
    submission: Submission, backup: Backup, subclient: Subclient, claimer: Submission | None
) -> tuple[JobFacts, str] | None:
    """Return a running or completed job that satisfies a backup, and the key of the submission that follows it."""
    earliest = backup.moment
    # A retry knows no cool-down, also after its submission was opened again. Only a retry has a level.
    if submission.trigger.kind == "rds" and not backup.level:
        earliest -= submission.pin.cool_down_seconds
    level = _level(submission, backup)
    theirs = claimer.backup_of(backup.key) if claimer else None
    if claimer and theirs and theirs.job and (theirs.state in COMPLETED or theirs.state == "running"):
        attempt = claimer.attempt_of(theirs)
        began = _began(attempt, theirs.job)
        if began >= earliest and covers(theirs.job.level or attempt.level, level):
            return JobFacts(theirs.job.id, started=began, level=theirs.job.level), claimer.key
    last = subclient.completed
    if last and last.started >= earliest and covers(last.level, level):
        return JobFacts(last.id, started=last.started, level=last.level), last.submission
    return None


def _began(attempt: Attempt, job: JobFacts) -> float:
    """Return the earliest time at which a job can have begun: its row has the CommServe's clock."""
    return max(job.started - CLOCK_SKEW_SECONDS, attempt.began)


def _is_busy(claimer: Submission, key: str, policy: Policy, now: float) -> bool:
    """Tell whether the claimer of a subclient may still get a job for it that cannot be distinguished from another's."""
    theirs = claimer.backup_of(key)
    if theirs is None:
        return False
    if theirs.state == "abandoned" and theirs.is_in_doubt:
        # Our own window begins CLOCK_SKEW_SECONDS before our attempt.
        return now < claimer.attempt_of(theirs).ended + policy.reconcile_seconds + CLOCK_SKEW_SECONDS
    if theirs.state not in OPEN or (theirs.state == "running" and theirs.job):
        return False
    return now <= claimer.last_due + LOST_MESSAGE_SECONDS + policy.reconcile_seconds


def _joined_notices(submission: Submission, joined: Mapping[str, Backup], now: float) -> Submission:
    ended = sorted((one for one in joined.values() if one.state == "joined"), key=lambda one: one.joined)
    for _, group in groupby(ended, key=lambda one: one.joined):
        backups = list(group)
        job_ids = tuple(dict.fromkeys(one.job.id for one in backups if one.job))
        notice = Notice("joined", now, _keys(backups), level=submission.pin.level, job_ids=job_ids)
        submission = _with_notice(submission, notice)
    return submission


# ---- The outcome of an attempt


def answered(submission: Submission, outcome: Outcome, subclients: Subclients, policy: Policy, now: float) -> Change:
    """Apply the outcome of the attempt that is out. `subclients` are the items that it claimed, as they are now.

    This is the table "Outcomes of an attempt" of docs/architecture.md.
    """
    attempt = out_attempt(submission)
    if attempt is None:
        return Change(submission)
    sent = [backup for backup in submission.backups if _is_out(backup, attempt)]
    is_schedule = submission.pin.task_type == "SCHEDULE"
    is_group = len(sent) > 1 and not is_schedule
    submission = replace(_with_attempt(submission, replace(attempt, ended=now)), cut_offs=0)
    match outcome:
        case Submitted():
            return _submitted(submission, sent, outcome, subclients, now + policy.first_poll_seconds)
        case Scheduled(task_id):
            submission = _each(submission, sent, lambda backup: _move(backup, "scheduled"))
            return Change(_with_notice(submission, _notice("scheduled", attempt, sent, now, task_id)))
        case AlreadyRunning(problem) if is_group:
            return Change(_doubted(submission, sent, "running", problem, policy))
        case AlreadyRunning(problem):
            return Change(_hold_all(submission, sent, problem, None, policy))
        case Rejected(problem, blames_names=True) if is_group:
            return Change(_doubted(submission, sent, "refused", problem, policy))
        case Rejected(problem):
            return Change(_end_each(submission, sent, problem, now, "rejected"))
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return Change(_defer_all(submission, sent, problem, policy))
        case Throttled(problem, seconds):
            return Change(_hold_all(submission, sent, problem, now + seconds, policy))
        case Unknown() if is_schedule:
            submission = _each(submission, sent, lambda backup: replace(backup, is_in_doubt=True))
            return Change(_end_each(submission, sent, SCHEDULE_UNKNOWN, now))
        case Unknown(problem):
            return Change(_doubted(submission, sent, "unknown", problem, policy))


def _submitted(
    submission: Submission, sent: list[Backup], outcome: Submitted, subclients: Subclients, due: float
) -> Change:
    """Keep the IDs that the answer named. Only a single ID for a single backup tells by itself whose it is."""
    job_ids = tuple(dict.fromkeys(outcome.job_ids))
    is_single = len(sent) == len(job_ids) == 1
    matched = job_ids if is_single else ()
    attempt = replace(submission.attempt_of(sent[0]), job_ids=job_ids, matched=matched, task_id=outcome.task_id)
    notice = _notice("submitted", attempt, sent, attempt.ended, outcome.task_id)
    submission = _with_attempt(submission, attempt)
    submission = _with_notice(submission, replace(notice, job_ids=job_ids, error=outcome.problem))
    job = JobFacts(job_ids[0]) if is_single else None

    def take(backup: Backup) -> Backup:
        # With fewer IDs than backups it is not known yet which of them have a job.
        running = _running(backup, job, attempt.ended) if len(job_ids) >= len(sent) else replace(backup, pauses=0)
        return replace(running, due=due)

    known = subclients.get(sent[0].key, Subclient(sent[0].key)).knowing(*job_ids)
    return Change(_each(submission, sent, take), (known,) if is_single else ())


def _doubted(submission: Submission, sent: list[Backup], doubt: Doubt, problem: Problem, policy: Policy) -> Submission:
    attempt = replace(submission.attempt_of(sent[0]), doubt=doubt, error=problem)
    due = attempt.ended + min(policy.first_retry_seconds, policy.reconcile_seconds)
    return _each(
        _with_attempt(submission, attempt),
        sent,
        lambda backup: replace(backup, is_in_doubt=True, due=due, pauses=1, held_since=attempt.began, error=problem),
    )


def _defer_all(submission: Submission, sent: list[Backup], problem: Problem, policy: Policy) -> Submission:
    now = submission.attempt_of(sent[0]).ended
    submission = _each(
        submission, sent, lambda backup: _deferred(submission, _move(backup, "waiting"), problem, policy, now)
    )
    return _abandon_expired(submission, _keys(sent), policy, now)


def _hold_all(
    submission: Submission, sent: list[Backup], problem: Problem, until: float | None, policy: Policy
) -> Submission:
    """Let backups wait for a time that does not count as trying; `until` None: for the next pause."""
    now = submission.attempt_of(sent[0]).ended

    def hold(backup: Backup) -> Backup:
        pause = _pause(policy.first_retry_seconds, backup.pauses, submission, now)
        return _held(_move(backup, "waiting"), problem, until or now + pause, now)

    return _abandon_expired(_each(submission, sent, hold), _keys(sent), policy, now)


# ---- What Commvault shows


@dataclass(frozen=True)
class Sight:
    """What Commvault showed: rows by job ID, IDs that a complete read does not show, and a list for what is in doubt.

    `listed` is None where no list was read. `listed_since` is when the reading of a whole list began, 0 while it is not
    whole; `scan` is where a list that is too long is read on. `at` is when reading ended. `problem` is why not all could
    be read.
    """

    at: float
    rows: Mapping[str, Job]
    absent: frozenset[str] = frozenset()
    listed: tuple[Job, ...] | None = None
    listed_since: float = 0
    scan: Mapping[str, Any] | None = None
    problem: Problem | None = None

    @property
    def all_rows(self) -> Mapping[str, Job]:
        """The rows by job ID, those of the list too."""
        return {row.id: row for row in self.listed or ()} | dict(self.rows)


def touched(submission: Submission, look: Look, sight: Sight) -> tuple[str, ...]:
    """Return the keys of the subclient items that `see` needs: of what is in doubt, not assigned, or has ended."""
    rows = sight.all_rows

    def needs_item(backup: Backup) -> bool:
        if backup.job is None:
            return True
        row = rows.get(backup.job.id)
        return row is not None and row.has_ended

    return tuple(key for key in look.keys if (backup := submission.backup_of(key)) and needs_item(backup))


def see(submission: Submission, look: Look, sight: Sight, subclients: Subclients, policy: Policy) -> Change:
    """Apply what Commvault showed of the backups of a `Look`."""
    scan = sight.scan if look.clients else submission.scan
    reading = _Reading(replace(submission, scan=scan), sight, subclients, policy)
    numbers = sorted({backup.attempt for key in look.keys if (backup := submission.backup_of(key))})
    for number in numbers:
        reading.assign(number)
    for key in look.keys:
        reading.follow(key)
    for number in numbers:
        reading.reconcile(number, look.keys)
    return reading.change(subclients)


class _Reading:
    """One application of a `Sight`: the submission as it changes, and what is to be published of it."""

    def __init__(self, submission: Submission, sight: Sight, subclients: Subclients, policy: Policy) -> None:
        self.submission = submission
        self._sight = sight
        self._rows = sight.all_rows
        self._subclients = dict(subclients)
        self._policy = policy
        self._now = sight.at
        self._ended: list[str] = []
        self._retried: list[str] = []
        self._adopted: list[str] = []

    def change(self, before: Subclients) -> Change:
        """Return the result, with the notices in the order of what happened."""
        submission = self.submission
        by_attempt = sorted((self._backup(key) for key in self._adopted), key=lambda backup: backup.attempt)
        for number, group in groupby(by_attempt, key=lambda backup: backup.attempt):
            backups = list(group)
            attempt = self._attempt(number)
            job_ids = tuple(backup.job.id for backup in backups if backup.job)
            notice = replace(_notice("submitted", attempt, backups, self._now), is_reconciled=True, job_ids=job_ids)
            submission = _with_notice(submission, replace(notice, submitted_at=attempt.began))
        submission = _job_notices(submission, self._ended, self._now)
        submission = _retry_notice(submission, self.submission, self._retried, self._policy, self._now)
        retried = set(self._retried)
        submission = _map(submission, lambda backup: self._retry(backup) if backup.key in retried else backup)
        changed = tuple(item for key, item in sorted(self._subclients.items()) if item != before.get(key))
        return Change(_pruned(submission), changed)

    def assign(self, number: int) -> None:
        """Find out whose the IDs of an attempt's answer are."""
        attempt = self._attempt(number)
        unmatched = self.submission.unassigned(attempt)
        without = [one for one in self.submission.backups if one.attempt == attempt.number and _lacks_job(one)]
        if not without:
            return
        matched: list[str] = []
        foreign: list[str] = []
        for job_id in unmatched:
            row = self._rows.get(job_id)
            owners = [one for one in without if row and _may_be_of(row, one)]
            if row is None or (not all(row.names) and len(owners) + len(unmatched) > 2):
                continue  # It tells nothing yet, or may be of several.
            if not owners or self._ended_before(row, attempt):
                foreign.append(job_id)
            else:
                owner = owners[0]
                without.remove(owner)
                matched.append(job_id)
                self._set(_running(owner, JobFacts(job_id), self._now))
                self._know(owner.key, job_id)
        attempt = replace(attempt, matched=(*attempt.matched, *matched), foreign=(*attempt.foreign, *foreign))
        self.submission = _with_attempt(self.submission, attempt)
        left = self.submission.unassigned(attempt)
        if len(left) < len(unmatched):
            attempt = replace(attempt, missing_since=0)
        if any(job_id in self._sight.absent or job_id in self._rows for job_id in left):
            self._miss(attempt, without)
        elif not left and without:
            self._without_row(attempt, without)
        else:
            for backup in without:
                self._set(self._later(backup))

    def follow(self, key: str) -> None:
        """Follow a job that is assigned to a backup."""
        backup = self._backup(key)
        if backup.state != "running" or backup.job is None:
            return
        attempt = self.submission.attempt_of(backup)
        row = self._rows.get(backup.job.id)
        if row is None:
            if backup.job.id not in self._sight.absent:
                self._set(self._later(backup))  # There was no time to ask, or Commvault could not be asked.
            elif not backup.missing_since:
                self._set(replace(self._later(backup), missing_since=self._now))
            elif self._now < backup.missing_since + self._policy.missing_seconds:
                self._set(self._later(backup))
            else:
                self._end(backup, "lost", JOB_MISSING)
            return
        if not _may_be_of(row, backup) or self._ended_before(row, attempt):
            self._end(backup, "lost", JOB_ID_REUSED)
            return
        backup = replace(backup, job=self._facts(row, backup.job), missing_since=0)
        match row.end:
            case None if self._now >= backup.running_since + self._policy.follow_seconds:
                self._end(backup, "lost", _still_running(row, self._policy))
            case None:
                self._set(self._later(backup))
            case "completed" | "completed_with_errors" as end:
                self._set(backup)
                self._complete(backup, attempt, end)
            case "failed" if backup.failures < self.submission.pin.retries:
                self._set(backup)
                self._retried.append(key)
            case end:
                self._end(backup, end, _ended(row, end))

    def reconcile(self, number: int, keys: Iterable[str]) -> None:
        """Adopt jobs for the backups of an attempt that are in doubt, or believe that there are none."""
        attempt = self._attempt(number)
        if self._sight.listed is None and self._sight.problem is None:
            return
        doubted = [
            backup for key in keys if (backup := self._backup(key)).attempt == attempt.number and backup.is_in_doubt
        ]
        if not doubted or self.submission.unassigned(attempt) or attempt.is_none_believed:
            return
        listed, policy, now = self._sight.listed, self._policy, self._now
        for backup in doubted if listed is not None else ():
            if rows := self._adoptable(backup, attempt, listed or ()):
                adopted = replace(_running(backup, JobFacts(rows[0].id), now), is_reconciled=True)
                self._set(adopted)
                # The last IDs are kept: the adopted one is among them, however many rows match.
                self._know(backup.key, *(row.id for row in reversed(rows)))
                self._adopted.append(backup.key)
                self.follow(backup.key)
        rest = [backup for backup in doubted if self._backup(backup.key).is_in_doubt]
        believed_at = attempt.ended + policy.reconcile_seconds
        if rest and self._sight.listed_since >= believed_at:
            self._believe_none(attempt, rest)
            return
        for backup in rest:
            pause = _pause(policy.first_retry_seconds, backup.pauses, self.submission, now)
            due = now + pause if now >= believed_at else min(now + pause, max(believed_at, now + 1))
            if self._sight.scan is not None:
                due = min(due, now + policy.first_retry_seconds)
            self._set(replace(backup, due=due, pauses=backup.pauses + 1, error=self._sight.problem or backup.error))

    def _believe_none(self, attempt: Attempt, backups: list[Backup]) -> None:
        """A whole list, read after the window of adoption, shows no job of these: no request for them was accepted."""
        if attempt.doubt == "refused":
            self.submission = _with_attempt(self.submission, replace(attempt, is_none_believed=True))
            for backup in backups:
                self._set(replace(backup, due=self._now))
            return
        running = [row for row in self._sight.listed or () if not row.has_ended]
        for backup in backups:
            waiting = replace(_released(_move(backup, "waiting"), self._now), is_in_doubt=False)
            if attempt.doubt == "unknown":
                self._set(replace(waiting, due=self._now, pauses=0))
            elif any(row.is_of(backup.association) for row in running):
                pause = _pause(self._policy.first_retry_seconds, 0, self.submission, self._now)
                held = _held(waiting, attempt.error or SUBCLIENT_BUSY, self._now + pause, self._now)
                self._set(replace(held, refusals=ALONE))
            else:
                self._set(replace(waiting, due=self._now, pauses=0, refusals=backup.refusals + 1))

    def _adoptable(self, backup: Backup, attempt: Attempt, listed: Iterable[Job]) -> list[Job]:
        """Return the jobs that the attempt can have started for a backup: of the exact level first, then the earliest."""
        item = self._subclients.get(backup.key, Subclient(backup.key))
        # Opened again after another submission's claim: a job whose start is unknown is more likely the claimer's.
        is_claimer = item.claimer in {"", self.submission.key}
        earliest = attempt.began - CLOCK_SKEW_SECONDS
        latest = attempt.ended + self._policy.reconcile_seconds
        rows = [
            row
            for row in listed
            if row.is_of(backup.association)
            and (earliest <= row.started <= latest if row.started else is_claimer)
            and covers(row.level, attempt.level)
            and row.id not in item.known_ids
        ]
        return sorted(rows, key=lambda row: (row.level != attempt.level, row.started, int(row.id)))

    def _miss(self, attempt: Attempt, without: list[Backup]) -> None:
        since = attempt.missing_since or self._now
        self.submission = _with_attempt(self.submission, replace(attempt, missing_since=since))
        for backup in without:
            if self._now < since + self._policy.missing_seconds:
                self._set(self._later(backup))
            else:
                self._end(backup, "lost", JOB_MISSING)

    def _without_row(self, attempt: Attempt, without: list[Backup]) -> None:
        """Rows have shown whose each ID is: a backup without one is in doubt, or lost where no ID was of this attempt."""
        if attempt.matched:
            self.submission = _with_attempt(self.submission, replace(attempt, doubt=attempt.doubt or "unknown"))
        for backup in without:
            if attempt.matched:
                requested = backup if backup.state == "requested" else _move(backup, "requested")
                held_since = backup.held_since or attempt.began
                self._set(
                    replace(
                        requested, is_in_doubt=True, due=self._now, pauses=0, held_since=held_since, running_since=0
                    )
                )
            else:
                self._end(backup, "lost", JOB_ID_REUSED)

    def _complete(self, backup: Backup, attempt: Attempt, end: End) -> None:
        error = None if end == "completed" else _ended_with_errors(backup.job)
        self._end(backup, end, error)
        job = self._backup(backup.key).job or JobFacts("")
        level = job.level or attempt.level
        item = self._subclients.get(backup.key, Subclient(backup.key))
        completed = CompletedJob(job.id, _began(attempt, job), level, self.submission.key)
        self._subclients[backup.key] = item.with_completed(completed)

    def _retry(self, backup: Backup) -> Backup:
        """Let a backup whose job has failed wait to be started again."""
        attempt, job = self.submission.attempt_of(backup), backup.job or JobFacts("")
        waiting = replace(
            _move(backup, "waiting"),
            job=None,
            level=job.level if job.level and covers(job.level, attempt.level) else attempt.level,
            moment=max(job.started, attempt.began),
            failures=backup.failures + 1,
            since=self._now,
            excused_before=min(backup.excused, MAX_EXCUSED_SECONDS),
            due=self._now + RETRY_PAUSES * self._policy.first_retry_seconds,
            pauses=0,
            refusals=0,
            running_since=0,
            is_reconciled=False,
        )
        return replace(waiting, error=_failed_job(job))

    @staticmethod
    def _facts(row: Job, before: JobFacts) -> JobFacts:
        return JobFacts(
            row.id,
            is_seen=True,
            started=row.started or before.started,
            ended=row.ended if row.has_ended else 0,
            level=row.level,
            reason=row.reason if row.has_ended else "",
        )

    @staticmethod
    def _ended_before(row: Job, attempt: Attempt) -> bool:
        """Tell whether a job had ended before the attempt began: then its ID was counted again."""
        return row.has_ended and 0 < row.ended < attempt.began - CLOCK_SKEW_SECONDS

    def _later(self, backup: Backup) -> Backup:
        pause = _pause(self._policy.first_poll_seconds, backup.pauses + 1, self.submission, self._now)
        return replace(backup, due=self._now + pause, pauses=backup.pauses + 1)

    def _end(self, backup: Backup, state: End, error: Problem | None) -> None:
        self._set(replace(_move(backup, state), error=error, is_in_doubt=False))
        self._ended.append(backup.key)

    def _know(self, key: str, *job_ids: str) -> None:
        self._subclients[key] = self._subclients.get(key, Subclient(key)).knowing(*job_ids)

    def _attempt(self, number: int) -> Attempt:
        return next(attempt for attempt in self.submission.attempts if attempt.number == number)

    def _backup(self, key: str) -> Backup:
        return next(backup for backup in self.submission.backups if backup.key == key)

    def _set(self, changed: Backup) -> None:
        self.submission = _map(self.submission, lambda one: changed if one.key == changed.key else one)


def take_inventory(submission: Submission, unknown: frozenset[str] | Problem, policy: Policy, now: float) -> Submission:
    """Apply which associations of a refused group Commvault does not know (keys), or why that could not be read."""
    asked = [backup for backup in submission.backups if backup.due <= now and _awaits_inventory(submission, backup)]
    if isinstance(unknown, Problem):
        problem = unknown
        return _each(
            submission,
            asked,
            lambda backup: replace(
                backup,
                due=now + _pause(policy.first_retry_seconds, backup.pauses, submission, now),
                pauses=backup.pauses + 1,
                error=problem,
            ),
        )
    submission = _each(
        submission,
        asked,
        lambda backup: replace(
            _released(_move(backup, "waiting"), now),
            is_in_doubt=False,
            due=now,
            pauses=0,
            refusals=backup.refusals + 1,
        ),
    )
    for backup in asked:
        if backup.key in unknown:
            reason = submission.attempt_of(backup).error or NAME_UNKNOWN
            message = f"Commvault does not know {_names([backup])}. It answered: {reason.message}"
            problem = Problem(reason.code, message, NAME_UNKNOWN.hint)
            submission = _end_each(submission, [backup], problem, now, "rejected")
    return submission


def published(submission: Submission) -> Submission:
    """Remove the first notice from the outbox."""
    return replace(submission, outbox=submission.outbox[1:])


# ---- What the function returns


def status_of(states: Iterable[State]) -> Literal["open", "succeeded", "failed"]:
    """Return the status of a submission whose backups are in these states, joined ones in their claimers'."""
    states = list(states)
    if any(state in OPEN for state in states):
        return "open"
    return "succeeded" if states and all(state in SUCCEEDED for state in states) else "failed"


# ---- Problems of the core

RUNS_CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs in a row were cut off while a request was out, so a job may have started.",
    f"Look for timeouts or lack of memory in the Backup function's log. {LOOK_AT_JOBS} Then redrive the dead letter.",
)
SCHEDULE_UNKNOWN = Problem(
    "OUTCOME_UNKNOWN",
    "The request to schedule a backup may have been accepted, and no job shows it.",
    "Look in Commvault whether the schedule exists. If it does not, start the target by hand.",
)
OPEN_TOO_LONG = Problem("OPEN_TOO_LONG", "The submission was open for nine days.", f"{LOOK_AT_JOBS} Then redrive.")
NOT_FOLLOWED = Problem(
    "JOB_NOT_FOLLOWED", "The job could not be followed to its end within nine days.", "Look for the job in Commvault."
)
SUBCLIENT_BUSY = Problem(
    "SUBCLIENT_BUSY", "Another submission is backing up this subclient.", "No action is needed: it waits for that one."
)
RATE_LIMITED = Problem(
    "RATE_LIMITED", "Commvault's rate limit is reached.", "No action is needed: it is sent when the limit ends."
)
JOB_MISSING = Problem(
    "JOB_MISSING",
    "Commvault named the job, and does not show it.",
    "Look for it in Commvault's job history. If there is none, start the target by hand.",
)
JOB_ID_REUSED = Problem(
    "JOB_ID_REUSED",
    "Commvault has counted the job's ID again, as it does after its database was restored: the job is another one.",
    "Look in Commvault whether this backup has a job. If it has none, start the target by hand.",
)
NAME_UNKNOWN = Problem(
    "TARGET_UNKNOWN_TO_COMMVAULT",
    "Commvault does not know one of the names.",
    "Correct the client, instance and subclient names in the target's document, then redrive the dead letter.",
)


def _still_running(row: Job, policy: Policy) -> Problem:
    return Problem(
        "JOB_STILL_RUNNING",
        f"Job {row.id} has not ended within {policy.follow_seconds / HOUR:g} h. Its status is {row.status!r}.",
        "Find out in Commvault what delays it; it is not followed any more. FollowHours sets how long it is.",
    )


def _failed_job(job: JobFacts) -> Problem:
    reason = job.reason or f"Job {job.id} failed, and Commvault gave no reason."
    return Problem("JOB_FAILED", reason, "Look at the job in Commvault. Its failure's reason decides what to do.")


def _ended(row: Job, end: End) -> Problem:
    if end == "killed":
        reason = row.reason or f"Job {row.id} was killed, and Commvault gave no reason."
        return Problem("JOB_KILLED", reason, "Ask who killed it. Start the target by hand if a backup is needed.")
    return _failed_job(JobFacts(row.id, reason=row.reason))


def _ended_with_errors(job: JobFacts | None) -> Problem:
    reason = (job and job.reason) or "The job completed with errors or warnings, and Commvault gave no reason."
    return Problem("JOB_COMPLETED_WITH_ERRORS", reason, "Look at the job in Commvault: not all may be backed up.")


# ---- Small steps


def _new_backup(trigger: Trigger, association: Association, now: float) -> Backup:
    return Backup(association, moment=trigger.moment(now), due=now, since=now)


def _move(backup: Backup, state: State) -> Backup:
    """Change a backup's state; only the changes in `TRANSITIONS` exist."""
    if state not in TRANSITIONS.get(backup.state, {}):
        raise ValueError(f"a backup that is {backup.state} does not become {state}")
    return replace(backup, state=state)


def _running(backup: Backup, job: JobFacts | None, now: float) -> Backup:
    moved = backup if backup.state == "running" else _move(backup, "running")
    return replace(
        _released(moved, now),
        job=job,
        running_since=backup.running_since or now,
        is_in_doubt=False,
        due=now,
        pauses=0,
        missing_since=0,
        error=None,
    )


def _is_out(backup: Backup, attempt: Attempt) -> bool:
    return backup.state == "requested" and backup.attempt == attempt.number and not backup.is_in_doubt


def _lacks_job(backup: Backup) -> bool:
    return backup.state in {"requested", "running"} and backup.job is None and not backup.is_in_doubt


def _may_have_named_job(submission: Submission, backup: Backup) -> bool:
    """Tell whether a backup has a job, or one of the IDs that an answer named may be its."""
    if backup.state == "running" or backup.job:
        return True
    return backup.state == "requested" and bool(submission.unassigned(submission.attempt_of(backup)))


def _is_looked_for(submission: Submission, backup: Backup) -> bool:
    if backup.state == "running":
        return True
    if backup.state != "requested" or not submission.attempt_of(backup).ended:
        return False
    return not _awaits_inventory(submission, backup)


def _awaits_inventory(submission: Submission, backup: Backup) -> bool:
    return backup.state == "requested" and backup.is_in_doubt and submission.attempt_of(backup).is_none_believed


def _look(submission: Submission, now: float) -> Look:
    """Return what to read. All that is in doubt is looked for together: a long list is read once for all, page by page."""
    backups = [
        backup
        for backup in submission.backups
        if (backup.due <= now or backup.is_in_doubt) and _is_looked_for(submission, backup)
    ]
    job_ids: list[str] = []
    doubted: list[Backup] = []
    for backup in backups:
        if backup.job:
            job_ids.append(backup.job.id)
        elif unmatched := submission.unassigned(submission.attempt_of(backup)):
            job_ids += unmatched
        else:
            doubted.append(backup)
    since = min((submission.attempt_of(backup).began for backup in doubted or backups), default=0)
    clients = tuple(sorted({backup.association.client_name for backup in doubted}))
    return Look(tuple(dict.fromkeys(job_ids)), clients, since, _keys(backups))


def _may_be_of(row: Job, backup: Backup) -> bool:
    """Tell whether the names that a row shows are a backup's."""
    association = backup.association
    names = (association.client_name, association.instance_name, association.subclient_name)
    return all(not shown or shown == name for shown, name in zip(row.names, names, strict=True))


def _pause(first: float, pauses: int, submission: Submission, now: float) -> float:
    longest = MAX_PAUSE if now < submission.created + DAY else MAX_LATE_PAUSE
    return min(first * 2.0 ** min(pauses, 20), longest)


def _counted(backup: Backup, now: float) -> float:
    """Return how long a backup was tried, without the excused time, of which there are 72 h at most."""
    held = now - backup.held_since if backup.held_since else 0
    excused = min(backup.excused + held, MAX_EXCUSED_SECONDS)
    return now - backup.since - max(0, excused - backup.excused_before)


def _released(backup: Backup, now: float) -> Backup:
    """End an excused wait."""
    if not backup.held_since:
        return backup
    return replace(backup, excused=backup.excused + now - backup.held_since, held_since=0)


def _held(backup: Backup, problem: Problem, until: float, now: float) -> Backup:
    """Begin or continue an excused wait."""
    return replace(backup, due=until, pauses=backup.pauses + 1, held_since=backup.held_since or now, error=problem)


def _deferred(submission: Submission, backup: Backup, problem: Problem, policy: Policy, now: float) -> Backup:
    """Let a backup wait for its next try; the last one is when the time for trying is over."""
    backup = _released(backup, now)
    pause = _pause(policy.first_retry_seconds, backup.pauses, submission, now)
    left = policy.retry_seconds - _counted(backup, now)
    return replace(backup, due=now + min(pause, max(left, 0)), pauses=backup.pauses + 1, error=problem)


def _abandon_expired(submission: Submission, tried: Iterable[str], policy: Policy, now: float) -> Submission:
    """Abandon those of the backups that were just tried, by key, whose time for trying is over."""
    keys = set(tried)
    expired = [
        backup
        for backup in submission.backups
        if backup.key in keys and backup.state == "waiting" and _counted(backup, now) >= policy.retry_seconds
    ]
    expired.sort(key=lambda backup: backup.error.code if backup.error else "")
    for error, group in groupby(expired, key=lambda backup: backup.error):
        last = error or OPEN_TOO_LONG
        message = (
            f"The backup was not started within {policy.retry_seconds / HOUR:g} h. The last reason: {last.message}"
        )
        submission = _end_each(submission, list(group), Problem(last.code, message, RESOLVE), now)
    return submission


def _end_all(
    submission: Submission, chosen: Callable[[Backup], bool], problem: Problem, now: float, state: End = "abandoned"
) -> Submission:
    return _end_each(
        submission, [one for one in submission.backups if one.is_open and chosen(one)], problem, now, state
    )


def _end_each(
    submission: Submission, backups: list[Backup], problem: Problem, now: float, state: End = "abandoned"
) -> Submission:
    """End backups that have no job, with one notice and one dead letter."""
    if not backups:
        return submission
    submission = _each(submission, backups, lambda backup: replace(_released(_move(backup, state), now), error=problem))
    return _with_letter(submission, state, backups, problem, now)


def _with_letter(
    submission: Submission, status: End, backups: Iterable[Backup], problem: Problem, now: float
) -> Submission:
    letter = submission.letters + 1
    backups = list(backups)
    number = max((backup.attempt for backup in backups), default=0)
    notice = Notice(
        status, now, _keys(backups), number, submission.pin.level if backups else "", letter=letter, error=problem
    )
    return _with_notice(replace(submission, letters=letter), notice)


def _notice(status: str, attempt: Attempt, backups: Iterable[Backup], now: float, task_id: int | None = None) -> Notice:
    return Notice(status, now, _keys(backups), attempt.number, attempt.level, task_id=task_id, submitted_at=now)


def _job_notices(submission: Submission, ended: Iterable[str], now: float) -> Submission:
    """Add a notice for each job that has ended; backups of one attempt that are lost without a known job share one."""
    together: dict[tuple[str, int], list[Backup]] = {}
    for key in ended:
        if backup := submission.backup_of(key):
            together.setdefault((backup.job.id if backup.job else "", backup.attempt), []).append(backup)
    for backups in together.values():
        submission = _with_notice(submission, _job_notice(submission, backups, now))
    return submission


def _job_notice(submission: Submission, backups: list[Backup], now: float) -> Notice:
    first = backups[0]
    attempt, job = submission.attempt_of(first), first.job
    return Notice(
        first.state,
        now,
        _keys(backups),
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


def _retry_notice(
    submission: Submission, before: Submission, keys: list[str], policy: Policy, now: float
) -> Submission:
    """Add one notice for the jobs that were seen failed together."""
    backups = [backup for backup in before.backups if backup.key in keys]
    if not backups:
        return submission
    attempt = before.attempt_of(backups[0])
    jobs = [backup.job for backup in backups if backup.job]
    notice = Notice(
        "retrying",
        now,
        _keys(backups),
        attempt.number,
        attempt.level,
        job_ids=tuple(job.id for job in jobs),
        task_id=attempt.task_id,
        submitted_at=attempt.began,
        error=_failed_job(jobs[0]),
        retry_at=now + RETRY_PAUSES * policy.first_retry_seconds,
    )
    return _with_notice(submission, notice)


def _with_notice(submission: Submission, notice: Notice) -> Submission:
    return replace(submission, outbox=(*submission.outbox, notice))


def _with_attempt(submission: Submission, attempt: Attempt) -> Submission:
    attempts = tuple(attempt if one.number == attempt.number else one for one in submission.attempts)
    return replace(submission, attempts=attempts)


def _pruned(submission: Submission) -> Submission:
    """Forget attempts that no backup's last one is any more."""
    numbers = {backup.attempt for backup in submission.backups}
    return replace(submission, attempts=tuple(one for one in submission.attempts if one.number in numbers))


def _map(submission: Submission, change: Callable[[Backup], Backup]) -> Submission:
    return replace(submission, backups=tuple(map(change, submission.backups)))


def _each(submission: Submission, chosen: Iterable[Backup], change: Callable[[Backup], Backup]) -> Submission:
    keys = {backup.key for backup in chosen}
    return _map(submission, lambda backup: change(backup) if backup.key in keys else backup)


def _keys(backups: Iterable[Backup]) -> tuple[str, ...]:
    return tuple(backup.key for backup in backups)


def _names(backups: Iterable[Backup]) -> str:
    associations = [backup.association for backup in backups]
    return ", ".join(f"{one.client_name} / {one.instance_name} / {one.subclient_name}" for one in associations)
