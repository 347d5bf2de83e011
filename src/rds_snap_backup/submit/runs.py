"""A run: one delivery of one trigger for one target, and how it ends: recorded first, told second.

`submit.py` decides which end it is. Nothing here asks Commvault.
"""

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.ledger.steps import Lease
from rds_snap_backup.ledger.submissions import Closed
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.batches import backoff
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, Target

# Kept back from the function's time for what follows an answer: record, publish, mark.
RESERVE_SECONDS = 12.0

METRICS: dict[str, MetricName] = {
    "submitted": "BackupSubmitted",
    "scheduled": "BackupSubmitted",
    "joined": "BackupJoined",
    "rejected": "BackupRejected",
    "abandoned": "SubmissionAbandoned",
}


def missing(lease: Lease, target: Target) -> tuple[Association, ...]:
    """Return the associations that no job is credited for."""
    return tuple(one for one in target.associations if one.key not in lease.found)


def request_for(lease: Lease, target: Target) -> BackupRequest:
    """Return the request for the associations that no job is credited for."""
    return BackupRequest(
        missing(lease, target), target.backup_level, target.task_type, target.notify_user_on_job_completion
    )


@dataclass(frozen=True, slots=True)
class Published:
    """The submission has ended and everybody was told."""

    notification: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deferred:
    """It goes on after so many seconds."""

    seconds: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Run:
    """A delivery that is being handled. `tries` says how often it was, this one included."""

    services: Services
    seconds_left: Callable[[], float]
    tries: int = 1
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def deadline(self) -> float:
        """When a request to Commvault must have ended, as a value of `time.monotonic()`."""
        return time.monotonic() + self.seconds_left() - RESERVE_SECONDS

    def close(
        self,
        lease: Lease,
        target: Target,
        status: Closed,
        *,
        job_ids: Sequence[str] = (),
        task_id: int | None = None,
        problem: Problem | None = None,
        claims: Collection[str] = (),
        reconciled: bool = False,
        starts_cool_down: bool = True,
    ) -> Published:
        """Record a submission's end, then tell it; jobs that were found before are told of too.

        `starts_cool_down` as in `Ledger.close`. Raises `Claimed` and `LostLease` with nothing recorded.
        """
        notification = notifications.build(
            status,
            target,
            lease.submission.trigger,
            now=self.services.clock(),
            job_ids=tuple(dict.fromkeys((*lease.found.values(), *job_ids))),
            task_id=task_id,
            problem=problem,
            reconciled=reconciled or bool(lease.found),
        )
        self.services.ledger.close(lease, status, notification, claims, starts_cool_down=starts_cool_down)
        return self.tell(lease, notification)

    def tell(self, lease: Lease, notification: dict[str, Any]) -> Published:
        """Publish a recorded end, keep a dead letter of one that went wrong, and mark it as told."""
        submission, status, error = lease.submission, notification["status"], notification.get("error")
        try:
            self.services.notifications.publish(notification)
            if status in {"rejected", "abandoned"}:
                self.services.queues.dead_letter(submission.trigger, submission.target, lease.attempt, error or {})
        except Exception:
            self.services.ledger.release(lease)
            raise
        count(METRICS[status], self.services.config.service)
        if notification["reconciled"]:
            count("SubmissionReconciled", self.services.config.service)
        self.services.ledger.mark_published(lease)
        log = logger.error if error else logger.info
        log(f"Published: {status}", job_ids=notification["jobIds"], attempt=lease.attempt, error=error)
        return Published(notification)

    def defer(
        self, lease: Lease, target: Target, problem: Problem, *, not_before: float = 0, throttle_seconds: int = 0
    ) -> Published | Deferred:
        """Let a submission that was surely not accepted go until later, or abandon it when its time is over."""
        if self._is_over(lease):
            return self._abandon(lease, target, problem)
        self.services.ledger.defer(lease, problem, throttle_seconds)
        return self.later(problem, lease, not_before=not_before or self.services.clock() + throttle_seconds)

    def leave_unknown(
        self, lease: Lease, target: Target, problem: Problem, *, attempt_ended: bool = False, not_after: float = 0
    ) -> Published | Deferred:
        """Let a submission that may have been accepted go until Commvault can tell, or abandon it."""
        ended_at = self.services.clock() if attempt_ended else lease.attempt_ended_at
        lease = replace(lease, is_uncertain=True, attempt_ended_at=ended_at)
        if self._is_over(lease):
            return self._abandon(lease, target, problem)
        self.services.ledger.unknown(lease, problem, attempt_ended=attempt_ended)
        return self.later(problem, lease, not_after=not_after)

    def later(
        self, problem: Problem, lease: Lease | None = None, *, not_before: float = 0, not_after: float = 0
    ) -> Deferred:
        """Return the pause before the next try: it doubles up to 15 minutes, and the last try is when time is over."""
        now, config = self.services.clock(), self.services.config
        pause = backoff(config.first_retry_seconds, self.tries)
        if not_after:
            pause = min(pause, not_after - now)
        pause = max(pause, not_before - now)
        if lease:
            pause = min(pause, lease.created_at + config.retry_hours * 3600 - now)
        count("SubmissionDeferred", config.service)
        return Deferred(max(1, round(pause + 0.5)), problem)

    def _is_over(self, lease: Lease) -> bool:
        return self.services.clock() >= lease.created_at + self.services.config.retry_hours * 3600

    def _abandon(self, lease: Lease, target: Target, problem: Problem) -> Published:
        hours = self.services.config.retry_hours
        message = f"The backup was not submitted within {hours} h. The last reason: {problem.message}"
        hint = f"{problem.hint} Then redrive the dead letter to try again."
        return self.close(lease, target, "abandoned", problem=Problem(problem.code, message, hint))
