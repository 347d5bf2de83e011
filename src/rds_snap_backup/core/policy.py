"""The stack's settings that the rules need, and what a submission pins of them and of its target's document. Pure."""

from dataclasses import dataclass
from typing import Self

from rds_snap_backup.targets import Target, TaskType

MINUTE, HOUR, DAY = 60, 3600, 86400
MISSING_SECONDS = 600
MAX_UNCOUNTED_SECONDS = 72 * HOUR


@dataclass(frozen=True)
class Policy:
    """The stack's settings. A target's document may have its own `gather_minutes` and `retry_failed_jobs`."""

    gather_minutes: int
    retry_failed_jobs: int
    settle_seconds: float
    retry_seconds: float
    follow_seconds: float
    first_retry_seconds: float
    first_poll_seconds: float
    reconcile_seconds: float

    @property
    def missing_seconds(self) -> float:
        """How long a job must be missing from complete reads before it is lost."""
        return max(MISSING_SECONDS, self.reconcile_seconds)

    @property
    def uncounted_seconds(self) -> float:
        """How much of the time without a job does not count as trying, in all."""
        return max(MAX_UNCOUNTED_SECONDS, self.follow_seconds)


@dataclass(frozen=True)
class Pin:
    """What is sent, apart from the associations, and the target's retries."""

    level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify: bool = True
    retries: int = 0

    @classmethod
    def of(cls, target: Target, policy: Policy) -> Self:
        """Return what a document pins; the policy has what it leaves out."""
        request = target.request
        retries = policy.retry_failed_jobs if target.retry_failed_jobs is None else target.retry_failed_jobs
        return cls(request.backup_level, request.task_type, request.notify_user_on_job_completion, retries)
