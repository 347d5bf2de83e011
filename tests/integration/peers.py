"""Clients of Commvault, and TLS servers that are not the simulator."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat

import trustme

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.targets import BackupRequest
from tests.auth import FixedToken
from tests.integration.pairs import REQUEST

CANARY = "QSDK 3canary0000fake1111token2222"


def client_of(server: CommServe, proxy: str = "") -> Commvault:
    """Return a client that trusts the simulator's CA."""
    return commvault(server.url, server.ca_pem, proxy)


def commvault(url: str, ca_pem: str | None, proxy: str = "") -> Commvault:
    return Commvault(url, lambda: ca_pem, FixedToken(CANARY), proxy)


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def create(client: Commvault, request: BackupRequest = REQUEST, seconds: float = 30) -> Outcome:
    return client.create_task(request, within(seconds))


class TlsServer:
    """Answers every request with the same bytes, leaves connections open, and records what it received.

    `then` is sent instead at each further request of a connection.
    """

    def __init__(self, context: ssl.SSLContext, answer: bytes, then: bytes = b"") -> None:
        self.received = b""
        self._context, self._answer, self._then = context, answer, then or answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._opened: list[ssl.SSLSocket] = []
        self.url = f"https://localhost:{self._listening.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for opened in (self._listening, *self._opened):
            opened.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain = self._listening.accept()[0]
                with suppress(OSError):
                    self._serve(self._context.wrap_socket(plain, server_side=True))

    def _serve(self, connection: ssl.SSLSocket) -> None:
        self._opened.append(connection)
        answers = chain([self._answer], repeat(self._then))
        while received := connection.recv(65536):
            self.received += received
            if received.endswith((b"}", b"\r\n\r\n")):
                connection.sendall(next(answers))


type Serve = Callable[..., TlsServer]


@contextmanager
def serving() -> Iterator[Serve]:
    """Make servers, and close them at the end."""
    servers: list[TlsServer] = []

    def serve(context: ssl.SSLContext, answer: bytes, then: bytes = b"") -> TlsServer:
        servers.append(TlsServer(context, answer, then))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def context_of(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    """Return a server's context with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def answer_of(body: bytes) -> bytes:
    """Return an answer with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
