"""urllib3's HTTPS connection, whose connecting takes no longer than its timeout over all addresses of the name.

urllib3 gives the whole timeout to each address in turn and to each byte of a proxy's answer, and resolving the name has
no limit. No proxy but the one that `set_tunnel` names is used: the environment's are not ours.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

from urllib3 import connection

from rds_snap_backup.commvault.limits import Response
from rds_snap_backup.commvault.proxy import ProxyFailed


class HTTPSConnection(connection.HTTPSConnection):
    """A connection of which resolving, connecting, a proxy's tunnel and the TLS handshake share one timeout."""

    response_class = Response
    _deadline = 0.0

    def _new_conn(self) -> socket.socket:
        self._deadline = time.monotonic() + float(self.timeout or 0)
        try:
            connected = _connect(_resolve(self._dns_host, self.port, self._deadline), self._deadline)
        except (OSError, ValueError) as error:
            if self.proxy_is_tunneling:
                raise ProxyFailed(str(error)) from error
            raise
        for option in self.socket_options or ():
            connected.setsockopt(*option)
        return connected

    def _tunnel(self) -> None:
        """Have the proxy connect; the handshake that follows has what is left of the time, all in all."""
        connected = self.sock
        try:
            with ended_at(self._deadline, connected):
                super()._tunnel()
        except (OSError, HTTPException) as error:
            is_late = time.monotonic() >= self._deadline
            raise ProxyFailed("it did not answer in time" if is_late else str(error)) from error
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ProxyFailed("it did not answer in time")
        connected.settimeout(left)


@contextmanager
def ended_at(deadline: float, connected: socket.socket) -> Iterator[None]:
    """Shut a connection down at a deadline: a read timeout starts again with every byte, however slowly they come."""
    watchdog = threading.Timer(deadline - time.monotonic(), _shut_down, [connected])
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _shut_down(connected: socket.socket) -> None:
    # Not the TLS socket's own method, which the reading thread would trip over. An error: the exchange is just over.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _resolve(host: str, port: int, deadline: float) -> list[tuple[Any, ...]]:
    """Return the addresses of a name. The system's resolver knows no timeout, so a thread waits for it."""
    answers: list[list[tuple[Any, ...]] | Exception] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(deadline - time.monotonic())
    match answers:
        case [list() as addresses]:
            return addresses
        case [Exception() as error]:
            raise error
        case _:
            raise socket.gaierror(socket.EAI_AGAIN, "the name was not resolved in time")


def _connect(addresses: list[tuple[Any, ...]], deadline: float) -> socket.socket:
    """Connect to the first address that answers; each has an equal share of the time that is left."""
    failure: OSError = OSError("the name has no addresses")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connecting = None
        try:
            connecting = socket.socket(family, kind, protocol)
            connecting.settimeout(left / (len(addresses) - number))
            connecting.connect(address)
            # The TLS handshake that follows has what is left, all in all.
            connecting.settimeout(max(deadline - time.monotonic(), 0.001))
        except OSError as error:
            failure = error
            if connecting:
                connecting.close()
        else:
            return connecting
    raise failure
