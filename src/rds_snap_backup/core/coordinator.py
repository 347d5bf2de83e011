"""What a run does with a submission, written once: a generator that yields requests and is sent their results.

Theory of operation. A submission is one trigger for one target. Each of its backups is one association and is in one
phase (`phases.py`). A run loads the record and repeats: deadlines that are over are applied, the next step is decided,
its request is answered, and what was answered is applied and saved. So wherever a run is killed, the record says what the
next run does:

- an attempt is recorded (`Out`) before its request leaves, an outcome before it is published;
- an attempt without a recorded outcome is *out*. Its begin and LEASE_SECONDS are the lease of the run that sent it. When
  the lease is over its backups are *in doubt* (`Doubted`), because the request may have been accepted;
- a backup in doubt is sent again only when a list of jobs, read after the window of adoption, shows no job of it;
- a notice stays in the outbox until it is published;
- after a save that met another version everything is decided again from the record as it is: what was read for an older
  version is dropped, except the outcome of a request, which belongs to its attempt.

Per subclient at most one request is out or in doubt in a stack. The `Subclient` item names the last claimer, and a start
claims the items of all backups that it sends. Times are Unix seconds on our clock unless a name says otherwise.

The loop of the Backup function, `explain` and the simulation of the tests drive the same generator: what is simulated is
what runs. A driver closes it where a run has no time left.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from rds_snap_backup.core.answering import apply_outcome
from rds_snap_backup.core.applying import apply_inventory, apply_jobs
from rds_snap_backup.core.backups import Attempt
from rds_snap_backup.core.elapsing import elapse
from rds_snap_backup.core.opening import DatabaseStatus, apply_status, reopen
from rds_snap_backup.core.outcomes import Outcome, Submitted
from rds_snap_backup.core.phases import Doubted, Unlisted, Waiting
from rds_snap_backup.core.policy import Policy
from rds_snap_backup.core.reading import JobsRead, JobsWanted, ids_given_up, items_needed, jobs_wanted
from rds_snap_backup.core.record import Change, Notice, Submission
from rds_snap_backup.core.starting import StartInputs, start
from rds_snap_backup.core.subclients import Subclient, Subclients
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest


@dataclass(frozen=True)
class AskStatus:
    """Ask RDS for the status of the trigger's database. Answer: `DatabaseStatus`."""


@dataclass(frozen=True)
class ReadJobs:
    """Read jobs. Answer: `JobsRead`."""

    wanted: JobsWanted


@dataclass(frozen=True)
class ReadInventory:
    """Ask which of these associations Commvault does not know. Answer: their keys, or a `Problem`."""

    associations: tuple[Association, ...]


@dataclass(frozen=True)
class ReadSubclients:
    """Read subclient items. Answer: `Subclients`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadStart:
    """Read the document, the subclient items and their claimers for a start. Answer: `StartInputs`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadTarget:
    """Read the document of a submission that a letter opens again. Answer: what it begins, or a `Problem`."""


@dataclass(frozen=True)
class Send:
    """Send a request, once. Answer: `Outcome`."""

    attempt: Attempt
    request: BackupRequest


@dataclass(frozen=True)
class Publish:
    """Publish a notice, with its dead letter. No answer."""

    notice: Notice


@dataclass(frozen=True)
class Drop:
    """Report an outcome that finds its attempt no longer out. No answer."""

    attempt: Attempt
    outcome: Outcome


@dataclass(frozen=True)
class Save:
    """Save a change. Answer: `SaveResult`."""

    change: Change


type Request = (
    AskStatus | ReadJobs | ReadInventory | ReadSubclients | ReadStart | ReadTarget | Send | Publish | Drop | Save
)


@dataclass(frozen=True)
class Saved:
    """The change was saved; this is the record with its new version."""

    submission: Submission


@dataclass(frozen=True)
class Stale:
    """Another run has saved the record since it was read: nothing was saved, and this is the record as it is now."""

    submission: Submission


@dataclass(frozen=True)
class Conflict:
    """A subclient's item has changed since it was read, or another transaction holds one: nothing was saved."""


type SaveResult = Saved | Stale | Conflict
type Step = Request | float | None
type Run = Generator[Request, Any, float | Problem | None]
type Working = Generator[Request, Any, Submission]

# A run leaves a submission to the next one after this number of writes in a row that met another one.
MAX_CONFLICTS = 6


