"""urllib3's `HTTPSConnection`, as far as the product uses it, before the CommServe in memory."""

import json
import ssl
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.property.model.answers import ANSWERS, CONNECTS, NO_ACCESS, READS, Reply
from tests.property.model.commvault import CommServe, body_of
from tests.property.model.kernel import SLOW_SECONDS, Killed

ANSWER_SECONDS = 0.4
IDLE_SECONDS = 5.0


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
        if server.mood == "down":
            raise ConnectionResetError("the server is down")
        token = headers["Authtoken"]
        if method == "POST":
            self._ends = kernel.fault("create", tuple(ANSWERS))
            if self._ends == "die before":
                raise Killed
            assert body is not None
            self._reply = server.create(json.loads(body), token, run.item, self._ends)
        else:
            self._ends = kernel.fault("list", READS)
            if self._ends == "die before":
                raise Killed
            if "/Client/byName(" in url:
                # All jobs of the model are of one client, so its list is the list of all.
                self._ends = ""
                client = {"clientId": 5, "clientName": "aws-prod"}
                self._reply = (200, {"clientProperties": [{"client": {"clientEntity": client}}]}, {})
                return
            query = parse_qs(urlsplit(url).query)
            lookup = float(query["completedJobLookupTime"][0])
            self._reply = server.list(lookup, int(headers["limit"]), int(headers["offset"]), token)
        if self._ends.startswith("die"):
            raise Killed

    def getresponse(self) -> Response:
        kernel = self._kernel
        kernel.begin_effect()
        kernel.now += ANSWER_SECONDS
        reply, self._reply = self._reply, None
        match self._ends.partition(",")[0]:
            case "timeout":
                kernel.now += self.timeout
                raise TimeoutError("read")
            case "reset":
                raise ConnectionResetError("reset")
            case "slow":
                kernel.now += min(SLOW_SECONDS, self.timeout)
                if self.timeout < SLOW_SECONDS:
                    raise TimeoutError("read")
            case "500":
                reply = (500, b"Internal Server Error", {})
            case "401":
                reply = NO_ACCESS
            case "429":
                reply = (429, "", {"X-RateLimit-Period": "60"})
            case "maintenance":
                self._server.mood, mood = "maintenance", self._server.mood
                reply = self._server.list(0, 0, 0, "")
                self._server.mood = mood
        if reply is None:
            raise ConnectionResetError("reset")
        self._last_used = kernel.now
        return Response(reply, formatdate(kernel.now + self._server.settings.ahead, usegmt=True))
