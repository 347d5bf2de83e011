"""The ledger in memory, and what a run has learned when it saves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.core.coordinator import Conflict, Request, Saved, SaveResult, Stale
from rds_snap_backup.core.opening import DatabaseStatus
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.core.subclients import Subclient


@dataclass
class Learned:
    """What a run has been told since its last save: the last request and its answer, and the database's statuses.

    `at` is when the save was decided; `gather_seconds` what the document said when the submission began.
    """

    at: float
    request: Request | None = None
    answer: Any = None
    looks: list[tuple[float, DatabaseStatus]] = field(default_factory=list)
    gather_seconds: float = 0


@dataclass
class Ledger:
    """Submissions and subclient items, saved together on condition of their versions. Some records cannot be read."""

    judge: Callable[[Submission | None, Submission, Learned], None]
    submissions: dict[str, Submission] = field(default_factory=dict)
    items: dict[str, Subclient] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    throttled_until: float = 0

    def subclients(self, keys: Iterable[str]) -> dict[str, Subclient]:
        """Return the items of these subclients; one that does not exist has version 0."""
        return {key: self.items.get(key) or Subclient(key) for key in keys}

    def start_inputs(self, submission: Submission, keys: Iterable[str]) -> StartInputs:
        """Return what a start of these backups depends on, without the document."""
        items = self.subclients(keys)
        claimers = {item.claimer for item in items.values()} - {"", submission.key}
        found: dict[str, Submission | Unreadable] = {
            key: Unreadable(key, "newer") if key in self.unreadable else self.submissions[key] for key in claimers
        }
        return StartInputs(items, found, self.throttled_until)

    def save(self, change: Change, learned: Learned) -> SaveResult:
        """Save all of a change or nothing."""
        submission = change.submission
        stored = self.submissions.get(submission.key)
        if (stored.version if stored else 0) != submission.version:
            return Stale(stored or replace(submission, version=0))
        if any(self.subclients([item.key])[item.key].version != item.version for item in change.subclients):
            return Conflict()
        self.items |= {item.key: replace(item, version=item.version + 1) for item in change.subclients}
        saved = replace(submission, version=submission.version + 1)
        self.submissions[submission.key] = saved
        self.judge(stored, saved, learned)
        return Saved(saved)
