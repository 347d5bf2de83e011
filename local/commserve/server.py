"""`CommServe`: the simulator as tests use it; `control.controls` holds what they can read and change."""

import ssl
from collections.abc import Callable
from threading import Thread
from types import TracebackType
from typing import Self

import trustme

from local.commserve.catalogue import DEFAULT_CLIENTS, Clients
from local.commserve.control.controls import Controls
from local.commserve.state import State
from local.commserve.wire import HttpsServer

PREFIX = "/commandcenter/api"


class CommServe(Controls):
    """A simulated CommServe on a loopback port. Every method may be called from any thread."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "fake-token-5b07e2c49d",  # noqa: S107 (a default for tests)
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
        super().__init__(State(token, clients, job_seconds, clock))
        self.state.keep_tokens = keep_tokens
        self.authority = authority or trustme.CA()
        self.ca_pem = self.authority.cert_pem.bytes().decode()
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.authority.issue_cert(*names).configure_cert(self._context)
        self._server: HttpsServer | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listen; after a stop, on the same port as before."""
        if self._server is None:
            self._server = HttpsServer((self.host, self.port), self._context, self.state, self.faults, self)
            self.port = self._server.server_port
            self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="commserve")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection. The state is kept, and jobs progress with the clock."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        server.cut()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def root_url(self) -> str:
        """The server's address without a path, as on SaaS."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.root_url + PREFIX
