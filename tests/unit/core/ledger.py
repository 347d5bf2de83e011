"""The ledger in memory: submissions and subclient items, saved together on condition of their versions."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rds_snap_backup.core.coordinator import Conflict, Saved, SaveResult, Stale
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.core.subclients import Subclient


@dataclass
class Ledger:
    """`unreadable` are keys of submissions that cannot be read."""

    submissions: dict[str, Submission] = field(default_factory=dict)
    items: dict[str, Subclient] = field(default_factory=dict)
    throttled_until: float = 0
    unreadable: set[str] = field(default_factory=set)

    def subclients(self, keys: Iterable[str]) -> dict[str, Subclient]:
        """Return the items of these subclients; one that does not exist has version 0."""
        return {key: self.items.get(key) or Subclient(key) for key in keys}

    def start_inputs(self, submission: Submission, keys: Iterable[str]) -> StartInputs:
        """Return what a start of these backups depends on, without the document."""
        items = self.subclients(keys)
        claimers = {item.claimer for item in items.values()} - {"", submission.key}
        found: dict[str, Submission | Unreadable] = {
            key: Unreadable(key, "newer") if key in self.unreadable else self.submissions[key]
            for key in claimers
            if key in self.submissions or key in self.unreadable
        }
        return StartInputs(items, found, self.throttled_until)

    def save(self, change: Change) -> SaveResult:
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
        return Saved(saved)
