"""All jobs of the simulated CommCell, and the plans for the next ones."""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import count
from threading import RLock
from typing import Literal

from local.commserve.accounts import Taken, take
from local.commserve.catalogue import Catalogue, Subclient
from local.commserve.clock import Clock
from local.commserve.jobs import LEVEL_NAMES, SNAP_BACKUP, Job, Plan, is_success

# A CreateTask for a subclient whose job has not ended: run the second job too, or refuse the whole request with errorCode 2.
type Busy = Literal["run", "refuse"]

# Who the token belongs to.
USER = "backup-operator"
# Who starts what nobody here asked for.
ADMINISTRATOR = "admin"


@dataclass(slots=True, eq=False)
class Planned:
    """A plan, and for how many jobs of which group it is."""

    plan: Plan
    times: int | None
    group: str | None


class JobBook:
    """The jobs, by ID. IDs count up and are used twice only after `restore`, not after `clear`."""

    def __init__(self, clock: Clock, job_seconds: float, catalogue: Catalogue) -> None:
        self.clock = clock
        self.job_seconds = job_seconds
        self.catalogue = catalogue
        # Who starts the jobs of requests, as their rows say; None: no row says who started its job.
        self.user: str | None = USER
        self.busy: Busy = "run"
        # The level at which jobs really run, by the level that was asked for.
        self.levels: dict[str, str] = {}
        self.jobs: dict[str, Job] = {}
        self._lock = RLock()
        self._ids = count(1354)
        self._tasks = count(402)
        self._of: defaultdict[int, list[Job]] = defaultdict(list)  # by the subclient's ID
        self._plans: list[Planned] = []
        self._stamps: set[int] = set()

    def plan(self, plan: Plan, times: int | None = 1, group: str | None = None) -> None:
        """Use `plan` for the next `times` jobs, of one group or of any (None: for all until `clear`)."""
        with self._lock:
            self._plans.append(Planned(plan, times, group))

    def clear(self) -> None:
        """Forget jobs and plans."""
        with self._lock:
            self.jobs.clear()
            self._of.clear()
            self._plans.clear()
            self.busy = "run"

    def restore(self, next_id: int) -> None:
        """Forget all jobs and count IDs from `next_id`, as after the CommServe's database was restored."""
        with self._lock:
            self.jobs.clear()
            self._of.clear()
            self._ids = count(next_id)

    def next_task(self) -> int:
        """Return a new task id."""
        return next(self._tasks)

    def running(self, subclient: Subclient) -> Job | None:
        """Return the latest job of a subclient that was created and has not ended."""
        now = self.clock.now()
        return next((job for job in reversed(self._of[subclient.id]) if job.created <= now and not job.finished), None)

    def add(
        self,
        subclient: Subclient,
        level: str,
        *,
        start: float | None = None,
        by: str = "CreateTask",
        kind: str = SNAP_BACKUP,
        plan: Plan | None = None,
    ) -> Job:
        """Make a job, at `start` on the simulator's clock (by default now): until then nobody sees it.

        A snap backup makes its snapshots at once, unless it is planned to fail.
        """
        if level not in LEVEL_NAMES:
            raise ValueError(f"no backup level is called {level!r}")
        with self._lock:
            created = self.clock.now() if start is None else start
            plan = plan or self._next_plan(subclient.name)
            taken = self._take(subclient, created) if kind == SNAP_BACKUP and is_success(plan.ending) else Taken()
            if taken.skipped and plan.ending == "Completed":
                names = ", ".join(database.name for database in taken.skipped)
                plan = replace(plan, reason=plan.reason or f"Not available: {names}.")
            job = Job(
                id=str(next(self._ids)),
                subclient=subclient,
                level=self.levels.get(level, level),
                created=created,
                plan=plan,
                clock=self.clock,
                job_seconds=self.job_seconds,
                kind=kind,
                by=by,
                user=ADMINISTRATOR if self.user and by == "Commvault" else self.user,
                taken=taken,
            )
            self.jobs[job.id] = job
            self._of[subclient.id].append(job)
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

    def _take(self, subclient: Subclient, created: float) -> Taken:
        account = self.catalogue.account(subclient.client)
        if account is None:
            return Taken()
        at = self.clock.row(created)
        while at in self._stamps:  # the snapshots of two jobs have two names
            at += 1
        self._stamps.add(at)
        return take(account, self.catalogue.content(subclient), at)

    def _next_plan(self, group: str) -> Plan:
        for planned in self._plans:
            if planned.group in (None, group):
                if planned.times is not None:
                    planned.times -= 1
                    if planned.times <= 0:
                        self._plans.remove(planned)
                return planned.plan
        return Plan()
