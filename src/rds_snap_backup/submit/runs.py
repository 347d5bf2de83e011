"""A run: one delivery of one trigger for one target, and how it ends: recorded first, published second.

`workflow.py` decides which end it is. Nothing here asks Commvault.
"""

import random
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.ledger.entries import Entry
from rds_snap_backup.ledger.states import REOPENABLE, Closed
from rds_snap_backup.ledger.steps import Claimed, FoundJob, Lease
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.batches import backoff
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.submit.deliveries import SAFETY_NET_SECONDS, Delivery
from rds_snap_backup.targets import INVALID
from rds_snap_backup.triggers import Ignored

# Kept back from the function's time for what follows an answer: record, publish, mark.
RESERVE_SECONDS = 12.0
# Submissions that wait for the end of a rate limit do not all wake at once.
MAX_JITTER_SECONDS = 30.0

TAKEN = Problem(
    "JOB_TAKEN",
    "Another submission was credited with the job that was started.",
    "No action is needed: it is resolved when both submissions have been reconciled.",
)

METRICS: dict[str, MetricName] = {
    "submitted": "BackupSubmitted",
    "scheduled": "BackupSubmitted",
    "joined": "BackupJoined",
    "rejected": "BackupRejected",
    "abandoned": "SubmissionAbandoned",
}


@dataclass(frozen=True)
class Published:
    """The submission has ended, and its notification is published. Unless `is_marked`, a later run publishes it again."""

    notification: dict[str, Any]
    is_marked: bool = True


@dataclass(frozen=True)
class Deferred:
    """It is retried after so many seconds."""

    seconds: int
    problem: Problem


@dataclass(frozen=True)
class Reported:
    """The submission exists, and the trigger only asked for its state."""

    entry: Entry


@dataclass(frozen=True)
class LetterReturned:
    """A redriven dead letter that cannot be retried yet, or no more: it goes back to its queue."""

    problem: Problem


type End = Published | Deferred | Reported | LetterReturned | Ignored


