"""urllib3's `HTTPSConnection`, as far as the product uses it, to the CommServe simulator: in memory, in the kernel's time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme

from local.commserve import CommServe
from local.commserve.answers import Answer
from local.commserve.api import routes
from local.commserve.catalogue import Clients
from local.commserve.faults.book import ALL
from local.commserve.recorded import Recorded, without_prefix
from tests.property.model.kernel import Kernel, Killed, Run

IDLE_SECONDS = 5.0
# A request that is accepted late is, so long after it was sent.
LATE_SECONDS = 20.0
AUTHORITY = trustme.CA()

DEATHS = ("die before", "die after")
CONNECTS = ("refused", "timeout", "slow")
NO_SUBCLIENT = 587207178
# What can befall a request for jobs, by the simulator's faults and what they are given: one answer for each outcome, for
# the answers themselves are told by the table of outcomes.
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "not eligible": ("error_top", {"code": NO_SUBCLIENT, "status": 500}),
    "forbidden": ("forbidden", {}),
    "no jobs": ("empty_job_ids", {}),
    "a task only": ("missing_job_ids", {}),
    "failed": ("errlist", {"code": 99}),
    "unauthorized": ("unauthorized", {}),
    "throttled": ("throttled", {"period": 700}),
    "already running": ("already_running", {}),
    "maintenance": ("maintenance", {}),
    "jobs and an error": ("jobs_and_error", {"code": NO_SUBCLIENT}),
    "one of the jobs": ("job_ids", {}),
    "jobs in another order": ("job_ids", {"named": (2, 0, 1)}),
    "a job too many": ("job_ids", {"named": (0, 1, 2), "surplus": ("9999999",)}),
    "502": ("status", {"status": 502, "body": "Bad Gateway"}),
    "502, accepted": ("bad_gateway_after", {}),
    "reset": ("reset_before", {}),
    "reset, accepted": ("reset_after", {}),
    "timeout": ("stall_before", {}),
    "timeout, accepted": ("stall_after", {}),
}
READS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: REQUESTS[name] for name in ("unauthorized", "maintenance", "reset", "timeout", "throttled")},
    "500": ("status", {"status": 500, "body": "Internal Server Error"}),
    "slow": ("slow", {"seconds": 15}),
}
RENEWALS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: REQUESTS[name] for name in ("502", "maintenance", "reset", "reset, accepted", "timeout, accepted")}
}


@dataclass(slots=True, eq=False)
class Wire:
    """The way to a CommServe. `observe` sees each request for jobs before it is acted on; `made` has each job's request.

    `late` are the requests that will be acted on, and when.
    """

    kernel: Kernel
    server: CommServe
    connect_seconds: float = 0.0
    answer_seconds: float = 0.4
    # How long each page of a list of jobs takes.
    page_seconds: float = 0.0
    observe: Callable[[Run, Recorded], None] = lambda _run, _request: None
    late: list[tuple[float, "Exchange"]] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)

    def catch_up(self) -> None:
        """Act on requests that were accepted late."""
        due = [exchange for at, exchange in self.late if at <= self.kernel.now]
        self.late = [(at, exchange) for at, exchange in self.late if exchange not in due]
        for exchange in due:
            exchange.act()

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Recorded:
        """Return a request as the simulator records it."""
        state, parts, now = self.server.state, urlsplit(url), self.kernel.now
        request = Recorded(
            id=next(state.request_ids),
            method=method,
            path=unquote(without_prefix(parts.path)),
            query=dict(parse_qsl(parts.query)),
            headers=dict(headers),
            authorized=state.tokens.accepts(headers.get("Authtoken", ""), now),
            body=body or b"",
            json=json.loads(body) if body else None,
            at=now,
            clock=now,
            client=("", 0),
            connection=0,
        )
        state.requests.append(request)
        return request


def commserve(kernel: Kernel, clients: Clients, job_seconds: float = 300.0) -> CommServe:
    """Return a CommServe that lives in the kernel's time."""
    return CommServe(clock=lambda: kernel.now, job_seconds=job_seconds, clients=clients, authority=AUTHORITY, tls=False)


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, as the simulator's faults see it, and what comes back."""

    wire: Wire
    recorded: Recorded
    timeout: float
    answer: Answer | None = None
    error: OSError | None = None
    released: Event = field(default_factory=Event)

    def sent(self) -> str:
        return ""

    def act(self) -> Answer:
        jobs = self.wire.server.state.jobs.jobs
        before = {*jobs}
        answer = routes.answer(self.wire.server.state, self.recorded)
        self.wire.made |= dict.fromkeys(jobs.keys() - before, self.recorded.id)
        return answer

    def send(self, answer: Answer) -> None:
        self.answer = answer
        self.wire.server.state.statuses[self.recorded.id] = answer.status

    def reset(self) -> None:
        self.error = ConnectionResetError("reset")

    def close(self) -> None:
        self.error = self.error or ConnectionResetError("closed")

    def pause(self, seconds: float, *, ignore_client: bool = False) -> bool:
        """Let time pass; a client waits no longer than it has time."""
        self.wire.kernel.sleep(min(seconds, self.timeout))
        if seconds >= self.timeout:
            self.error = TimeoutError("read")
        return ignore_client or seconds < self.timeout

    def render(self, answer: Answer) -> tuple[bytes, bytes]:
        raise NotImplementedError

    def raw(self, data: bytes) -> None:
        raise NotImplementedError


