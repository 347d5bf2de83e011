"""A run: one delivery of one trigger for one target, and how it ends: recorded first, told second.

`submit.py` decides which end it is. Nothing here asks Commvault.
"""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup import notifications
from rds_snap_backup.ledger import Closed
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.steps import Lease
from rds_snap_backup.targets import Association, Target
from rds_snap_backup.wiring import Parts

LONGEST_PAUSE = 900
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


@dataclass(frozen=True, slots=True)
class Told:
    """The submission has ended and everybody was told."""

    notification: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """It goes on after so many seconds."""

    seconds: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Run:
    """A delivery that is being handled. `tries` says how often it was, this one included."""

    parts: Parts
    seconds_left: Callable[[], float]
    tries: int = 1
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def seconds_to_ask(self) -> float:
        """How long a request to Commvault may take."""
        return self.seconds_left() - RESERVE_SECONDS

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
    ) -> Told:
        """Record a submission's end, then tell it; jobs that were found before are told of too.

        `starts_cool_down` as in `Ledger.close`. Raises `Claimed` and `LostLease` with nothing recorded.
        """
        notification = notifications.build(
            status,
            target,
            lease.submission.trigger,
            now=self.parts.clock(),
            job_ids=tuple(dict.fromkeys((*lease.found.values(), *job_ids))),
            task_id=task_id,
            problem=problem,
            reconciled=reconciled or bool(lease.found),
        )
        self.parts.ledger.close(lease, status, notification, claims, starts_cool_down=starts_cool_down)
        return self.tell(lease, notification)

    def tell(self, lease: Lease, notification: dict[str, Any]) -> Told:
        """Publish a recorded end, keep a dead letter of one that went wrong, and mark it as told."""
        submission, status, error = lease.submission, notification["status"], notification.get("error")
        try:
            self.parts.notifications.publish(notification)
            if status in {"rejected", "abandoned"}:
                self.parts.queues.dead_letter(submission.trigger, submission.target, lease.attempt, error or {})
        except Exception:
            self.parts.ledger.leave_untold(lease)
            raise
        count(METRICS[status], self.parts.config.service)
        if notification["reconciled"]:
            count("SubmissionReconciled", self.parts.config.service)
        self.parts.ledger.mark_published(lease)
        log = logger.error if error else logger.info
        log(f"Told: {status}", job_ids=notification["jobIds"], attempt=lease.attempt, error=error)
        return Told(notification)

    def defer(
        self, lease: Lease, target: Target, problem: Problem, *, not_before: float = 0, throttle_seconds: int = 0
    ) -> Told | Later:
        """Let a submission that was surely not accepted go until later, or abandon it when its time is over."""
        if self._is_over(lease):
            return self._abandon(lease, target, problem)
        self.parts.ledger.defer(lease, problem, throttle_seconds)
        return self.later(problem, lease, not_before=not_before or self.parts.clock() + throttle_seconds)

    def leave_unknown(
        self, lease: Lease, target: Target, problem: Problem, *, attempt_ended: bool = False, not_after: float = 0
    ) -> Told | Later:
        """Let a submission that may have been accepted go until Commvault can tell, or abandon it."""
        ended_at = self.parts.clock() if attempt_ended else lease.attempt_ended_at
        lease = replace(lease, is_uncertain=True, attempt_ended_at=ended_at)
        if self._is_over(lease):
            return self._abandon(lease, target, problem)
        self.parts.ledger.unknown(lease, problem, attempt_ended=attempt_ended)
        return self.later(problem, lease, not_after=not_after)

    def later(
        self, problem: Problem, lease: Lease | None = None, *, not_before: float = 0, not_after: float = 0
    ) -> Later:
        """Return the pause before the next try: it doubles up to 15 minutes, and the last try is when time is over."""
        now, config = self.parts.clock(), self.parts.config
        pause = min(config.first_retry_seconds * 2.0 ** min(self.tries - 1, 20), LONGEST_PAUSE)
        if not_after:
            pause = min(pause, not_after - now)
        pause = max(pause, not_before - now)
        if lease:
            pause = min(pause, lease.created_at + config.retry_hours * 3600 - now)
        count("SubmissionDeferred", config.service)
        return Later(max(1, round(pause + 0.5)), problem)

    def _is_over(self, lease: Lease) -> bool:
        return self.parts.clock() >= lease.created_at + self.parts.config.retry_hours * 3600

    def _abandon(self, lease: Lease, target: Target, problem: Problem) -> Told:
        hours = self.parts.config.retry_hours
        message = f"The backup was not submitted within {hours} h. The last reason: {problem.message}"
        hint = f"{problem.hint} Then redrive the dead letter to try again."
        return self.close(lease, target, "abandoned", problem=Problem(problem.code, message, hint))
