"""One backup of a submission: its attempt, its phase, and how long it was tried. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from rds_snap_backup.core.phases import (
    CHANGES,
    Absence,
    Doubted,
    Ended,
    JobRef,
    Named,
    Out,
    Phase,
    Running,
    Unlisted,
    Waiting,
    counts_as_trying,
    name_of,
)
from rds_snap_backup.core.policy import DAY, HOUR, MINUTE, Policy
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, TaskType

# The function's timeout (50 s) and 30 s.
LEASE_SECONDS = 80
MAX_PAUSE, MAX_LATE_PAUSE = 15 * MINUTE, HOUR
# The queue keeps a message for 14 days.
MAX_OPEN_SECONDS = 9 * DAY
# The CommServe's clock may differ by this much from its web server's, the one that we see.
CLOCK_SKEW_SECONDS = 120
LOST_MESSAGE_SECONDS = HOUR
UNASKED_SETTLE_SECONDS = 600
# A submission that has been worked on this often goes on only after this time, so that its message is received fewer
# than half of the queue's 1,000 times in its nine days.
LEAST_PAUSES = ((200, MAX_LATE_PAUSE), (100, MAX_PAUSE))
# Texts of all backups together, so that a record of 90 backups fits into a DynamoDB item.
MAX_TEXTS = 20_000
MAX_TEXT = 500


@dataclass(frozen=True)
class Attempt:
    """One CreateTask request. `ended` is 0 until its outcome is recorded or its lease is over.

    `retries`: how often its jobs are started again when they fail, as its document said when it began.

    `job_ids` are those that the answer named; `untold` those of them of which no row shows whose they are.
    `has_matched`: a row has shown that one of them is of this attempt. `absence`: complete reads do not show one.
    """

    number: int
    level: str
    task_type: TaskType
    retries: int
    began: float
    ended: float = 0
    job_ids: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    has_matched: bool = False
    absence: Absence | None = None
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
        if counts_as_trying(phase):
            return Tried(max(now, self.at), self.counted + passed, self.uncounted)
        return Tried(max(now, self.at), self.counted, self.uncounted + passed)

    def over_at(self, phase: Phase, policy: Policy) -> float:
        """Return when a backup that stays in this phase has been tried for long enough."""
        spare = policy.uncounted_seconds - self.uncounted
        left = policy.retry_seconds - self.counted + min(spare, 0)
        return self.at + max(left, 0) + (0 if counts_as_trying(phase) else max(spare, 0))

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
            case never:
                assert_never(never)

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
            case never:
                assert_never(never)

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


def keys_of(backups: Iterable[Backup]) -> frozenset[str]:
    """Return the keys of the associations of backups."""
    return frozenset(backup.key for backup in backups)


def names_of(backups: Iterable[Backup]) -> str:
    """Return the names of backups as a message shows them."""
    return ", ".join(" / ".join(backup.association.names) for backup in backups)
