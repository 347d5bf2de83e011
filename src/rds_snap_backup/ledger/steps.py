"""What a run may do with a submission, as the ledger decides it. Types alone; `submissions.py` decides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from rds_snap_backup.ledger.keys import submission_key
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger


@dataclass(frozen=True)
class Submission:
    """What is submitted: a trigger for one target."""

    trigger: Trigger
    target: str

    @property
    def key(self) -> str:
        """The ledger's key."""
        return submission_key(self.target, self.trigger)


@dataclass(frozen=True)
class Pin:
    """What an attempt sends, recorded before it leaves, with the target's cool-down (0: none)."""

    request: BackupRequest
    cool_down_seconds: int


@dataclass(frozen=True)
class Scan:
    """How far a list of jobs was read that is too long for one run. `position` is `commvault.jobs`'s; `begun_at` ours."""

    position: Mapping[str, Any]
    begun_at: float


@dataclass(frozen=True)
class Lease:
    """A submission that this run alone may go on with.

    `attempt` is the number of the last one, `attempted_at` and `attempt_ended_at` its times, and `is_uncertain` whether
    it may have been accepted; `found` has the jobs already adopted, by association. `claimed` has the IDs of jobs that
    were claimed before the rest of its end could be recorded, which one transaction does not hold.
    """

    submission: Submission
    owner: str
    attempt: int
    created_at: float
    pin: Pin
    attempted_at: float = 0
    attempt_ended_at: float = 0
    is_uncertain: bool = False
    found: Mapping[str, str] = field(default_factory=dict)
    scan: Scan | None = None
    claimed: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Association, ...]:
        """The associations that no job is credited for."""
        associations = self.pin.request.associations
        return tuple(one for one in associations if one.key not in self.found) if self.found else associations

    @property
    def request(self) -> BackupRequest:
        """What is to be sent: the pinned request, for the associations that no job is credited for."""
        return replace(self.pin.request, associations=self.missing)

    def pinned(self, pin: Pin) -> Self:
        """Pin another request; associations that have got their job stay as they are."""
        if not self.found:
            return replace(self, pin=pin)
        listed = {one.key for one in pin.request.associations}
        kept = [one for one in self.pin.request.associations if one.key in self.found and one.key not in listed]
        request = replace(pin.request, associations=(*kept, *pin.request.associations))
        return replace(self, pin=replace(pin, request=request))

    def without(self, job_ids: Collection[str]) -> Self:
        """Forget jobs that were adopted and have gone since; their associations have none any more."""
        return replace(self, found={key: job_id for key, job_id in self.found.items() if job_id not in job_ids})


@dataclass(frozen=True)
class FoundJob:
    """A job that reconciling found; `started` is its start in Unix seconds on our clock."""

    id: str
    started: float


@dataclass(frozen=True)
class Send:
    """The request may be sent: no request that was sent before was accepted."""

    lease: Lease


@dataclass(frozen=True)
class Complete:
    """Nothing is left to be sent: each association that the target still has got its job from an earlier attempt."""

    lease: Lease


@dataclass(frozen=True)
class Reconcile:
    """An earlier request may have been accepted: Commvault must be asked first."""

    lease: Lease


@dataclass(frozen=True)
class Join:
    """The target is cooling down: these jobs are the trigger's; `problem` is what went wrong beside them."""

    lease: Lease
    job_ids: tuple[str, ...]
    problem: Problem | None


@dataclass(frozen=True)
class Exhausted:
    """Too many runs in a row were cut off; something kills them."""

    lease: Lease


@dataclass(frozen=True)
class Publish:
    """It has ended, and its notification may not have been published. `lease` is None for the end of a job."""

    notification: dict[str, Any]
    lease: Lease | None = None


@dataclass(frozen=True)
class Done:
    """It has ended, and its notification is published."""

    notification: dict[str, Any]


@dataclass(frozen=True)
class Wait:
    """Not now: another run holds it, or the cool-down's claimer is open, or Commvault's rate limit is reached.

    `lease` is None while another run holds the submission.
    """

    until: float
    problem: Problem
    lease: Lease | None


type Step = Send | Complete | Reconcile | Join | Exhausted | Publish | Done | Wait


class LostLease(Exception):
    """Another run has taken the submission over: this one has nothing more to say about it."""


class Claimed(Exception):
    """Another submission has claimed these jobs."""

    def __init__(self, job_ids: Collection[str]) -> None:
        super().__init__("a job is credited to another submission")
        self.job_ids = frozenset(job_ids)
