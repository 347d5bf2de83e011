"""The HTTPS server: connections, TLS, HTTP/1.1, one thread per connection. The answers come from elsewhere."""

import json
import os
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from select import select
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from local.commserve.answers import Answer, bare_string
from local.commserve.api import routes
from local.commserve.control.controls import Controls
from local.commserve.control.endpoint import CONTROL, answer_control
from local.commserve.faults import FaultBook
from local.commserve.recorded import Recorded, without_prefix
from local.commserve.state import State
from local.commserve.tokens import RENEW

SECRET_HEADERS = ("authtoken", "authorization")
HANDSHAKE_SECONDS = 10
# How often a stalled request checks whether its client is still connected.
CHECK_SECONDS = 0.1


class HttpsServer(ThreadingHTTPServer):
    """Accepts connections and keeps them, so that they can be cut when the server stops."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext | None,
        state: State,
        faults: FaultBook,
        control: Controls,
    ) -> None:
        self.context, self.state, self.faults, self.control = context, state, faults, control
        self.stopping = Event()
        self.numbers = count(1)
        self.connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without a reverse DNS query."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow client does not block the others."""
        connection: socket.socket = request
        if self.context is not None:
            connection.settimeout(HANDSHAKE_SECONDS)
            connection = self.context.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
        self.connections.add(connection)
        try:
            if not self.stopping.is_set():
                Handler(connection, client_address, self)
        finally:
            self.connections.discard(connection)
            with suppress(OSError):
                connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients that disconnect are expected."""

    def cut(self) -> None:
        """Cut every connection."""
        self.stopping.set()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Reads a request, records it, and sends the answer or lets a fault happen. It is the faults' `Exchange`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpsServer
    recorded: Recorded
    released: Event

    def setup(self) -> None:
        """Give the connection its number."""
        super().setup()
        self.number = next(self.server.numbers)

    def serve(self) -> None:
        """Answer one request."""
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path = unquote(without_prefix(parts.path))
        if path.startswith(CONTROL):
            self._out(*self.render(answer_control(self.server.control, self.command, path, parts.query, body)))
            return
        fault = self.server.faults.take(path, body)
        self.released = self.server.faults.released
        self.recorded = self._record(path, parts.query, body, fault.name if fault else None)
        if fault is None:
            self.send(self.act())
        else:
            fault.apply(self)

    do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 (the standard library's names)

    def sent(self) -> str:
        """Return the secrets of the request: its token headers and, where it presents a pair, its body."""
        headers = " ".join(self.headers[name] for name in SECRET_HEADERS if name in self.headers)
        body = self.recorded.body.decode() if self.recorded.path.lower().endswith(RENEW) else ""
        return f"{headers} {body}".strip()

    def act(self) -> Answer:
        """Do what was asked for and return the proper answer."""
        try:
            return routes.answer(self.server.state, self.recorded)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
            self.server.state.refusals.append(f"{self.command} {self.path}: {type(problem).__name__}: {problem}")
            return bare_string()

    def render(self, answer: Answer) -> tuple[bytes, bytes]:
        """Return head and body."""
        wants_json = "json" in self.headers.get("Accept", "").lower() or self.path.startswith(CONTROL)
        content_type, body = answer.render(as_json=wants_json)
        lines = [
            f"HTTP/1.1 {int(answer.status)} {self.responses.get(answer.status, ('Unknown',))[0]}",
            f"Date: {self.server.state.clock.date()}",
            "Server: Commvault WebServer",
            f"Content-Type: {content_type}; charset=utf-8",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), body

    def send(self, answer: Answer) -> None:
        """Send an answer."""
        self.server.state.statuses[self.recorded.id] = int(answer.status)
        self._out(*self.render(answer))

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._out(data)

    def reset(self) -> None:
        """Cut the connection with RST: a lingering time of 0 and the descriptor closed under the TLS layer's feet."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())

    def close(self) -> None:
        """Close the connection cleanly."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def pause(self, seconds: float, *, ignore_client: bool = False) -> bool:
        """Wait; False if the server stopped or, unless `ignore_client`, the client disconnected meanwhile."""
        until = time.monotonic() + seconds
        while not (self.server.stopping.is_set() or (not ignore_client and self._is_client_gone())):
            left = until - time.monotonic()
            if left <= 0 or self.released.wait(min(left, CHECK_SECONDS)):
                return True
        return False

    def _is_client_gone(self) -> bool:
        # A client sends nothing while it waits for an answer: what can be read is the end of the connection.
        return bool(select([self.connection], [], [], 0)[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
        """Print nothing."""

    def _out(self, *parts: bytes) -> None:
        try:
            self.wfile.write(b"".join(parts))
        except OSError:
            self.close_connection = True

    def _record(self, path: str, query: str, body: bytes, fault: str | None) -> Recorded:
        state = self.server.state
        token = self.headers.get("Authtoken", "")
        headers = {
            name: value if state.keep_tokens or name.lower() not in SECRET_HEADERS else "***"
            for name, value in self.headers.items()
        }
        recorded = Recorded(
            id=next(state.request_ids),
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            authorized=state.tokens.accepts(token, state.clock.now()),
            body=body,
            json=_parsed(body),
            at=time.time(),
            clock=state.clock.now(),
            bearer=self.headers.get("Authorization"),
            client=(str(self.client_address[0]), int(self.client_address[1])),
            connection=self.number,
            fault=fault,
        )
        hidden = path.lower().endswith(RENEW) and not state.keep_tokens
        state.requests.append(recorded.without_pair() if hidden else replace(recorded, bearer=None))
        return recorded


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