class Response:
    """An answer as urllib3 returns it."""

    def __init__(self, answer: Answer, date: str) -> None:
        self.status = answer.status
        self.headers = {"Date": date, **answer.headers}
        self._body = answer.render(as_json=True)[1]

    def read(self, longest: int) -> bytes:
        return self._body[:longest]

    def release_conn(self) -> None:
        """There is no pool."""


class Line:
    """One connection."""

    def __init__(self, wire: Wire, timeout: float) -> None:
        self.timeout = timeout
        self.sock = SimpleNamespace(settimeout=lambda _seconds: None)
        self.is_connected = False
        self._wire = wire
        self._exchange: Exchange | None = None
        self._last_used = 0.0

    def connect(self) -> None:
        kernel = self._wire.kernel
        kernel.begin_effect()
        kernel.sleep(self._wire.connect_seconds)
        match kernel.fault("connect", CONNECTS):
            case "refused":
                raise ConnectionRefusedError("refused")
            case "timeout":
                kernel.sleep(self.timeout)
                raise TimeoutError("connect")
            case "slow":
                kernel.sleep(4.5)
        self.is_connected, self._last_used = True, kernel.now

    def close(self) -> None:
        self.is_connected = False

    def request(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], **_options: Any
    ) -> None:
        wire, kernel = self._wire, self._wire.kernel
        if kernel.now - self._last_used > IDLE_SECONDS:
            kernel.fail("a request was sent over a connection that may have gone stale")
        if kernel.current and self.timeout > kernel.seconds_left():
            kernel.fail("a request may take longer than its run")
        kernel.begin_effect()
        kernel.sleep(wire.answer_seconds / 2)
        wire.catch_up()
        exchange = self._exchange = Exchange(wire, wire.request(method, url, headers, body), self.timeout)
        kind, faults = "read", READS
        if url.endswith("/CreateTask"):
            kind, faults = "request", REQUESTS
            if kernel.current:
                wire.observe(kernel.current, exchange.recorded)
        elif url.endswith("/Renew"):
            kind, faults = "renewal", RENEWALS
        elif method == "GET" and exchange.recorded.path == "/Job":
            exchange.pause(wire.page_seconds)
        late = ("reset, accepted late", "die with it under way") if kind == "request" else ()
        deaths = () if kind == "read" else DEATHS
        name = kernel.fault(kind, (*deaths, *late, *faults))
        if name in late:
            wire.late.append((kernel.now + LATE_SECONDS, exchange))
            exchange.reset()
        elif name in faults:
            fault, parameters = faults[name]
            ALL[fault](exchange, **parameters)
        elif armed := wire.server.faults.take(exchange.recorded.path, exchange.recorded.body):
            armed.apply(exchange)
        elif name != "die before" and not exchange.error:
            exchange.send(exchange.act())
        if name.startswith("die"):
            raise Killed

    def getresponse(self) -> Response:
        wire, kernel = self._wire, self._wire.kernel
        kernel.begin_effect()
        kernel.sleep(wire.answer_seconds / 2)
        assert self._exchange
        if self._exchange.error:
            raise self._exchange.error
        assert self._exchange.answer
        self._last_used = kernel.now
        return Response(self._exchange.answer, wire.server.clock.date())
