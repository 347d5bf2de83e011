"""The deadlines of a submission, asked whenever time passes. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import assert_never

from rds_snap_backup.core.backups import MAX_OPEN_SECONDS, Attempt, Backup, keys_of
from rds_snap_backup.core.phases import Doubted, End, Ended, Named, Out, Running, Unlisted, Waiting
from rds_snap_backup.core.policy import HOUR, Policy
from rds_snap_backup.core.record import Submission
from rds_snap_backup.problems import Problem

MAX_CUT_OFFS = 5
LOOK_AT_JOBS = "Look for a job of this subclient in Commvault's job controller before you start one by hand."
RESOLVE = "Resolve that, then redrive the dead letter."

RUNS_CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs in a row were cut off while a request was out, so a job may have started.",
    f"Look for timeouts or lack of memory in the Backup function's log. {LOOK_AT_JOBS} Then redrive the dead letter.",
)
SCHEDULE_UNKNOWN = Problem(
    "SCHEDULE_UNKNOWN",
    "The request to schedule a backup may have been accepted, and no job shows it. It is never sent again.",
    "Look in Commvault whether the schedule exists. If it does not, start the target by hand.",
)
OPEN_TOO_LONG = Problem("OPEN_TOO_LONG", "The submission was open for nine days.", f"{LOOK_AT_JOBS} Then redrive.")
NOT_FOLLOWED = Problem(
    "JOB_NOT_FOLLOWED", "The job could not be followed to its end within nine days.", "Look for the job in Commvault."
)
JOBS_UNREADABLE = Problem(
    "JOBS_UNREADABLE",
    "Commvault named jobs, and could not be asked in time whose they are.",
    "Look at Commvault's job controller, then start the target by hand if it shows no job of this subclient.",
)
NOT_STARTED = Problem("NOT_STARTED", "The backup could not be started.", RESOLVE)


def elapse(submission: Submission, policy: Policy, now: float) -> Submission:
    """Apply the deadlines that are over: a lease, the time for trying, the nine days of a submission."""
    if (attempt := submission.out) and now >= attempt.lease_end:
        submission = _cut_off(submission, attempt, now)
        if submission.cut_offs >= MAX_CUT_OFFS:
            submission = _end(submission, lambda backup: not backup.has_named_job, lambda _: RUNS_CUT_OFF, now)
    submission = _end(submission, lambda backup: _is_lost_schedule(submission, backup), lambda _: SCHEDULE_UNKNOWN, now)
    submission = _end(
        submission,
        lambda backup: backup.tried.over_at(backup.phase, policy) <= now,
        lambda backup: _expired(backup, policy),
        now,
    )
    if now >= submission.opened + MAX_OPEN_SECONDS:
        submission = _end(
            submission,
            lambda _: True,
            lambda backup: NOT_FOLLOWED if backup.has_named_job else OPEN_TOO_LONG,
            now,
            with_running=True,
        )
    return submission


def end_each(
    submission: Submission, backups: Iterable[Backup], problem: Problem, now: float, end: End = "abandoned"
) -> Submission:
    """End backups that have no job, with one notice and one dead letter."""
    keys = keys_of(backups)
    if not keys:
        return submission

    def ended(backup: Backup) -> Backup:
        doubted = backup.phase if isinstance(backup.phase, Doubted) else None
        return backup.moved_to(Ended(end, error=problem, doubted=doubted), now)

    submission = submission.changed(ended, keys)
    return submission.with_letter(end, [b for b in submission.backups if b.key in keys], problem, now)


def lose(submission: Submission, backups: Iterable[Backup], problem: Problem, now: float) -> Submission:
    """End backups whose jobs cannot be followed, with one notice for each job, or for the unknown jobs of an attempt."""
    for backup in backups:
        submission = submission.with_backup(backup.moved_to(Ended("lost", backup.job, error=problem), now))

    def job_of(backup: Backup) -> tuple[int, str]:
        return backup.attempt, backup.job.id if backup.job else ""

    for (number, job_id), group in groupby(sorted(backups, key=job_of), key=job_of):
        attempt = next(attempt for attempt in submission.attempts if attempt.number == number)
        job_ids = (job_id,) if job_id else attempt.untold or attempt.job_ids
        submission = submission.with_attempt_notice("lost", attempt, group, now, job_ids=job_ids, error=problem)
    return submission


def _cut_off(submission: Submission, attempt: Attempt, now: float) -> Submission:
    """Doubt what was out when its run was cut off: the request may have been accepted."""
    submission = replace(
        submission.with_attempt(replace(attempt, ended=attempt.lease_end)), cut_offs=submission.cut_offs + 1
    )
    doubted = Doubted(attempt.number, "unanswered", now)
    # The time since the lease's end does not count.
    return submission.changed(
        lambda backup: backup.moved_to(doubted, attempt.lease_end) if isinstance(backup.phase, Out) else backup
    )


def _is_lost_schedule(submission: Submission, backup: Backup) -> bool:
    return isinstance(backup.phase, Doubted) and submission.attempt_of(backup).task_type == "SCHEDULE"


def _expired(backup: Backup, policy: Policy) -> Problem:
    last = backup.error or NOT_STARTED
    message = f"The backup was not started within {policy.retry_seconds / HOUR:g} h. The last reason: {last.message}"
    return JOBS_UNREADABLE if isinstance(backup.phase, Named) else Problem(last.code, message, RESOLVE)


def _end(
    submission: Submission,
    is_over: Callable[[Backup], bool],
    why: Callable[[Backup], Problem],
    now: float,
    *,
    with_running: bool = False,
) -> Submission:
    """End the open backups of which a deadline is over: those that have a job as lost, the others as abandoned.

    What is out is never ended: its outcome, or its lease's end, decides first.
    """
    abandoned: dict[Problem, list[Backup]] = {}
    lost: dict[Problem, list[Backup]] = {}
    for backup in submission.backups:
        match backup.phase:
            case Waiting() | Doubted() | Unlisted() if is_over(backup):
                abandoned.setdefault(why(backup), []).append(backup)
            case Named() if is_over(backup):
                lost.setdefault(why(backup), []).append(backup)
            case Running() if with_running and is_over(backup):
                lost.setdefault(why(backup), []).append(backup)
            case Waiting() | Out() | Named() | Doubted() | Unlisted() | Running() | Ended():
                pass
            case never:
                assert_never(never)
    for problem, backups in abandoned.items():
        submission = end_each(submission, backups, problem, now)
    for problem, backups in lost.items():
        submission = lose(submission, backups, problem, now)
    return submission
