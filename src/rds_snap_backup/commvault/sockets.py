"""urllib3's HTTPS connection, whose connecting takes no longer than its timeout over all addresses of the name.

urllib3 gives the whole timeout to each address in turn, and resolving the name has no limit of its own.
"""

import socket
import threading
import time
from typing import Any

from urllib3 import connection


class HTTPSConnection(connection.HTTPSConnection):
    """A connection of which resolving, connecting and the TLS handshake share one timeout."""

    def _new_conn(self) -> socket.socket:
        deadline = time.monotonic() + float(self.timeout or 0)
        connected = _connect(_resolve(self._dns_host, self.port, deadline), deadline)
        for option in self.socket_options or ():
            connected.setsockopt(*option)
        return connected


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
