"""What tests can read and change in the simulator: the part of `CommServe` that does not concern the network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from local.commserve.accounts import Account
from local.commserve.catalogue import RDS, Catalogue, Clients
from local.commserve.clock import Clock
from local.commserve.content import Child, Database
from local.commserve.faults import Fault, FaultBook
from local.commserve.jobs import SNAP_BACKUP, Job, Plan
from local.commserve.recorded import Recorded
from local.commserve.state import RateLimit, State
from local.commserve.tokens import RENEW, RENEWABLE, Tokens


def setting(owner: str, name: str) -> Any:
    """Return a property that is the attribute `name` of a part of the state."""
    part = attrgetter(f"state.{owner}" if owner else "state")
    return property(lambda self: getattr(part(self), name), lambda self, value: setattr(part(self), name, value))


class Controls(ABC):
    """Requests, jobs, faults, limits, tokens and the clock; `CommServe` adds what needs the network."""

    ca_pem: str

    # Whether the clock is stopped; `advance` still moves it.
    frozen = setting("clock", "frozen")
    # Seconds by which the clocks that clients see are ahead.
    clock_offset = setting("clock", "offset")
    # Seconds by which the CommServe's clock, in rows of jobs, is ahead of the web server's, in the header `Date`.
    row_offset = setting("clock", "row_offset")
    # How long jobs take that are created from now on.
    job_seconds = setting("jobs", "job_seconds")
    # A CreateTask for a subclient whose job has not ended: see `job_book.Busy`.
    busy = setting("jobs", "busy")
    # A CreateTask that names unknown or refused subclients and others: see `state.Unknown`.
    unknown = setting("", "unknown")
    # Who starts the jobs of requests, as their rows say; None: they do not say.
    user = setting("jobs", "user")
    # Whether the list of subclients shows contents, or only `GET /Subclient/{id}` does.
    lists_content = setting("", "lists_content")
    # Where `GET /Job` reads its paging: see `state.PagedBy`.
    paged_by = setting("", "paged_by")
    # Seconds without a request after which the next one is answered 503; None: never.
    front_end_sleeps_after = setting("front_end", "sleeps_after")

    def __init__(self, state: State) -> None:
        self.state = state
        self.faults = FaultBook()

    @property
    @abstractmethod
    def url(self) -> str:
        """The API's base URL."""

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

    def issue_pair(self, renewable: float = RENEWABLE) -> dict[str, str]:
        """Create an access and a refresh token, as Command Center does; they can be renewed for `renewable` seconds."""
        with self.state.lock:
            return self.tokens.issue(self.clock.now(), renewable)

    @property
    def renewals(self) -> list[Recorded]:
        """The requests that present a pair to be renewed, also those that were refused."""
        return [request for request in self.requests if request.path.lower().endswith(RENEW)]

    @property
    def clock(self) -> Clock:
        """The simulator's clock (`freeze`, `thaw`, `now`)."""
        return self.state.clock

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock forward."""
        self.clock.advance(seconds)

    @property
    def catalogue(self) -> Catalogue:
        """The clients, instances and instance groups; `extend` and `add` make more."""
        return self.state.catalogue

    def extend(self, clients: Clients) -> None:
        """Add clients, instances and groups."""
        self.catalogue.extend(clients)

    def set_content(self, client: str, group: str, children: Sequence[Child], filters: Sequence[Child] = ()) -> None:
        """Set what a group selects, created if it does not exist; `content` has functions for the children."""
        self.catalogue.add(client, group, children, filters)

    def set_instance_type(self, client: str, instance: str, kind: Any) -> None:
        """Let an instance be of another kind than Amazon RDS, or be shown as a text."""
        self.catalogue.instance_types[self.catalogue.instances[client, instance]] = kind

    def put_database(self, client: str, name: str, **database: Any) -> None:
        """Add a database to a client's cloud account, or change it; `database` holds the fields of `content.Database`."""
        self.catalogue.listed_account(client).put(Database(name, **database))

    def attach(self, client: str, account: Account) -> None:
        """Let the jobs of a client snapshot the databases of an RDS."""
        self.catalogue.accounts[client.lower()] = account

    def add_restore_point(self, client: str, row: dict[str, Any], instance: str = RDS) -> None:
        """Let `POST /BrowseRDSBackups` show a row that no job made, as it is."""
        self.state.restore_points.append((self.catalogue.instances[client, instance], row))

    def refuse_subclient(self, client: str, group: str, *, is_refused: bool = True) -> None:
        """Let CreateTask refuse a group that exists, as one that is not eligible; or accept it again."""
        change = self.catalogue.ineligible.add if is_refused else self.catalogue.ineligible.discard
        change(self.catalogue.add(client, group).id)

    @property
    def requests(self) -> list[Recorded]:
        """Every request since the last `clear`, in the order of arrival."""
        return list(self.state.requests)

    @property
    def create_tasks(self) -> list[Recorded]:
        """The requests to CreateTask, also those that were refused."""
        return [
            request for request in self.requests if request.method == "POST" and request.path.lower() == "/createtask"
        ]

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
        """Every job since the last `clear`, by id; those that clients cannot find, too."""
        return dict(self.state.jobs.jobs)

    def restore_database(self, next_job_id: int) -> None:
        """Forget all jobs and count their IDs from here, as after the CommServe's database was restored."""
        self.state.jobs.restore(next_job_id)

    def convert_level(self, asked: str, runs: str) -> None:
        """Run the jobs that ask for one level at another, as Commvault runs a first incremental as a full."""
        self.state.jobs.levels[asked] = runs

    def plan_jobs(self, times: int | None = 1, group: str | None = None, **plan: Any) -> None:
        """Plan the next `times` jobs (None: all) of one group or of any; `plan` holds the fields of `Plan`.

        Plans are used in the order in which they were given: `plan_jobs(group="a", ending="Failed")` lets the first job
        of `a` fail; a job without a plan completes.
        """
        self.state.jobs.plan(Plan(**plan), times, group)

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
        group: str,
        level: str = "FULL",
        *,
        start: float | None = None,
        kind: str = SNAP_BACKUP,
        **plan: Any,
    ) -> Job:
        """Add a job that nobody here asked for: of Commvault's console, or of a plan of Commvault's own.

        It begins now or at `start` on the simulator's clock, earlier or later; `plan` holds the fields of `Plan`, such
        as `seconds`. `kind` can also be "Backup". The user `admin` started it.
        """
        where = self.catalogue.add(client, group)
        return self.state.jobs.add(where, level, start=start, by="Commvault", kind=kind, plan=Plan(**plan))

    def fault(
        self, name: str, times: int | None = 1, path: str = "/CreateTask", about: str = "", **parameters: Any
    ) -> Fault:
        """Arm a fault for the next `times` requests of a path (None: until `clear_faults`); `path` may be a pattern.

        With `about` only to those whose body contains that text, such as a group's name.
        """
        return self.faults.arm(name, times, path, about, parameters)

    def clear_faults(self) -> None:
        """Disarm every fault and release stalled requests."""
        self.faults.clear()

    def release(self) -> None:
        """Release the requests that are stalled."""
        self.faults.release()

    def rate_limit(self, writes: int | None = None, reads: int | None = None, period: float = 3600) -> None:
        """Answer 429 after a number of calls per period of the simulator's clock; None: no limit."""
        limits = {"writes": writes, "reads": reads}
        with self.state.lock:
            self.state.limits = {kind: RateLimit(top, period) for kind, top in limits.items() if top is not None}

    def clear(self) -> None:
        """Forget requests, jobs, restore points, plans, limits and faults; IDs keep counting up."""
        self.clear_faults()
        self.state.clear()
