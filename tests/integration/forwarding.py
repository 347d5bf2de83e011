"""A wire between a function and AWS that keeps every call."""

import http.client
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was sent: the service that it was signed for, AWS's name of the operation, and its parameters."""

    service: str
    operation: str
    body: bytes

    @property
    def text(self) -> str:
        """The parameters as text."""
        return self.body.decode()


class ForwardingWire:
    """Forwards to an AWS endpoint, and keeps every call."""

    def __init__(self, endpoint_url: str = "") -> None:
        self.address = urlsplit(endpoint_url).netloc
        self.calls: list[Call] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                operation = operation_of(self.headers.get("X-Amz-Target", ""), body)
                call = Call(service_of(self.headers["Authorization"]), operation, body)
                wire.calls.append(call)
                if not wire._takes(call):
                    self.close_connection = True
                    return
                status, headers, answer = wire._forward(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _takes(self, _call: Call) -> bool:
        """Tell whether a call reaches AWS; the connection of any other is closed."""
        return True

    def _forward(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content


def operation_of(target: str, body: bytes) -> str:
    """Return an AWS call's operation: from the JSON protocols' header, or the query protocol's body."""
    in_body = re.search(rb"(?:^|&)Action=(\w+)", body)
    return target.rpartition(".")[2] or (in_body[1].decode() if in_body else "")


def service_of(authorization: str) -> str:
    """Return the service that a call was signed for: the fourth part of the credential's scope."""
    return authorization.partition("Credential=")[2].split("/")[3]
