"""The record of a submission: everything that is known of one trigger for one target, and of the subclients it claims. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.core.phases import (
    CHANGES,
    Doubted,
    Ended,
    JobRef,
    Named,
    Out,
    Phase,
    Running,
    State,
    Unlisted,
    Waiting,
    name_of,
    patience_of,
)
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, TaskType
from rds_snap_backup.triggers import Trigger

MINUTE, HOUR, DAY = 60, 3600, 86400
# The function's timeout (50 s) and 30 s.
LEASE_SECONDS = 80
MAX_PAUSE, MAX_LATE_PAUSE = 15 * MINUTE, HOUR
MAX_UNCOUNTED_SECONDS = 72 * HOUR
# The queue keeps a message for 14 days.
MAX_OPEN_SECONDS = 9 * DAY
# The CommServe's clock may differ by this much from its web server's, the one that we see.
CLOCK_SKEW_SECONDS = 120
MISSING_SECONDS = 600
LOST_MESSAGE_SECONDS = HOUR
UNASKED_SETTLE_SECONDS = 600
MAX_KNOWN_IDS = 5
# A submission that has been worked on this often goes on only after this time, so that its message is received fewer
# than half of the queue's 1,000 times in its nine days.
LEAST_PAUSES = ((200, MAX_LATE_PAUSE), (100, MAX_PAUSE))
# Texts of all backups together, so that a record of 90 backups fits into a DynamoDB item.
MAX_TEXTS = 20_000
MAX_TEXT = 500


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

    @property
    def uncounted_seconds(self) -> float:
        """How much of the time without a job does not count as trying, in all."""
        return max(MAX_UNCOUNTED_SECONDS, self.follow_seconds)


@dataclass(frozen=True)
class Pin:
    """What is sent, apart from the associations, and the target's retries."""

    level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify: bool = True
    retries: int = 0


@dataclass(frozen=True)
class Attempt:
    """One CreateTask request. `ended` is 0 until its outcome is recorded or its lease is over.

    `job_ids` are those that the answer named; `untold` those of them of which no row shows whose they are.
    `has_matched`: a row has shown that one of them is of this attempt. `missing_since`: complete reads do not show one.
    """

    number: int
    level: str
    task_type: TaskType
    began: float
    ended: float = 0
    job_ids: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    has_matched: bool = False
    missing_since: float = 0
    missing_reads: int = 0
    task_id: int | None = None

    @property
    def lease_end(self) -> float:
        """When the lease of the run that sends it is over."""
        return self.began + LEASE_SECONDS

    def earliest_start(self, row_started: float) -> float:
        """Return the earliest time at which a job of it can have begun: its row has the CommServe's clock."""
        return max(row_started - CLOCK_SKEW_SECONDS, self.began)


@dataclass(frozen=True)
class Tried:
    """How long a backup without a job was tried, up to `at`: the seconds that count and those that do not."""

    at: float
    counted: float = 0
    uncounted: float = 0

    def until(self, now: float, phase: Phase) -> "Tried":
        """Add the time that a phase has lasted."""
        passed = max(now - self.at, 0)
        if isinstance(phase, (Running, Ended)):
            return replace(self, at=now)
        if patience_of(phase).counts:
            return Tried(max(now, self.at), self.counted + passed, self.uncounted)
        return Tried(max(now, self.at), self.counted, self.uncounted + passed)

    def over_at(self, phase: Phase, policy: Policy) -> float:
        """Return when a backup that stays in this phase has been tried for long enough."""
        spare = policy.uncounted_seconds - self.uncounted
        left = policy.retry_seconds - self.counted + min(spare, 0)
        return self.at + max(left, 0) + (0 if patience_of(phase).counts else max(spare, 0))

    def again(self, at: float, policy: Policy) -> "Tried":
        """Begin again after a job has failed; the time that did not count stays used up."""
        return Tried(at, 0, min(self.uncounted, policy.uncounted_seconds))


