"""What a run may do with a submission, as the ledger tells it. Types alone; `ledger.py` decides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.problems import Problem
from rds_snap_backup.triggers import Trigger


@dataclass(frozen=True, slots=True)
class Submission:
    """What is submitted: a trigger for one target, with the target's cool-down (0: none)."""

    trigger: Trigger
    target: str
    cool_down_seconds: int

    @property
    def key(self) -> str:
        """The ledger's key."""
        return f"submission#{self.target}#{self.trigger.id}"

    @property
    def cool_down_key(self) -> str:
        """The key of the target's cool-down."""
        return f"cooldown#{self.target}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A submission that this run alone may go on with.

    `attempt` is the number of the last one, `attempted_at` and `attempt_ended_at` its times, and `is_uncertain` whether
    it may have been accepted; `found` has the jobs already adopted, by association.
    """

    submission: Submission
    owner: str
    attempt: int
    created_at: float
    attempted_at: float = 0
    attempt_ended_at: float = 0
    is_uncertain: bool = False
    found: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """The request may be sent: surely none that was sent before was accepted."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Reconcile:
    """An earlier request may have been accepted: Commvault must be asked first."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Join:
    """The target's cool-down lasts: these jobs are the trigger's."""

    lease: Lease
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Too many runs were cut off; something kills them."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Undelivered:
    """It has ended, and its notification may not have been published."""

    lease: Lease
    notification: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """It has ended and everybody was told."""

    notification: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: somebody else is at it, or the cool-down's claimer is, or Commvault's rate limit is reached.

    `lease` is None while another run holds the submission.
    """

    until: float
    problem: Problem
    lease: Lease | None


type Step = Send | Reconcile | Join | Exhausted | Undelivered | Done | Wait


class LostLease(Exception):
    """Another run has taken the submission over: this one has nothing more to say about it."""


class Claimed(Exception):
    """Another submission has claimed these jobs."""

    def __init__(self, job_ids: Collection[str]) -> None:
        super().__init__("a job is credited to another submission")
        self.job_ids = frozenset(job_ids)
