"""What tests can read and change in the simulator: the part of `CommServe` that does not concern the network."""

from abc import ABC, abstractmethod
from typing import Any

from local.commserve.catalogue import Catalogue
from local.commserve.clock import Clock
from local.commserve.faults import Fault, FaultBook
from local.commserve.job_book import Busy
from local.commserve.jobs import SNAP_BACKUP, Job, Plan
from local.commserve.recorded import Recorded
from local.commserve.state import RateLimit, State
from local.commserve.tokens import RENEW, RENEWABLE, Tokens


class Controls(ABC):
    """Requests, jobs, faults, limits, tokens and the clock; `CommServe` adds what needs the network."""

    ca_pem: str

    def __init__(self, state: State) -> None:
        self.state = state
        self.faults = FaultBook()

    @property
    @abstractmethod
    def url(self) -> str:
        """The API's base URL."""

    @abstractmethod
    def outage(self, seconds: float) -> None:
        """Stop, and start again after so many real seconds."""

    @property
    def token(self) -> str:
        """The token that is accepted; setting a new one revokes it."""
        return self.state.tokens.access

    @token.setter
    def token(self, value: str) -> None:
        self.state.tokens.replace(value)

    @property
    def tokens(self) -> Tokens:
        """The token pair: when tokens expire, how often they were renewed."""
        return self.state.tokens

    @property
    def token_lifetime(self) -> float:
        """How long an access token lives that is made from now on."""
        return self.tokens.lifetime

    @token_lifetime.setter
    def token_lifetime(self, value: float) -> None:
        self.tokens.lifetime = value

    def issue_pair(self, renewable: float = RENEWABLE) -> dict[str, str]:
        """Create an access and a refresh token, as Command Center does; they can be renewed for so many seconds."""
        with self.state.lock:
            return self.tokens.issue(self.clock.now(), renewable)

    @property
    def front_end_sleeps_after(self) -> float | None:
        """After so many seconds without a request the next one is answered 503; None: never."""
        return self.state.front_end.sleeps_after

    @front_end_sleeps_after.setter
    def front_end_sleeps_after(self, value: float | None) -> None:
        self.state.front_end.sleeps_after = value

    @property
    def renewals(self) -> list[Recorded]:
        """The requests that present a pair to be renewed, whatever became of them."""
        return [one for one in self.requests if one.path.lower().endswith(RENEW)]

    @property
    def clock(self) -> Clock:
        """The simulator's clock (`freeze`, `thaw`, `now`)."""
        return self.state.clock

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock shown to clients is ahead."""
        return self.clock.offset

    @clock_offset.setter
    def clock_offset(self, value: float) -> None:
        self.clock.offset = value

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped; `advance` still moves it."""
        return self.clock.frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        if value:
            self.clock.freeze()
        else:
            self.clock.thaw()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self.clock.speed

    @speed.setter
    def speed(self, value: float) -> None:
        self.clock.speed = value

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock forward."""
        self.clock.advance(seconds)

    @property
    def catalogue(self) -> Catalogue:
        """The clients, instances and subclients; `extend` and `add` make more."""
        return self.state.catalogue

    @property
    def requests(self) -> list[Recorded]:
        """Every request since the last `clear`, in the order of arrival."""
        return list(self.state.requests)

    @property
    def create_tasks(self) -> list[Recorded]:
        """The requests to CreateTask, whatever their answers."""
        return [one for one in self.requests if one.method == "POST" and one.path.lower() == "/createtask"]

    @property
    def statuses(self) -> dict[int, int]:
        """The HTTP status that each request (by its `id`) was answered with."""
        return dict(self.state.statuses)

    @property
    def refusals(self) -> list[str]:
        """Why CreateTask bodies were refused: they were not the RDS Snap Backup form."""
        return list(self.state.refusals)

    @property
    def jobs(self) -> dict[str, Job]:
        """Every job since the last `clear`, by id; hidden and vanished ones too."""
        return dict(self.state.jobs.jobs)

    @property
    def job_seconds(self) -> float:
        """How long jobs created from now on take."""
        return self.state.jobs.job_seconds

    @job_seconds.setter
    def job_seconds(self, value: float) -> None:
        self.state.jobs.job_seconds = value

    @property
    def busy(self) -> Busy:
        """A second job of a subclient: `run` it too, `queue` behind the first, or `refuse` (409)."""
        return self.state.jobs.busy

    @busy.setter
    def busy(self, value: Busy) -> None:
        self.state.jobs.busy = value

    def restore_database(self, next_job_id: int) -> None:
        """Forget all jobs and count their IDs from here, as after the CommServe's database was restored."""
        self.state.jobs.restore(next_job_id)

    def convert_level(self, asked: str, runs: str) -> None:
        """Run the jobs that ask for one level at another, as Commvault runs a first incremental as a full."""
        self.state.jobs.levels[asked] = runs

    def plan_jobs(self, times: int | None = 1, **plan: Any) -> None:
        """Plan the next `times` jobs (None: all); `plan` holds the fields of `Plan`."""
        self.state.jobs.plan(Plan(**plan), times)

    def change_job(self, identifier: str, **plan: Any) -> Job:
        """Change the plan of a job."""
        return self.state.jobs.change(identifier, **plan)

    def end_job(self, identifier: str, status: str = "Completed", reason: str = "") -> Job:
        """End a job now."""
        job = self.jobs[identifier]
        job.end(status, reason)
        return job

    def add_job(
        self,
        client: str,
        instance: str,
        subclient: str = "default",
        level: str = "FULL",
        *,
        start: float | None = None,
        kind: str = SNAP_BACKUP,
    ) -> Job:
        """Add a job as if it was started in Commvault's console; `kind` can also be "Backup"."""
        where = self.catalogue.add(client, instance, subclient)
        return self.state.jobs.add(where, level, start=start, by="console", kind=kind)

    def fault(
        self, name: str, times: int | None = 1, path: str = "/CreateTask", about: str = "", **parameters: Any
    ) -> Fault:
        """Arm a fault for the next `times` requests of a path (None: until `clear_faults`); `path` may be a pattern.

        With `about` only to those whose body contains that text, such as an instance's name.
        """
        return self.faults.arm(name, times, path, about, parameters)

    def clear_faults(self) -> None:
        """Disarm every fault and release stalled requests."""
        self.faults.clear()

    def release(self) -> None:
        """Release the requests that are stalled."""
        self.faults.release()

    def rate_limit(self, writes: int | None = None, reads: int | None = None, period: float = 3600) -> None:
        """Answer 429 after so many calls per period of the simulator's clock; None: no limit."""
        limits = {"writes": writes, "reads": reads}
        with self.state.lock:
            self.state.limits = {kind: RateLimit(top, period) for kind, top in limits.items() if top is not None}

    def clear(self) -> None:
        """Forget requests, jobs, plans, limits and faults; IDs keep counting up."""
        self.clear_faults()
        self.state.clear()