@dataclass(frozen=True)
class Backup:
    """One association of a submission. `moment`: a job must begin after it to satisfy this backup.

    `level` is the least level of the next attempt; `refusals` counts the groups with which it was refused.
    """

    association: Association
    moment: float
    phase: Phase
    tried: Tried
    level: str = ""
    failures: int = 0
    refusals: int = 0
    pauses: int = 0

    @property
    def key(self) -> str:
        """The association's key."""
        return self.association.key

    @property
    def is_open(self) -> bool:
        """Whether it has no end yet."""
        return not isinstance(self.phase, Ended)

    @property
    def attempt(self) -> int:
        """The number of the attempt that its phase is about; 0 for none."""
        match self.phase:
            case Waiting():
                return 0
            case Ended(doubted=doubted):
                return doubted.attempt if doubted else 0
            case Out() | Named() | Doubted() | Unlisted() | Running():
                return self.phase.attempt

    @property
    def job(self) -> JobRef | None:
        """Its job, where it is known."""
        return self.phase.job if isinstance(self.phase, (Running, Ended)) else None

    @property
    def error(self) -> Problem | None:
        """The last problem."""
        match self.phase:
            case Waiting(error=error) | Doubted(error=error) | Unlisted(error=error) | Ended(error=error):
                return error
            case Out() | Named() | Running():
                return None

    @property
    def has_named_job(self) -> bool:
        """Whether it has a job, or one of the IDs that an answer named may be its."""
        return isinstance(self.phase, (Named, Running))

    def moved_to(self, phase: Phase, now: float) -> "Backup":
        """Change the phase, or facts of it; only the changes in `CHANGES` exist."""
        before, after = name_of(self.phase), name_of(phase)
        if after != before and after not in CHANGES.get(before, {}):
            raise ValueError(f"a backup that is {before} does not become {after}")
        return replace(self, phase=phase, tried=self.tried.until(now, self.phase))

    def paused(self) -> "Backup":
        """Let the next pause be longer."""
        return replace(self, pauses=self.pauses + 1)


@dataclass(frozen=True)
class Notice:
    """The facts of one notification that is still to be published; `backups` are positions in the submission.

    `letter` is the number of the dead letter that goes with it, 0 for none.
    """

    status: str
    at: float
    backups: tuple[int, ...]
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
class Scan:
    """A list of jobs that is too long for one run: what it covers, and where it is read on.

    It has the jobs of `clients` since `since`; its reading began at `begun`. `has_nameless`: it has shown a row without
    names that may be a backup in doubt.
    """

    begun: float
    since: float
    clients: tuple[str, ...]
    place: Mapping[str, Any]
    has_nameless: bool = False


@dataclass(frozen=True)
class Gathering:
    """An RDS event waits for others, then for its database. `available_since`: each look since then showed it available.

    `is_unasked`: RDS could not be asked, so it gathers ten minutes later.
    """

    seconds: float
    available_since: float = 0
    is_unasked: bool = False


