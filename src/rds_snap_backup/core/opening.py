"""How a submission begins, gathers and settles, and how a redriven letter opens it again. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from rds_snap_backup.core.backups import UNASKED_SETTLE_SECONDS, Backup, Tried
from rds_snap_backup.core.phases import REOPENABLE, Ended, Waiting
from rds_snap_backup.core.policy import MINUTE, Pin, Policy
from rds_snap_backup.core.record import Gathering, Submission
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, Target
from rds_snap_backup.triggers import Trigger

AVAILABLE = frozenset({"available", "storage-optimization"})

# A database's status; None where RDS does not know it, a problem where RDS cannot be asked.
type DatabaseStatus = str | Problem | None


def begin(
    trigger: Trigger, target: Target, associations: Iterable[Association], policy: Policy, now: float
) -> Submission:
    """Return a new submission; its backups, and how long it gathers, are fixed from now on."""
    backups = tuple(Backup(association, trigger.moment(now), Waiting(now), Tried(now)) for association in associations)
    minutes = policy.gather_minutes if target.gather_minutes is None else target.gather_minutes
    gathering = Gathering(minutes * MINUTE) if trigger.kind == "rds" else None
    return Submission(trigger, target.name, now, now, Pin.of(target, policy), backups, gathering=gathering)


def reject_trigger(trigger: Trigger, target: str, problem: Problem, now: float) -> Submission:
    """Return the submission of a trigger whose target is unknown or not valid: it is rejected and has no backups."""
    return Submission(trigger, target, now, now, error=problem).with_letter("rejected", (), problem, now)


def apply_status(submission: Submission, status: DatabaseStatus, policy: Policy, now: float) -> Submission:
    """Apply the status of the event's database, on its arrival or later: it gathers, settles, or goes on.

    The moment is the first look since which every look has shown the database available, unknown to RDS included. Where
    RDS cannot be asked it is ten minutes after the event, and the event gathers from then.
    """
    gathering = submission.gathering
    if gathering is None:
        return submission
    is_unasked, is_available = isinstance(status, Problem), status is None or status in AVAILABLE
    since = (gathering.available_since or now) if is_available else 0
    gathering = Gathering(gathering.seconds, since, is_unasked)
    submission = replace(submission, gathering=gathering)
    gathered, settled = submission.gathers_until(gathering), submission.gathers_until(gathering) + policy.settle_seconds
    if now < gathered:
        return _waits(submission, Waiting(gathered, "gathering"), now)
    if is_unasked:
        return _goes_on(submission, submission.trigger.moment(submission.created) + UNASKED_SETTLE_SECONDS, now)
    if is_available:
        return _goes_on(submission, since, now)
    if now >= settled:
        return _goes_on(replace(submission, is_unsettled=True), now, now)
    problem = Problem(
        "DATABASE_NOT_AVAILABLE",
        f"The backup waits until the database {submission.trigger.database!r} is available. Its status is {status!r}.",
        "No action is needed. SettleMinutes sets how long it waits at most.",
    )
    pauses = max(backup.pauses for backup in submission.backups)
    due = min(now + submission.pause(policy.first_retry_seconds, pauses, now), settled)
    return _waits(submission, Waiting(due, "settling", problem), now)


def _waits(submission: Submission, waiting: Waiting, now: float) -> Submission:
    is_settling = waiting.reason == "settling"
    return submission.changed(
        lambda backup: (
            (backup.paused() if is_settling else backup).moved_to(waiting, now)
            if isinstance(backup.phase, Waiting)
            else backup
        )
    )


def _goes_on(submission: Submission, moment: float, now: float) -> Submission:
    return replace(submission, gathering=None).changed(
        lambda backup: (
            replace(backup.moved_to(Waiting(now), now), moment=moment) if isinstance(backup.phase, Waiting) else backup
        )
    )


def reopen(submission: Submission, letter: int, fresh: Submission, now: float) -> Submission:
    """Open all rejected and abandoned backups again, for a redriven letter of a higher number than the last that did.

    `fresh` is what `begin` makes of the current document: a submission that has no backups takes them from there.
    """
    if letter <= submission.opened_letter:
        return submission
    opened = replace(
        submission, opened=now, opened_letter=submission.letters, cut_offs=0, runs=0, ran=0, wake_at=now, error=None
    )
    if not submission.backups:
        return replace(opened, backups=fresh.backups, pin=fresh.pin, gathering=fresh.gathering)
    return opened.changed(lambda backup: _opened(backup, now))


def _opened(backup: Backup, now: float) -> Backup:
    phase = backup.phase
    if not isinstance(phase, Ended) or phase.end not in REOPENABLE:
        return backup
    again = replace(phase.doubted, due=now) if phase.doubted else Waiting(now)
    return replace(backup.moved_to(again, now), tried=Tried(now), pauses=0, failures=0, refusals=0)
