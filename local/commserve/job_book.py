"""All jobs of the simulated CommCell, and the plans for the next ones."""

from dataclasses import replace
from itertools import count
from threading import RLock
from typing import Literal

from local.commserve.catalogue import Subclient
from local.commserve.clock import Clock
from local.commserve.jobs import LEVEL_NAMES, SNAP_BACKUP, Job, Plan

type Busy = Literal["run", "queue", "refuse"]


class JobBook:
    """The jobs, by ID. IDs count up and are used twice only after `restore`, not after `clear`."""

    def __init__(self, clock: Clock, job_seconds: float) -> None:
        self.clock = clock
        self.job_seconds = job_seconds
        # A second job of a subclient runs too, waits for the first, or is refused.
        self.busy: Busy = "run"
        # The level at which jobs really run, by the level that was asked for.
        self.levels: dict[str, str] = {}
        self.jobs: dict[str, Job] = {}
        self._lock = RLock()
        self._ids = count(1354)
        self._tasks = count(402)
        self._latest: dict[int, Job] = {}
        self._plans: list[tuple[Plan, int | None]] = []

    def plan(self, plan: Plan, times: int | None = 1) -> None:
        """Use `plan` for the next `times` jobs (None: for all until `clear`)."""
        with self._lock:
            self._plans.append((plan, times))

    def clear(self) -> None:
        """Forget jobs and plans."""
        with self._lock:
            self.jobs.clear()
            self._latest.clear()
            self._plans.clear()
            self.busy = "run"

    def restore(self, next_id: int) -> None:
        """Forget all jobs and count IDs from `next_id`, as after the CommServe's database was restored."""
        with self._lock:
            self.jobs.clear()
            self._latest.clear()
            self._ids = count(next_id)

    def next_task(self) -> int:
        """Return a new task id."""
        return next(self._tasks)

    def running(self, subclient: Subclient) -> Job | None:
        """Return the latest job of a subclient that has not ended."""
        latest = self._latest.get(subclient.id)
        return latest if latest is not None and not latest.finished else None

    def add(
        self,
        subclient: Subclient,
        level: str,
        *,
        start: float | None = None,
        by: str = "CreateTask",
        kind: str = SNAP_BACKUP,
    ) -> Job:
        """Make a job; `start` is a time of the simulator's clock, by default now."""
        if level not in LEVEL_NAMES:
            raise ValueError(f"no backup level is called {level!r}")
        with self._lock:
            job = Job(
                id=str(next(self._ids)),
                subclient=subclient,
                level=self.levels.get(level, level),
                start_time=self.clock.now() if start is None else start,
                plan=self._next_plan(),
                clock=self.clock,
                job_seconds=self.job_seconds,
                kind=kind,
                by=by,
                behind=self.running(subclient) if self.busy == "queue" else None,
            )
            self.jobs[job.id] = self._latest[subclient.id] = job
            return job

    def change(self, identifier: str, **fields: object) -> Job:
        """Change the plan of one job, such as `ending="Failed"`."""
        job = self.jobs[identifier]
        job.plan = replace(job.plan, **fields)  # type: ignore[arg-type]  # dataclasses.replace checks the names
        return job

    def find(self, identifier: str) -> Job | None:
        """Return a job if clients can find it now."""
        job = self.jobs.get(identifier)
        return job if job is not None and job.visible else None

    def listed(self) -> list[Job]:
        """Return the jobs that clients can find, newest first."""
        return [job for job in reversed(list(self.jobs.values())) if job.visible]

    def _next_plan(self) -> Plan:
        if not self._plans:
            return Plan()
        plan, times = self._plans[0]
        if times is not None:
            self._plans[0] = (plan, times - 1)
            if times <= 1:
                del self._plans[0]
        return plan