@dataclass(frozen=True)
class Submission:
    """Everything that is known of one trigger for one target. `error` is set where it was rejected without backups.

    `opened` is when it was created or last opened again, by a letter up to `opened_letter`. `runs` counts the runs that
    worked on it, the last one at `ran`. `resent` is when an audit sent its message again.
    """

    trigger: Trigger
    target: str
    created: float
    opened: float
    pin: Pin = Pin()
    backups: tuple[Backup, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    outbox: tuple[Notice, ...] = ()
    letters: int = 0
    opened_letter: int = 0
    cut_offs: int = 0
    gathering: Gathering | None = None
    is_unsettled: bool = False
    error: Problem | None = None
    scan: Scan | None = None
    runs: int = 0
    ran: float = 0
    resent: float = 0
    wake_at: float = 0
    # The version that the ledger has; the run and number of the write that made it; fields that this code does not know.
    version: int = 0
    write_id: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The ledger's key. The kind is part of it, so that no kind can take another's identity."""
        return submission_key(self.target, self.trigger)

    @property
    def is_over(self) -> bool:
        """Whether all backups have an end and nothing is unpublished."""
        return not self.outbox and not any(backup.is_open for backup in self.backups)

    @property
    def out(self) -> Attempt | None:
        """The attempt that is out: its request was sent, or is about to be, and has no recorded outcome."""
        numbers = {backup.phase.attempt for backup in self.backups if isinstance(backup.phase, Out)}
        return next((attempt for attempt in self.attempts if attempt.number in numbers), None)

    @property
    def lease_end(self) -> float:
        """When the lease of the run that sends for it is over; 0 where nothing is out."""
        return self.out.lease_end if self.out else 0

    @property
    def next_number(self) -> int:
        """The number of the next attempt: the newest one is always kept."""
        return max((attempt.number for attempt in self.attempts), default=0) + 1

    @property
    def last_due(self) -> float:
        """When something of it was due last."""
        return max(self.created, self.wake_at, self.lease_end)

    def attempt_of(self, backup: Backup) -> Attempt:
        """Return the attempt that a backup's phase is about."""
        return next(attempt for attempt in self.attempts if attempt.number == backup.attempt)

    def backup_of(self, key: str) -> Backup | None:
        """Return the backup of an association, by its key."""
        return next((backup for backup in self.backups if backup.key == key), None)

    def position_of(self, backup: Backup) -> int:
        """Return the position of a backup."""
        return next(position for position, known in enumerate(self.backups) if known.key == backup.key)

    def state_of(self, backup: Backup) -> State:
        """Return the public state of a backup."""
        match backup.phase:
            case Waiting():
                return "waiting"
            case Named(number):
                named = sum(isinstance(other.phase, Named) and other.attempt == number for other in self.backups)
                return "running" if len(self.attempt_of(backup).untold) >= named else "requested"
            case Out() | Doubted() | Unlisted():
                return "requested"
            case Running():
                return "running"
            case Ended(end):
                return end

    def is_stuck(self, now: float) -> bool:
        """Tell whether its message must be lost: it is open, and nothing has gone on for an hour."""
        return not self.is_over and self.last_due + LOST_MESSAGE_SECONDS < now

    def gathers_until(self, gathering: Gathering) -> float:
        """Return when its event has gathered."""
        unasked = UNASKED_SETTLE_SECONDS if gathering.is_unasked else 0
        return self.trigger.moment(self.created) + unasked + gathering.seconds

    def request(self, attempt: Attempt) -> BackupRequest:
        """Return what an attempt that is out sends."""
        associations = tuple(backup.association for backup in self.backups if backup.phase == Out(attempt.number))
        return BackupRequest(associations, attempt.level, attempt.task_type, self.pin.notify)

    def short(self, text: str) -> str:
        """Return a text as the record keeps it: shorter where there are many backups."""
        return text[: min(MAX_TEXT, MAX_TEXTS // max(len(self.backups), 1))]

    def pause(self, first: float, pauses: int, now: float) -> float:
        """Return the next pause: it doubles up to 15 minutes, an hour from a day after creation on."""
        longest = MAX_PAUSE if now < self.created + DAY else MAX_LATE_PAUSE
        return max(min(first * 2.0 ** min(pauses, 20), longest), 1)

    # ---- Changed copies

    def changed(self, change: Callable[[Backup], Backup], keys: Collection[str] | None = None) -> "Submission":
        """Change the backups of these keys, or all."""
        return replace(
            self,
            backups=tuple(change(backup) if keys is None or backup.key in keys else backup for backup in self.backups),
        )

    def with_backup(self, changed: Backup) -> "Submission":
        """Replace a backup by its changed form."""
        return self.changed(lambda _: changed, {changed.key})

    def with_attempt(self, attempt: Attempt) -> "Submission":
        """Replace an attempt by its changed form, or add it."""
        others = tuple(known for known in self.attempts if known.number != attempt.number)
        return replace(self, attempts=tuple(sorted((*others, attempt), key=lambda known: known.number)))

    def without_old_attempts(self) -> "Submission":
        """Forget attempts that no backup's phase is about any more, except the newest, which has the last number."""
        numbers = {backup.attempt for backup in self.backups} | {self.next_number - 1}
        return replace(self, attempts=tuple(attempt for attempt in self.attempts if attempt.number in numbers))

    def with_notice(self, status: str, backups: Iterable[Backup], at: float, **facts: Any) -> "Submission":
        """Add a notice of these backups to the outbox."""
        positions = tuple(sorted(self.position_of(backup) for backup in backups))
        return replace(self, outbox=(*self.outbox, Notice(status, at, positions, **facts)))

    def with_letter(self, status: str, backups: Iterable[Backup], problem: Problem, now: float) -> "Submission":
        """Add the notice of backups that have ended without a job, and of the next dead letter."""
        backups = list(backups)
        letter = self.letters + 1
        facts = {"attempt": self.next_number - 1, "level": self.pin.level} if backups else {}
        return replace(self, letters=letter).with_notice(status, backups, now, letter=letter, error=problem, **facts)

    def published(self) -> "Submission":
        """Remove the first notice from the outbox."""
        return replace(self, outbox=self.outbox[1:])

    def woken(self, policy: Policy) -> "Submission":
        """Record when it needs attention next; at once while a notice is unpublished."""
        if self.outbox:
            return replace(self, wake_at=self.outbox[0].at)
        dues = [self._due(backup, policy) for backup in self.backups if backup.is_open]
        if not dues:
            return replace(self, wake_at=0)
        least = next((pause for runs, pause in LEAST_PAUSES if self.runs >= runs), 0)
        due = max(min(dues), self.ran + least if least else 0)
        # What is out after nine days is not given up before its lease is over.
        return replace(self, wake_at=min(due, max(self.opened + MAX_OPEN_SECONDS, self.lease_end)))

    def _due(self, backup: Backup, policy: Policy) -> float:
        match backup.phase:
            case Out():
                return self.lease_end
            case Waiting(due):
                return max(min(due, backup.tried.over_at(backup.phase, policy)), self.lease_end)
            case Named(due=due) | Doubted(due=due) | Unlisted(due=due):
                return min(due, backup.tried.over_at(backup.phase, policy))
            case Running(due=due):
                return due
            case Ended():
                raise ValueError("a backup that is over is never due")


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

    `key` is the association's key and `version` the version that was read, 0 where there is no item. `user` started the
    last job that an answer named, as far as its row tells.
    """

    key: str
    version: int = 0
    claimer: str = ""
    known_ids: tuple[str, ...] = ()
    completed: CompletedJob | None = None
    user: str = ""

    def knowing(self, *job_ids: str) -> "Subclient":
        """Return it with these IDs among the last that claimers got."""
        new = [job_id for job_id in job_ids if job_id not in self.known_ids]
        # The IDs of a group are known together, however many there are.
        return replace(self, known_ids=(*self.known_ids, *new)[-max(MAX_KNOWN_IDS, len(new)) :]) if new else self

    def with_completed(self, job: CompletedJob) -> "Subclient":
        """Return it with a completed job, unless it has a later one."""
        if self.completed and self.completed.started >= job.started:
            return self
        return replace(self, completed=job)


type Subclients = Mapping[str, Subclient]


@dataclass(frozen=True)
class Unreadable:
    """An open record of a form that this version does not know, and why. Its subclients are busy."""

    key: str
    reason: str


@dataclass(frozen=True)
class Change:
    """A changed submission, and the changed subclient items that are saved with it in one transaction."""

    submission: Submission
    subclients: tuple[Subclient, ...] = ()


def submission_key(target: str, trigger: Trigger) -> str:
    """Return the ledger's key of a trigger for a target."""
    return f"submission#{target}#{trigger.kind}#{trigger.id}"


def keys_of(backups: Iterable[Backup]) -> frozenset[str]:
    """Return the keys of the associations of backups."""
    return frozenset(backup.key for backup in backups)


def names_of(backups: Iterable[Backup]) -> str:
    """Return the names of backups as a message shows them."""
    return ", ".join(" / ".join(backup.association.names) for backup in backups)
