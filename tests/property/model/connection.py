"""urllib3's `HTTPSConnection`, as far as the product uses it, before the CommServe in memory."""

import json
import ssl
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tests.property.model.answers import ANSWERS, CONNECTS, HTML, NO_ACCESS, READS, RENEWALS, Reply
from tests.property.model.commvault import CommServe, body_of
from tests.property.model.kernel import Killed

ANSWER_SECONDS = 0.4
IDLE_SECONDS = 5.0
# Less than the first page of a list of jobs may take.
SLOW_ANSWER_SECONDS = 15.0


class Response:
    """An answer."""

    def __init__(self, reply: Reply, date: str) -> None:
        self.status, content, headers = reply
        self.headers = {"Date": date, **headers}
        self._body = body_of(content)

    def read(self, longest: int) -> bytes:
        return self._body[:longest]

    def release_conn(self) -> None:
        """There is no pool."""


class Connection:
    """One connection. It is up while the server is."""

    def __init__(self, server: CommServe, timeout: float) -> None:
        self.timeout = timeout
        self.sock = SimpleNamespace(settimeout=lambda _seconds: None)
        self.is_connected = False
        self._server = server
        self._kernel = server.kernel
        self._reply: Reply | None = None
        self._ends = ""
        self._last_used = 0.0

    def connect(self) -> None:
        kernel = self._kernel
        kernel.begin_effect()
        fault = kernel.fault("connect", CONNECTS)
        if self._server.mood == "down":
            fault = fault if fault.startswith("die") else "refused"
        match fault:
            case "die before" | "die after":
                raise Killed
            case "refused":
                raise ConnectionRefusedError("refused")
            case "untrusted":
                raise ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED")
            case "timeout":
                kernel.now += self.timeout
                raise TimeoutError("connect")
            case "slow":
                kernel.now += 4.5
        self.is_connected = True
        self._last_used = kernel.now

    def close(self) -> None:
        self.is_connected = False

    def request(self, method: str, url: str, *, body: bytes | None, headers: dict[str, str], **_options: Any) -> None:
        kernel, server = self._kernel, self._server
        if kernel.now - self._last_used > IDLE_SECONDS:
            kernel.fail("a request was sent over a connection that may have gone stale")
        kernel.begin_effect()
        run = kernel.current
        assert run is not None
        is_task = url.endswith("/CreateTask")
        is_renewal = url.endswith("/V4/AccessToken/Renew")
        if server.mood == "down":
            raise ConnectionResetError("the server is down")
        kind, names = ("create", tuple(ANSWERS)) if is_task else ("list", READS)
        if is_renewal:
            kind, names = "renew", RENEWALS
        self._ends = kernel.fault(kind, names)
        if self._ends == "die before":
            raise Killed
        if is_renewal:
            assert method == "POST"
            self._reply = server.renew(json.loads(body or b""))
        elif is_task:
            assert method == "POST"
            self._reply = server.create(json.loads(body or b""), headers["Authtoken"], run, self._ends)
        else:
            self._reply = self._read(urlsplit(url), headers)
        if self._ends.startswith("die"):
            raise Killed

    def _read(self, url: SplitResult, headers: dict[str, str]) -> Reply:
        if url.path.endswith("/Job"):
            if self._server.settings.page_seconds < self.timeout:
                self._kernel.now += self._server.settings.page_seconds
            else:
                self._ends = "timeout"
        page = int(headers.get("limit", 0)), int(headers.get("offset", 0))
        return self._server.read(unquote(url.path), dict(parse_qsl(url.query)), page, headers["Authtoken"])

    def getresponse(self) -> Response:
        self._kernel.begin_effect()
        return self._response()

    def _response(self) -> Response:
        kernel = self._kernel
        kernel.now += ANSWER_SECONDS
        reply, self._reply = self._reply, None
        match self._ends.partition(",")[0]:
            case "timeout":
                kernel.now += self.timeout
                raise TimeoutError("read")
            case "reset":
                raise ConnectionResetError("reset")
            case "slow":
                kernel.now += min(SLOW_ANSWER_SECONDS, self.timeout)
                if self.timeout < SLOW_ANSWER_SECONDS:
                    raise TimeoutError("read")
            case "500":
                reply = (500, b"Internal Server Error", {})
            case "401":
                reply = NO_ACCESS
            case "429":
                reply = (429, "", {"X-RateLimit-Period": "60"})
            case "maintenance":
                reply = (200, HTML, {})
        if reply is None:
            raise ConnectionResetError("reset")
        self._last_used = kernel.now
        return Response(reply, formatdate(kernel.now + self._server.settings.ahead, usegmt=True))
