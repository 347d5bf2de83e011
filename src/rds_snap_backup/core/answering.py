"""The outcome of the attempt that is out: the table "Outcomes of an attempt" of docs/architecture.md. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from rds_snap_backup.core.backups import Attempt, Backup, keys_of
from rds_snap_backup.core.elapsing import end_each
from rds_snap_backup.core.outcomes import (
    AlreadyRunning,
    Failed,
    Outcome,
    Rejected,
    Scheduled,
    Submitted,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from rds_snap_backup.core.phases import Doubt, Doubted, Ended, JobRef, Named, Out, Running, Waiting, WaitReason
from rds_snap_backup.core.policy import Policy
from rds_snap_backup.core.record import Change, Submission
from rds_snap_backup.core.subclients import Subclients
from rds_snap_backup.problems import Problem


def apply_outcome(
    submission: Submission, outcome: Outcome, subclients: Subclients, policy: Policy, now: float
) -> Change:
    """Apply the outcome of the attempt that is out. `subclients` are the items that it claimed, as they are now.

    Raises `ValueError` where nothing is out.
    """
    attempt = submission.out
    if attempt is None:
        raise ValueError("no attempt is out")
    attempt = replace(attempt, ended=now)
    sent = [backup for backup in submission.backups if isinstance(backup.phase, Out)]
    is_group = len(sent) > 1 and attempt.task_type != "SCHEDULE"
    submission = replace(submission.with_attempt(attempt), cut_offs=0)
    answer = _Answer(submission, attempt, sent, policy)
    match outcome:
        case Submitted():
            return answer.submitted(outcome, subclients)
        case Scheduled(task_id):
            submission = submission.changed(lambda backup: backup.moved_to(Ended("scheduled"), now), keys_of(sent))
            return Change(submission.with_attempt_notice("scheduled", attempt, sent, now, task_id=task_id))
        case AlreadyRunning(problem) if is_group:
            return answer.doubted("running", problem)
        case AlreadyRunning(problem):
            return answer.waits("busy", problem)
        case Rejected(problem, blames_names=True) if is_group:
            return answer.doubted("refused", problem)
        case Rejected(problem):
            return Change(end_each(submission, sent, problem, now, "rejected"))
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return answer.waits("trying", problem)
        case Throttled(problem, seconds):
            return answer.waits("throttled", problem, seconds)
        case Unknown(problem):
            return answer.doubted("unanswered", problem)
        case never:
            assert_never(never)


class _Answer:
    """What an outcome does with the backups that were sent."""

    def __init__(self, submission: Submission, attempt: Attempt, sent: list[Backup], policy: Policy) -> None:
        self._submission = submission
        self._attempt = attempt
        self._sent = sent
        self._policy = policy
        self._now = attempt.ended

    def submitted(self, outcome: Submitted, subclients: Subclients) -> Change:
        """Keep the IDs that the answer named. Only a single ID for a single backup tells by itself whose it is."""
        job_ids = tuple(dict.fromkeys(outcome.job_ids))
        is_single = len(self._sent) == len(job_ids) == 1
        attempt = replace(
            self._attempt,
            job_ids=job_ids,
            untold=() if is_single else job_ids,
            task_id=outcome.task_id,
        )
        due = self._now + self._policy.first_poll_seconds

        def named(backup: Backup) -> Backup:
            backup = backup.moved_to(Named(attempt.number, due), self._now)
            if is_single:
                job = JobRef(job_ids[0], attempt.level, attempt.began)
                backup = backup.moved_to(Running(attempt.number, job, self._now, due), self._now)
            return replace(backup, pauses=0)

        submission = self._submission.with_attempt(attempt).changed(named, keys_of(self._sent))
        submission = submission.with_attempt_notice(
            "submitted", attempt, self._sent, self._now, job_ids=job_ids, error=outcome.problem
        )
        item = subclients.get(self._sent[0].key)
        return Change(submission, (item.knowing(*job_ids),) if is_single and item else ())

    def doubted(self, doubt: Doubt, problem: Problem) -> Change:
        """Look for jobs: the request may have been accepted."""
        wait = min(self._policy.first_retry_seconds, self._policy.reconcile_seconds)
        doubted = Doubted(self._attempt.number, doubt, self._now + wait, problem)
        return Change(self._changed(lambda backup: backup.moved_to(doubted, self._now).paused()))

    def waits(self, reason: WaitReason, problem: Problem, seconds: float = 0) -> Change:
        """Let the backups wait, for as long as Commvault says or for the next pause."""

        def waiting(backup: Backup) -> Backup:
            pause = self._submission.pause(self._policy.first_retry_seconds, backup.pauses, self._now)
            return backup.moved_to(Waiting(self._now + (seconds or pause), reason, problem), self._now).paused()

        return Change(self._changed(waiting))

    def _changed(self, change: Callable[[Backup], Backup]) -> Submission:
        return self._submission.changed(change, keys_of(self._sent))
