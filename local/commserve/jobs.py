"""Jobs whose state follows from the clock: each has a plan, and its status is computed when it is asked for.

This module defines a job and how it progresses; `job_book` keeps all jobs, and `api.jobs` shows them to clients.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from local.commserve.accounts import Taken
from local.commserve.catalogue import Subclient
from local.commserve.clock import Clock

SNAP_BACKUP = "Snap Backup"
LEVEL_NAMES = {
    "FULL": "Full",
    "INCREMENTAL": "Incremental",
    "DIFFERENTIAL": "Differential",
    "SYNTHETIC_FULL": "Synthetic Full",
}


def is_success(ending: str) -> bool:
    """Return whether a job that ends so has made its snapshots."""
    return ending.startswith(("Completed", "Committed"))


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job will run and end. Times are seconds of the simulator's clock."""

    ending: str = "Completed"
    reason: str = ""
    seconds: float | None = None  # how long it runs; None: the server's `job_seconds`
    waiting: float | None = None  # how long it waits first; None: a tenth of its running time
    pending_after: float = 0.0  # once running, when it goes Pending …
    pending_seconds: float = 0.0  # … for how long …
    pending_reason: str = "The media agent is not reachable."  # … and why
    queued: float = 0.0  # how long it is queued before it waits and runs; its row's start moves to the end of this time
    queued_start: Literal["unknown", "created"] = (
        "unknown"  # the start that its row shows while it is queued: 0, or this
    )
    missing_seconds: float = 0.0  # how long after its creation it cannot be found
    vanish_after: float | None = None  # when it can never be found again
    status: str | None = None  # a status text shown instead of Running


@dataclass(slots=True)
class Job:
    """One job. All times are on the simulator's clock, without its offsets."""

    id: str
    subclient: Subclient
    level: str
    created: float
    plan: Plan
    clock: Clock
    job_seconds: float
    kind: str = SNAP_BACKUP
    by: str = "CreateTask"
    user: str | None = None  # who started it; None: its row does not say
    taken: Taken = field(default_factory=Taken)
    _ended: tuple[float, str, str] | None = field(default=None)  # an end from outside: time, status, reason

    @property
    def op_type(self) -> int:
        """Commvault's number for the kind of job."""
        return 59 if self.kind == SNAP_BACKUP else 4

    @property
    def client(self) -> str:
        """The client's name."""
        return self.subclient.client

    @property
    def instance(self) -> str:
        """The instance's name."""
        return self.subclient.instance

    @property
    def group(self) -> str:
        """The instance group's name."""
        return self.subclient.name

    @property
    def status(self) -> str:
        """The status as Commvault spells it."""
        return self._state(self.clock.now())[0]

    @property
    def reason(self) -> str:
        """Why it is pending, or why it ended as it did."""
        return self._state(self.clock.now())[1]

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.end_time is not None

    @property
    def start_time(self) -> float:
        """The start that its row shows: 0 where it is unknown, and later than its creation if it was queued."""
        if self._released <= self.clock.now():
            return self._released
        return 0.0 if self.plan.queued_start == "unknown" else self.created

    @property
    def end_time(self) -> float | None:
        """When it ended, if it has."""
        now = self.clock.now()
        end = self._ended[0] if self._ended else self._planned_end
        return end if end <= now else None

    @property
    def has_restore_points(self) -> bool:
        """Whether it ended in a way that keeps its snapshots."""
        return self.finished and is_success(self.status)

    @property
    def progress(self) -> float:
        """The part of it that is done, from 0 to 1."""
        return max(0.0, self.clock.now() - self._begins) / max(self._after_begin(), 1e-9)

    @property
    def visible(self) -> bool:
        """Whether clients can find it at present."""
        age = self.clock.now() - self.created
        gone = self.plan.vanish_after is not None and age >= self.plan.vanish_after
        return age >= self.plan.missing_seconds and not gone

    def end(self, status: str = "Completed", reason: str = "") -> None:
        """End it now; a job that has ended does not change."""
        if not self.finished:
            self._ended = (self.clock.now(), status, reason)

    def kill(self, reason: str = "The job was killed by a user.") -> bool:
        """Kill it; False if it has already ended."""
        if self.finished:
            return False
        self.end("Killed", reason)
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return it for the control API."""
        return {
            "id": self.id,
            "client": self.client,
            "instance": self.instance,
            "group": self.group,
            "level": self.level,
            "status": self.status,
            "reason": self.reason,
            "created": self.created,
            "startTime": self.start_time,
            "endTime": self.end_time,
            "finished": self.finished,
            "visible": self.visible,
            "kind": self.kind,
            "by": self.by,
            "user": self.user,
            "snapshots": [snapshot.name for snapshot in self.taken.snapshots],
            "skipped": [database.name for database in self.taken.skipped],
        }

    def _running_seconds(self) -> float:
        return self.job_seconds if self.plan.seconds is None else self.plan.seconds

    @property
    def _released(self) -> float:
        """When it leaves the queue."""
        return self.created + self.plan.queued

    @property
    def _begins(self) -> float:
        """When it starts running, after it was queued and has waited."""
        waiting = self._running_seconds() / 10 if self.plan.waiting is None else self.plan.waiting
        return self._released + waiting

    @property
    def _planned_end(self) -> float:
        return self._begins if self.plan.ending == "Failed to Start" else self._begins + self._after_begin()

    def _after_begin(self) -> float:
        # The waiting time is part of the running time where it is not given, so that a job takes `job_seconds` in all.
        spent = self._running_seconds() / 10 if self.plan.waiting is None else 0.0
        return self._running_seconds() - spent + self.plan.pending_seconds

    def _state(self, now: float) -> tuple[str, str]:
        if self._ended and self._ended[0] <= now:
            return self._ended[1], self._ended[2]
        begins = self._begins
        if now < self._released:
            return "Queued", "The job is waiting for resources."
        if now < begins:
            return "Waiting", ""
        if self.plan.ending == "Failed to Start" or now >= begins + self._after_begin():
            return self.plan.ending, self.plan.reason
        into = now - begins
        if self.plan.pending_after <= into < self.plan.pending_after + self.plan.pending_seconds:
            return "Pending", self.plan.pending_reason
        return self.plan.status or "Running", ""
