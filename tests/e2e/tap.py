"""A tap on the wire between the deployed functions and some of AWS's services: it sees calls, and can cut them off.

It can also let parameters seem older than they are: the emulator has no other way to let days pass.

The functions reach AWS through it because the emulator hands them `AWS_ENDPOINT_URL_…`; nothing in them knows of it.
"""

import http.client
import json
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it was sent. `operation` is AWS's name of it."""

    operation: str
    body: str

    @property
    def form(self) -> dict[str, str]:
        """The parameters of a call in the query protocol, as SNS speaks it."""
        return {name: values[0] for name, values in parse_qs(self.body).items()}


class Tap:
    """`refuse` cuts the next calls of an operation off before they reach AWS; all others pass, and are kept."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.target = ""
        self._refusals: list[tuple[str, str]] = []
        self._ages: dict[str, float] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def refuse(self, operation: str, times: int, about: str) -> None:
        """Cut off the next `times` calls of an operation whose body contains a text; the SDK makes three of one."""
        with self._lock:
            self._refusals += [(operation, about)] * times

    def age(self, name: str, seconds: float) -> None:
        """Let a parameter seem to have been changed, or an instance to have been created, so much earlier."""
        with self._lock:
            self._ages[name] = seconds

    def aged(self, call: Call, content: bytes) -> bytes:
        """Return an answer of AWS with the ages of parameters and instances."""
        if call.operation == "DescribeDBInstances":
            for name, seconds in self._ages.items():
                created = f"<InstanceCreateTime>{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}<"
                row = rf"(<DBInstanceIdentifier>{re.escape(name)}</.*?)<InstanceCreateTime>[^<]*<"
                content = re.sub(row.encode(), rf"\g<1>{created}".encode(), content, count=1, flags=re.DOTALL)
        if call.operation != "GetParametersByPath" or not self._ages:
            return content
        answer = json.loads(content)
        for row in answer["Parameters"]:
            row["LastModifiedDate"] -= self._ages.get(row["Name"], 0)
        return json.dumps(answer).encode()

    @property
    def refusals_left(self) -> int:
        """How many calls are still to be cut off."""
        return len(self._refusals)

    def admit(self) -> None:
        """Cut off no more calls."""
        with self._lock:
            self._refusals.clear()

    def takes(self, call: Call) -> bool:
        """Tell whether a call is to pass, and keep it."""
        with self._lock:
            for refusal in self._refusals:
                operation, about = refusal
                if operation == call.operation and about in call.body:
                    self._refusals.remove(refusal)
                    return False
            self.calls.append(call)
            return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                call = Call(target or parse_qs(body.decode()).get("Action", [""])[0], body.decode())
                if not tap.takes(call):
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection(tap.target, timeout=30)
                try:
                    upstream.request("POST", self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    content = tap.aged(call, answer.read())
                finally:
                    upstream.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_request(self, *_: object) -> None:
                """Say nothing."""

        return Handler
