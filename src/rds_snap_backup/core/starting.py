"""Starting an attempt: what joins another job, what must wait, and what one request asks for. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from rds_snap_backup.core.backups import CLOCK_SKEW_SECONDS, Attempt, Backup, keys_of, names_of
from rds_snap_backup.core.elapsing import end_each
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.phases import COMPLETED, Ended, JobRef, Out, Waiting
from rds_snap_backup.core.policy import HOUR, Pin, Policy
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.core.subclients import Subclient, Subclients
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Target

# A claimer whose message is lost is passed over; the audit sends the message again earlier.
PASSED_OVER_SECONDS = 6 * HOUR
# A refused group is sent together once more; refused so again, each of its backups is sent alone.
ALONE = 2

SUBCLIENT_BUSY = Problem(
    "SUBCLIENT_BUSY", "Another submission is backing up this subclient.", "No action is needed: it waits for that one."
)
RATE_LIMITED = Problem(
    "RATE_LIMITED", "Commvault's rate limit is reached.", "No action is needed: it is sent when the limit ends."
)


@dataclass(frozen=True)
class StartInputs:
    """What a start depends on: the subclient items, their claimers by key, and until when Commvault refuses requests.

    `target` is the current document, None where it is not usable or was not read; `pin` what it pins.
    """

    subclients: Subclients
    claimers: Mapping[str, Submission | Unreadable]
    throttled_until: float = 0
    target: Target | None = None
    pin: Pin | None = None


def start(submission: Submission, inputs: StartInputs, policy: Policy, now: float) -> Change:
    """Join what is satisfied, let wait what must, and begin one attempt for others, if there are any.

    It is about the waiting backups whose subclient items are in `inputs`. An attempt that was begun is out: the change
    is saved, then `request` is sent once.
    """
    submission = _repinned(submission, inputs, now)
    free: list[Backup] = []
    joined: list[Backup] = []
    for backup in submission.backups:
        subclient = inputs.subclients.get(backup.key)
        if not isinstance(backup.phase, Waiting) or subclient is None:
            continue
        claimer = inputs.claimers.get(subclient.claimer) if subclient.claimer != submission.key else None
        if satisfying := _satisfying(submission, backup, subclient, claimer):
            joined.append(backup.moved_to(Ended("joined", *satisfying), now))
        elif claimer and _is_busy(submission, claimer, backup.key, policy, now):
            due = now + submission.pause(policy.first_retry_seconds, backup.pauses, now)
            submission = submission.with_backup(backup.moved_to(Waiting(due, "busy", SUBCLIENT_BUSY), now).paused())
        elif inputs.throttled_until > now:
            waiting = Waiting(inputs.throttled_until, "throttled", RATE_LIMITED)
            submission = submission.with_backup(backup.moved_to(waiting, now).paused())
        else:
            free.append(backup)
    submission = _joined(submission, joined, now)
    chosen = _one_attempt(submission, free)
    if not chosen:
        return Change(submission)
    pin, level = submission.pin, _level(submission, chosen[0])
    attempt = Attempt(submission.next_number, level, pin.task_type, pin.retries, now)
    keys = keys_of(chosen)
    submission = submission.with_attempt(attempt).changed(
        lambda backup: backup.moved_to(Out(attempt.number), now), keys
    )
    claimed = tuple(replace(inputs.subclients[key], claimer=submission.key) for key in sorted(keys))
    return Change(submission.without_old_attempts(), claimed)


def _repinned(submission: Submission, inputs: StartInputs, now: float) -> Submission:
    """Take the current document for what is waiting; a backup whose association has left it is rejected."""
    if inputs.target is None or inputs.pin is None:
        return submission
    current = {association.key: association for association in inputs.target.request.associations}
    waiting = [backup for backup in submission.backups if isinstance(backup.phase, Waiting)]
    submission = replace(submission, pin=inputs.pin).changed(
        lambda backup: replace(backup, association=current.get(backup.key, backup.association)), keys_of(waiting)
    )
    removed = [backup for backup in waiting if backup.key not in current]
    problem = Problem(
        "ASSOCIATION_REMOVED",
        submission.short(f"{names_of(removed)} is no longer in the document of the target {submission.target!r}."),
        "Nothing, if that is intended: delete the dead letter. Else add it to the document and redrive.",
    )
    return end_each(submission, removed, problem, now, "rejected")


def _satisfying(
    submission: Submission, backup: Backup, subclient: Subclient, claimer: Submission | Unreadable | None
) -> tuple[JobRef, str] | None:
    """Return a job that satisfies a backup, and the key of the submission that follows it.

    The claimer's job counts while it runs with retries left, and both its and the last completed job once completed.
    """
    level = _level(submission, backup)
    if isinstance(claimer, Submission) and (theirs := claimer.backup_of(backup.key)) and (job := theirs.job):
        if isinstance(theirs.phase, Ended):
            is_good = theirs.phase.end in COMPLETED
        else:
            is_good = theirs.failures < claimer.attempt_of(theirs).retries
        if is_good and job.began >= backup.moment and covers(job.level, level):
            return job, claimer.key
    last = subclient.completed
    if last and last.started >= backup.moment and covers(last.level, level):
        return JobRef(last.id, last.level, last.started), last.submission
    return None


def _is_busy(submission: Submission, claimer: Submission | Unreadable, key: str, policy: Policy, now: float) -> bool:
    """Tell whether the claimer of a subclient still has, or may still get, a job for it."""
    if isinstance(claimer, Unreadable):
        return True
    theirs = claimer.backup_of(key)
    if theirs is None:
        return False
    if isinstance(theirs.phase, Ended):
        # Its window of adoption, and ours begins CLOCK_SKEW_SECONDS before our attempt.
        doubted = theirs.phase.doubted
        room = policy.reconcile_seconds + CLOCK_SKEW_SECONDS
        return doubted is not None and now < claimer.attempt_of(theirs).ended + room
    if now > claimer.last_due + PASSED_OVER_SECONDS:
        return False
    # Of two that wait the older goes first.
    return not isinstance(theirs.phase, Waiting) or claimer.created <= submission.created


def _joined(submission: Submission, joined: Iterable[Backup], now: float) -> Submission:
    def claimer_of(backup: Backup) -> str:
        return backup.phase.by if isinstance(backup.phase, Ended) else ""

    for _, group in groupby(sorted(joined, key=claimer_of), key=claimer_of):
        backups = list(group)
        for backup in backups:
            submission = submission.with_backup(backup)
        job_ids = tuple(dict.fromkeys(backup.job.id for backup in backups if backup.job))
        submission = submission.with_notice("joined", backups, now, level=submission.pin.level, job_ids=job_ids)
    return submission


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
