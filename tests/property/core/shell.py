"""A shell of the pure core in memory: the ledger, and one run of the loop that can be killed at each effect."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from rds_snap_backup import sightings as sighted
from rds_snap_backup import submission as core
from rds_snap_backup.commvault.outcomes import Outcome
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Change, Notice, Policy, Subclient, Submission
from rds_snap_backup.sightings import Sight
from rds_snap_backup.submission import Look, Surroundings
from rds_snap_backup.targets import Association, BackupRequest, Target


class Stale(Exception):
    """The submission has changed since it was read."""


class SubclientChanged(Exception):
    """The item of a subclient has changed since it was read."""


@dataclass
class Ledger:
    """Submissions and subclient items, saved together on condition of their versions."""

    submissions: dict[str, Submission] = field(default_factory=dict)
    items: dict[str, Subclient] = field(default_factory=dict)
    throttled_until: float = 0
    judge: Callable[[Submission | None, Submission, Change], None] = lambda *_: None

    def subclients(self, keys: Iterable[str]) -> dict[str, Subclient]:
        """Return the items of these subclients; one that does not exist has version 0."""
        return {key: self.items.get(key) or Subclient(key) for key in keys}

    def surroundings(self, submission: Submission, keys: Iterable[str]) -> Surroundings:
        """Return what a start of these backups depends on."""
        items = self.subclients(keys)
        claimers = {item.claimer for item in items.values()} - {"", submission.key}
        found = {key: self.submissions[key] for key in claimers if key in self.submissions}
        return Surroundings(items, found, self.throttled_until)

    def save(self, change: Change) -> Submission:
        """Save all of a change or nothing. Raises `Stale` or `SubclientChanged`."""
        submission = change.submission
        stored = self.submissions.get(submission.key)
        if (stored.version if stored else 0) != submission.version:
            raise Stale
        if any(self.subclients([item.key])[item.key].version != item.version for item in change.subclients):
            raise SubclientChanged
        self.items |= {item.key: replace(item, version=item.version + 1) for item in change.subclients}
        saved = replace(submission, version=submission.version + 1)
        self.submissions[submission.key] = saved
        self.judge(stored, saved, change)
        return saved


class Outside(Protocol):
    """Everything outside the core and the ledger."""

    ledger: Ledger
    policy: Policy

    @property
    def now(self) -> float:
        """The time in Unix seconds."""

    def document(self, target: str) -> Target | None:
        """Return a target's document, None where it is not usable."""

    def status(self, submission: Submission) -> str | Problem | None:
        """Return the status of the trigger's database."""

    def send(self, submission: Submission, request: BackupRequest) -> Outcome:
        """Send a CreateTask request."""

    def look(self, submission: Submission, look: Look) -> Sight:
        """Read jobs."""

    def unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        """Return the keys of the associations that Commvault does not know."""

    def publish(self, submission: Submission, notice: Notice) -> None:
        """Publish a notice, and keep its dead letter."""


def run(outside: Outside, submission: Submission) -> Generator[str]:
    """Take a submission as far as it goes now. Yields before each effect: there time passes, or the run is killed.

    Returns when the submission waits or is over. A conflict reads the record again, as the loop does.
    """
    ledger, key = outside.ledger, submission.key
    while True:
        try:
            elapsed = core.elapse(submission, outside.now)
            if elapsed is not submission:
                yield "save"
                submission = ledger.save(Change(elapsed))
            match core.decide(submission, outside.now):
                case core.Wait() | core.Over():
                    return
                case core.Publish(notice):
                    yield "publish"
                    outside.publish(submission, notice)
                    yield "save"
                    submission = ledger.save(Change(core.published(submission)))
                case core.Settle():
                    yield "ask"
                    submission = core.settle(submission, outside.status(submission), outside.policy, outside.now)
                    if not submission.is_settled:
                        yield "save"
                        submission = ledger.save(Change(submission))
                case core.ReadInventory(associations):
                    yield "ask"
                    unknown = outside.unknown(associations)
                    taken = sighted.take_inventory(submission, unknown, outside.policy, outside.now)
                    yield "save"
                    submission = ledger.save(Change(taken))
                case core.Look() as look:
                    yield "look"
                    sight = outside.look(submission, look)
                    items = ledger.subclients(sighted.touched(submission, look, sight))
                    change = sighted.see(submission, look, sight, items, outside.policy)
                    yield "save"
                    submission = ledger.save(change)
                case core.Start(keys):
                    submission = yield from _start(outside, submission, keys)
        except SubclientChanged:
            continue
        except Stale:
            submission = ledger.submissions[key]


def _start(outside: Outside, submission: Submission, keys: tuple[str, ...]) -> Generator[str, None, Submission]:
    ledger = outside.ledger
    target = outside.document(submission.target)
    pin = core.pin_of(target, 0, 0) if target else submission.pin
    repinned = core.repin(submission, target, pin, outside.now)
    surroundings = ledger.surroundings(repinned, keys)
    yield "read"
    change = core.start(repinned, surroundings, outside.policy, outside.now)
    yield "save"
    submission = ledger.save(change)
    attempt = core.out_attempt(submission)
    if attempt is None:
        return submission
    yield "send"
    outcome = outside.send(submission, submission.request(attempt))
    yield "answer"
    now = outside.now
    yield "save"
    while True:
        items = ledger.subclients(backup.key for backup in submission.backups)
        try:
            return ledger.save(core.answered(submission, outcome, items, outside.policy, now))
        except Stale:
            submission = ledger.submissions[submission.key]