class Coordinator:
    """Takes submissions as far as they go. `clock` gives Unix seconds."""

    def __init__(self, policy: Policy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock

    def run(self, submission: Submission, letter: int = 0) -> Run:
        """Return when to go on, None once the submission is over, or why a letter cannot open it again.

        `letter` is the number of the dead letter whose message is worked on.
        """
        is_counted, conflicts = False, 0
        while conflicts < MAX_CONFLICTS:
            before, now = submission, self._clock()
            elapsed = elapse(submission, self._policy, now)
            if submission.opened_letter < letter <= submission.letters:
                fresh = yield ReadTarget()
                if isinstance(fresh, Problem):
                    return fresh
                opened = reopen(submission, letter, fresh, self._clock())
                submission = yield from self._saved(submission, Change(opened))
            elif elapsed != submission:
                submission = yield from self._save_elapsed(submission, elapsed)
            else:
                step = self._next(submission, now, is_working=is_counted)
                if step is None or isinstance(step, (int, float)):
                    if step is not None and not submission.version:
                        yield from self._saved(submission, Change(submission))
                    return step
                if not is_counted:
                    is_counted, submission = True, replace(submission, runs=submission.runs + 1, ran=now)
                    before = submission
                submission = yield from self._do(submission, step)
                if submission is before and isinstance(step, (Publish, ReadJobs)):
                    break  # It is not published, or read, once more in this run.
            conflicts = conflicts + 1 if submission is before else 0
        return self._clock() + self._policy.first_retry_seconds

    def _next(self, submission: Submission, now: float, *, is_working: bool) -> Step:
        if submission.outbox:
            return Publish(submission.outbox[0])
        if submission.is_over:
            return None
        # The least pause lies between runs: a run does all that is due.
        if submission.wake_at > now and not is_working:
            return submission.wake_at
        if wanted := jobs_wanted(submission, self._policy, now):
            return ReadJobs(wanted)
        if refused := tuple(
            b.association for b in submission.backups if isinstance(b.phase, Unlisted) and b.phase.due <= now
        ):
            return ReadInventory(refused)
        waiting = tuple(b.key for b in submission.backups if isinstance(b.phase, Waiting) and b.phase.due <= now)
        if waiting and not submission.out:
            return AskStatus() if submission.gathering else ReadStart(waiting)
        return max(submission.woken(self._policy).wake_at, now + 1)

    def _do(self, submission: Submission, step: Request) -> Working:
        """Answer a request and apply it; return the submission itself where another write was in the way."""
        match step:
            case Publish():
                yield step
                return (yield from self._saved(submission, Change(submission.published())))
            case AskStatus():
                status: DatabaseStatus = yield step
                asked = apply_status(submission, status, self._policy, self._clock())
                # Where it goes on, the start that follows saves it.
                return (yield from self._saved(submission, Change(asked))) if asked.gathering else asked
            case ReadInventory():
                unknown: frozenset[str] | Problem = yield step
                decided = apply_inventory(submission, unknown, self._policy, self._clock())
                return (yield from self._saved(submission, Change(decided)))
            case ReadJobs(wanted):
                return (yield from self._read_jobs(submission, wanted))
            case ReadStart():
                inputs: StartInputs = yield step
                change = start(submission, inputs, self._policy, self._clock())
                match (yield from self._save(change)):
                    case Saved(saved) if saved.out:
                        claimed = {item.key: replace(item, version=item.version + 1) for item in change.subclients}
                        return (yield from self._send(saved, claimed))
                    case Saved(saved) | Stale(saved):
                        return saved
                    case Conflict():
                        return submission
            case _:
                raise ValueError("no step of a submission")

    def _read_jobs(self, submission: Submission, wanted: JobsWanted) -> Working:
        """Read jobs and apply them to the version that they were read for."""
        read: JobsRead = yield ReadJobs(wanted)
        for _ in range(MAX_CONFLICTS):
            keys = items_needed(submission, wanted, read)
            subclients: Subclients = (yield ReadSubclients(keys)) if keys else {}
            change = apply_jobs(submission, wanted, read, subclients, self._policy)
            match (yield from self._save(_knowing(submission, change, subclients))):
                case Saved(saved) | Stale(saved):
                    return saved
                case Conflict():
                    pass
        return submission

    def _send(self, submission: Submission, items: Subclients) -> Working:
        """Send the request that is out, once, and record its outcome. `items` are those that it claimed."""
        attempt = submission.out
        assert attempt  # noqa: S101  # nosec B101 # the caller has asked
        request = submission.request(attempt)
        outcome: Outcome = yield Send(attempt, request)
        now = self._clock()
        for _ in range(MAX_CONFLICTS):
            if submission.out != attempt:
                return (yield from self._drop(submission, attempt, request, outcome))
            match (yield from self._save(apply_outcome(submission, outcome, items, self._policy, now))):
                case Saved(saved):
                    return saved
                case Stale(submission):
                    pass
                case Conflict():
                    items = yield ReadSubclients(tuple(items))
        # When the lease is over, the jobs are looked for in Commvault.
        yield Drop(attempt, outcome)
        return submission

    def _drop(self, submission: Submission, attempt: Attempt, request: BackupRequest, outcome: Outcome) -> Working:
        """Report an outcome whose attempt is not out any more. Its jobs become known, unless they are still looked for."""
        yield Drop(attempt, outcome)
        if not isinstance(outcome, Submitted):
            return submission
        backups = [submission.backup_of(association.key) for association in request.associations]
        keys = tuple(
            backup.key
            for backup in backups
            if backup and not (isinstance(backup.phase, Doubted) and backup.attempt == attempt.number)
        )
        subclients: Subclients = (yield ReadSubclients(keys)) if keys else {}
        items = tuple(item.knowing(*outcome.job_ids) for item in subclients.values())
        return (yield from self._saved(submission, Change(submission, items)))

    def _save_elapsed(self, submission: Submission, elapsed: Submission) -> Working:
        keys = tuple(sorted(ids_given_up(submission, elapsed)))
        subclients: Subclients = (yield ReadSubclients(keys)) if keys else {}
        return (yield from self._saved(submission, _knowing(submission, Change(elapsed), subclients)))

    def _saved(self, before: Submission, change: Change) -> Working:
        """Save a change; return the record as the ledger has it, or `before` itself where an item was in the way."""
        match (yield from self._save(change)):
            case Saved(saved) | Stale(saved):
                return saved
            case Conflict():
                return before

    def _save(self, change: Change) -> Generator[Request, Any, SaveResult]:
        """Save a change with the time of the next wake-up."""
        result: SaveResult = yield Save(replace(change, submission=change.submission.woken(self._policy)))
        return result


def _knowing(before: Submission, change: Change, subclients: Subclients) -> Change:
    """Let the items know the IDs that a change gives up."""
    items = {item.key: item for item in change.subclients}
    for key, job_ids in ids_given_up(before, change.submission).items():
        item = items.get(key) or subclients.get(key, Subclient(key))
        items[key] = item.knowing(*job_ids)
    return replace(change, subclients=tuple(items[key] for key in sorted(items)))