@dataclass(frozen=True)
class Run:
    """A delivery that is being handled."""

    services: Services
    delivery: Delivery
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def deadline(self) -> float:
        """Until when Commvault may answer, as `time.monotonic` counts."""
        return time.monotonic() + self.delivery.seconds_left() - RESERVE_SECONDS

    @property
    def pause(self) -> float:
        """How many seconds to wait before the next try: they double up to 15 minutes."""
        if self.delivery.has_safety_net:
            return SAFETY_NET_SECONDS
        return backoff(self.services.config.first_retry_seconds, self.delivery.tries)

    def close(
        self,
        lease: Lease,
        status: Closed,
        *,
        job_ids: Sequence[str] = (),
        task_id: int | None = None,
        problem: Problem | None = None,
        claims: Iterable[str | FoundJob] = (),
        reconciled: bool = False,
        starts_cool_down: bool = True,
    ) -> Published | Deferred:
        """Record a submission's end, then publish it, with the jobs that were found before.

        Where one of those is credited to another submission by now, the end is put off: Commvault counted its ID again,
        and the association is without a job. `starts_cool_down` as in `Ledger.close`. Raises `Claimed` for `claims`, and
        `LostLease`, with nothing recorded.
        """
        notification = self.notification(lease, status, job_ids, task_id, problem, reconciled=reconciled)
        try:
            self.services.ledger.close(lease, status, notification, claims, starts_cool_down=starts_cool_down)
        except Claimed as claimed:
            if claimed.job_ids.isdisjoint(lease.found.values()):
                raise
            return self.leave_unknown(lease.without(claimed.job_ids), TAKEN, attempt_ended=True)
        return self.publish(lease, notification)

    def notification(
        self,
        lease: Lease,
        status: Closed,
        job_ids: Sequence[str] = (),
        task_id: int | None = None,
        problem: Problem | None = None,
        *,
        reconciled: bool = False,
    ) -> dict[str, Any]:
        """Return the notification of a submission's end: what was sent, and the jobs found before beside these."""
        return notifications.build(
            status,
            lease.submission.target,
            lease.pin.request if lease.pin.request.associations else None,
            lease.submission.trigger,
            now=self.services.clock(),
            job_ids=tuple(dict.fromkeys((*lease.found.values(), *job_ids))),
            task_id=task_id,
            problem=problem,
            reconciled=reconciled or bool(lease.found),
        )

    def publish(self, lease: Lease, notification: dict[str, Any]) -> Published:
        """Publish a recorded end, keep a dead letter of one that went wrong, and mark it as published."""
        services, submission = self.services, lease.submission
        status, error = notification["status"], notification.get("error")
        try:
            services.notifications.publish(notification)
            if status in REOPENABLE:
                services.queues.dead_letter(submission.trigger, submission.target, lease.attempt, error or {})
        except Exception:
            services.ledger.release_unpublished(lease)
            raise
        is_invalid = error is not None and error["code"] in INVALID
        count("EventRefused" if is_invalid else METRICS[status], services.config.service)
        if notification["reconciled"]:
            count("SubmissionReconciled", services.config.service)
        log = logger.error if error else logger.info
        log(f"Published: {status}", job_ids=notification["jobIds"], attempt=lease.attempt, error=error)
        try:
            services.ledger.mark_published(lease)
        except AWS_FAILURES:
            logger.warning("The notification is published and could not be marked", exc_info=True)
            return Published(notification, is_marked=False)
        return Published(notification)

    def defer(
        self, lease: Lease, problem: Problem, *, not_before: float = 0, throttle_seconds: float = 0
    ) -> Published | Deferred:
        """Release a submission that was not accepted, to be retried, or abandon it when its time is over."""
        if self._is_over(lease):
            return self._abandon(lease, problem)
        throttled_until = self.services.clock() + throttle_seconds if throttle_seconds else 0
        deferred = self.wait(problem, lease, not_before=throttled_until or not_before)
        self.services.ledger.defer(lease, problem, self.services.clock() + deferred.seconds, throttled_until)
        return deferred

    def leave_unknown(
        self, lease: Lease, problem: Problem, *, attempt_ended: bool = False, not_after: float = 0
    ) -> Published | Deferred:
        """Release a submission that may have been accepted, until Commvault can tell, or abandon it."""
        ended_at = self.services.clock() if attempt_ended else lease.attempt_ended_at
        lease = replace(lease, is_uncertain=True, attempt_ended_at=ended_at)
        if self._is_over(lease):
            return self._abandon(lease, problem)
        deferred = self.wait(problem, lease, not_after=not_after)
        self.services.ledger.unknown(lease, problem, self.services.clock() + deferred.seconds)
        return deferred

    def wait(
        self, problem: Problem, lease: Lease | None = None, *, not_before: float = 0, not_after: float = 0
    ) -> Deferred:
        """Return the pause before the next try; the last try is when the time for retrying is over."""
        now, pause = self.services.clock(), self.pause
        if not_after:
            pause = min(pause, not_after - now)
        if not_before > now:
            rest = not_before - now
            pause = max(pause, rest + random.uniform(0, min(rest / 10, MAX_JITTER_SECONDS)))  # noqa: S311  # nosec B311 # a jitter
        if lease:
            pause = min(pause, lease.created_at + self._retry_seconds - now)
        count("SubmissionDeferred", self.services.config.service)
        return Deferred(max(1, round(pause + 0.5)), problem)

    @property
    def _retry_seconds(self) -> int:
        return self.services.config.retry_hours * 3600

    def _is_over(self, lease: Lease) -> bool:
        return self.services.clock() >= lease.created_at + self._retry_seconds

    def _abandon(self, lease: Lease, problem: Problem) -> Published | Deferred:
        hours = self.services.config.retry_hours
        message = f"The backup was not submitted within {hours} h. The last reason: {problem.message}"
        hint = f"{problem.hint} Then redrive the dead letter to retry."
        return self.close(lease, "abandoned", problem=Problem(problem.code, message, hint))
