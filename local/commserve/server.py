"""`CommServe`: the simulator as tests use it, with everything that they may see and steer."""

import ssl
from collections.abc import Callable
from threading import Thread, Timer
from types import TracebackType
from typing import Any, Self

import trustme

from local.commserve import answer_faults, wire_faults
from local.commserve.catalogue import DEFAULT_CLIENTS, Catalogue, Clients
from local.commserve.clock import Clock
from local.commserve.faults import Fault, FaultBook
from local.commserve.job_book import Busy
from local.commserve.jobs import Job, Plan
from local.commserve.recorded import Recorded
from local.commserve.state import RateLimit, State
from local.commserve.wire import HttpsServer

# Importing them is what registers the faults.
FAULT_MODULES = (answer_faults, wire_faults)
PREFIX = "/commandcenter/api"


class CommServe:
    """A simulated CommServe on a loopback port. Every method may be called from any thread."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "fake-token",  # noqa: S107 (a default for tests)
        job_seconds: float = 2.0,
        clients: Clients = DEFAULT_CLIENTS,
        *,
        clock: Callable[[], float] | None = None,
        authority: trustme.CA | None = None,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        tls: bool = True,
        keep_tokens: bool = False,
    ) -> None:
        self.host, self.port, self.tls = host, port, tls
        self.state = State(token, clients, job_seconds, clock)
        self.state.keep_tokens = keep_tokens
        self.faults = FaultBook()
        self.authority = authority or trustme.CA()
        self.ca_pem = self.authority.cert_pem.bytes().decode()
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.authority.issue_cert(*names).configure_cert(self._context)
        self._server: HttpsServer | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listen; after a stop on the same port as before."""
        if self._server is None:
            self._server = HttpsServer((self.host, self.port), self._context, self.state, self.faults, self)
            self.port = self._server.server_port
            self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="commserve")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection. What is known stays; jobs go on with the clock."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        server.cut()
        if self._thread is not None:
            self._thread.join()

    def outage(self, seconds: float) -> None:
        """Stop, and start again after so many real seconds."""
        self.stop()
        timer = Timer(seconds, self.start)
        timer.daemon = True
        timer.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def root_url(self) -> str:
        """The server's address without any path, as on SaaS."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.root_url + PREFIX

    @property
    def token(self) -> str:
        """The token that is accepted; a new one makes the old one void."""
        return self.state.tokens.access

    @token.setter
    def token(self, value: str) -> None:
        self.state.tokens.replace(value)

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
        """Whether the clock stands still; `advance` moves it all the same."""
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
        """The requests to CreateTask, whatever became of them."""
        return [one for one in self.requests if one.method == "POST" and one.path.lower() == "/createtask"]

    @property
    def statuses(self) -> dict[int, int]:
        """The HTTP status that each request (by its `id`) was answered with."""
        return dict(self.state.statuses)

    @property
    def refusals(self) -> list[str]:
        """Why CreateTask bodies were not taken for the RDS Snap Backup form."""
        return list(self.state.refusals)

    @property
    def jobs(self) -> dict[str, Job]:
        """Every job since the last `clear`, by id; hidden and vanished ones too."""
        return dict(self.state.jobs.jobs)

    @property
    def job_seconds(self) -> float:
        """How long jobs take that are made from now on."""
        return self.state.jobs.job_seconds

    @job_seconds.setter
    def job_seconds(self, value: float) -> None:
        self.state.jobs.job_seconds = value

    @property
    def busy(self) -> Busy:
        """What becomes of a second job of a subclient: `run` too, `queue` behind the first, or `refuse` (409)."""
        return self.state.jobs.busy

    @busy.setter
    def busy(self, value: Busy) -> None:
        self.state.jobs.busy = value

    def plan_jobs(self, times: int | None = 1, **plan: Any) -> None:
        """Say what becomes of the next `times` jobs (None: of all); `plan` holds the fields of `Plan`."""
        self.state.jobs.plan(Plan(**plan), times)

    def change_job(self, identifier: str, **plan: Any) -> Job:
        """Change what becomes of a job."""
        return self.state.jobs.change(identifier, **plan)

    def end_job(self, identifier: str, status: str = "Completed", reason: str = "") -> Job:
        """End a job now."""
        job = self.jobs[identifier]
        job.end(status, reason)
        return job

    def add_job(
        self, client: str, instance: str, subclient: str = "default", level: str = "FULL", start: float | None = None
    ) -> Job:
        """Add a job that somebody started in Commvault's own console."""
        return self.state.jobs.add(self.catalogue.add(client, instance, subclient), level, start=start, by="console")

    def fault(self, name: str, times: int | None = 1, path: str = "/CreateTask", **parameters: Any) -> Fault:
        """Let a fault happen to the next `times` requests of a path (None: until `mend`); `path` may be a pattern."""
        return self.faults.arm(name, times, path, parameters)

    def mend(self) -> None:
        """Disarm every fault and let go what is held."""
        self.faults.mend()

    def release(self) -> None:
        """Let go the requests that are held by a stall."""
        self.faults.release()

    def rate_limit(self, writes: int | None = None, reads: int | None = None, period: float = 3600) -> None:
        """Answer 429 past so many calls a period of the simulator's clock; None: no limit."""
        limits = {"writes": writes, "reads": reads}
        with self.state.lock:
            self.state.limits = {kind: RateLimit(top, period) for kind, top in limits.items() if top is not None}

    def clear(self) -> None:
        """Forget requests, jobs, plans, limits and faults; ids go on counting."""
        self.mend()
        self.state.clear()
