"""The record of a submission: everything that is known of one trigger for one target, and of the subclients it claims. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from rds_snap_backup.core.backups import (
    LEAST_PAUSES,
    LOST_MESSAGE_SECONDS,
    MAX_LATE_PAUSE,
    MAX_OPEN_SECONDS,
    MAX_PAUSE,
    MAX_TEXT,
    MAX_TEXTS,
    UNASKED_SETTLE_SECONDS,
    Attempt,
    Backup,
)
from rds_snap_backup.core.phases import (
    Doubted,
    Ended,
    Named,
    Out,
    Running,
    State,
    Unlisted,
    Waiting,
)
from rds_snap_backup.core.policy import DAY, Pin, Policy
from rds_snap_backup.core.subclients import Subclient
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import BackupRequest
from rds_snap_backup.triggers import Trigger


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
    pin: Pin = field(default_factory=Pin)
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
            case never:
                assert_never(never)

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

    def with_attempt_notice(
        self, status: str, attempt: Attempt, backups: Iterable[Backup], at: float, **facts: Any
    ) -> "Submission":
        """Add a notice about backups of an attempt."""
        of_attempt = {"task_id": attempt.task_id, "submitted_at": attempt.began}
        return self.with_notice(
            status, backups, at, attempt=attempt.number, level=attempt.level, **{**of_attempt, **facts}
        )

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
            case never:
                assert_never(never)


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
