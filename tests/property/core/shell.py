"""A driver of the coordinator in memory: the ledger, and one run that can be killed before and after each effect."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rds_snap_backup.core.coordinator import (
    AskStatus,
    Conflict,
    Coordinator,
    Drop,
    Publish,
    ReadInventory,
    ReadJobs,
    ReadStart,
    ReadSubclients,
    ReadTarget,
    Request,
    Save,
    Saved,
    SaveResult,
    Send,
    Stale,
)
from rds_snap_backup.core.opening import DatabaseStatus
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.core.reading import JobsRead, JobsWanted
from rds_snap_backup.core.record import Attempt, Change, Notice, Subclient, Submission
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association


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

    def start_inputs(self, submission: Submission, keys: Iterable[str]) -> StartInputs:
        """Return what a start of these backups depends on, without the document."""
        items = self.subclients(keys)
        claimers = {item.claimer for item in items.values()} - {"", submission.key}
        found = {key: self.submissions[key] for key in claimers if key in self.submissions}
        return StartInputs(items, found, self.throttled_until)

    def save(self, change: Change) -> SaveResult:
        """Save all of a change or nothing."""
        submission = change.submission
        stored = self.submissions.get(submission.key)
        if (stored.version if stored else 0) != submission.version:
            return Stale(stored) if stored else Stale(replace(submission, version=0))
        if any(self.subclients([item.key])[item.key].version != item.version for item in change.subclients):
            return Conflict()
        self.items |= {item.key: replace(item, version=item.version + 1) for item in change.subclients}
        saved = replace(submission, version=submission.version + 1)
        self.submissions[submission.key] = saved
        self.judge(stored, saved, change)
        return Saved(saved)


class Outside(Protocol):
    """Everything outside the core and the ledger."""

    ledger: Ledger
    coordinator: Coordinator

    def fresh(self, submission: Submission) -> Submission | Problem:
        """Return what the current document begins."""

    def start_inputs(self, submission: Submission, keys: tuple[str, ...]) -> StartInputs:
        """Return what a start depends on, the document included."""

    def status(self, submission: Submission) -> DatabaseStatus:
        """Return the status of the trigger's database."""

    def send(self, submission: Submission, send: Send) -> Outcome:
        """Send a CreateTask request."""

    def read_jobs(self, wanted: JobsWanted) -> JobsRead:
        """Read jobs."""

    def unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        """Return the keys of the associations that Commvault does not know."""

    def publish(self, submission: Submission, notice: Notice) -> None:
        """Publish a notice, and keep its dead letter."""

    def drop(self, submission: Submission, attempt: Attempt, outcome: Outcome) -> None:
        """Hear of an outcome that finds its attempt no longer out."""


def run(outside: Outside, submission: Submission, letter: int) -> Generator[Request, None, float | Problem | None]:
    """Take a submission as far as it goes now. Yields each request before it is answered, and a `Send` after it too.

    There time passes, or the run is killed.
    """
    steps, answer = outside.coordinator.run(submission, letter), None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            return stop.value
        yield request
        answer = _answer(outside, submission, request)
        match answer:
            case Saved(submission) | Stale(submission):
                pass
        if isinstance(request, Send):
            yield request


def _answer(outside: Outside, submission: Submission, request: Request) -> Any:
    match request:
        case Save(change):
            return outside.ledger.save(change)
        case Publish(notice):
            return outside.publish(submission, notice)
        case ReadSubclients(keys):
            return outside.ledger.subclients(keys)
        case ReadStart(keys):
            return outside.start_inputs(submission, keys)
        case ReadTarget():
            return outside.fresh(submission)
        case AskStatus():
            return outside.status(submission)
        case ReadJobs(wanted):
            return outside.read_jobs(wanted)
        case ReadInventory(associations):
            return outside.unknown(associations)
        case Send():
            return outside.send(submission, request)
        case Drop(attempt, outcome):
            return outside.drop(submission, attempt, outcome)
