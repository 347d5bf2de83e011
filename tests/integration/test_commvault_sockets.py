"""Connecting takes no longer than its timeout, over all addresses of a name, resolving and the handshake included."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.commserve import CommServe
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from tests.integration.clients import CANARY, commvault, create

NAME = "commvault.example"
RESOLVE = socket.getaddrinfo
SECONDS = 1.5


class Names:
    """The resolver at the wire: `NAME` has the addresses in `addresses`; other names are resolved by the system."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.answers = threading.Event()
        self.answers.set()

    def resolve(self, host: Any, *given: Any, **more: Any) -> Any:
        if host != NAME:
            return RESOLVE(host, *given, **more)
        self.answers.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in self.addresses]


class TimedSocket(socket.socket):
    """Records the timeouts that the client sets: a timeout that ends is as long as it was set."""

    timeouts: list[float]

    def settimeout(self, value: float | None) -> None:
        if threading.current_thread() is threading.main_thread() and value is not None:
            self.timeouts.append(value)
        super().settimeout(value)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.resolve)
    monkeypatch.setattr("rds_snap_backup.commvault.connection.CONNECT_SECONDS", SECONDS)
    yield names
    names.answers.set()


@pytest.fixture
def black_holes() -> Iterator[list[tuple[str, int]]]:
    """Addresses that answer nothing: sockets of 127.0.0.x whose backlog is full, so that Linux drops what arrives."""
    with ExitStack() as stack:
        addresses: list[tuple[str, int]] = []
        for number in range(2, 8):
            listening = stack.enter_context(socket.socket())
            listening.bind((f"127.0.0.{number}", 0))
            listening.listen(0)
            addresses.append(listening.getsockname())
            for _ in range(3):
                filling = stack.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(addresses[-1])
        yield addresses


@pytest.fixture
def timeouts(black_holes: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    TimedSocket.timeouts = []
    monkeypatch.setattr(socket, "socket", TimedSocket)
    return TimedSocket.timeouts


@pytest.mark.parametrize(("proxy", "seconds"), [("", 20.0), ("", 1.2), (f"http://{NAME}:3128", 20.0)])
def test_all_addresses_of_a_name_share_the_time_for_connecting(
    names: Names, black_holes: list[tuple[str, int]], timeouts: list[float], proxy: str, seconds: float
) -> None:
    names.addresses = black_holes
    url = "https://localhost" if proxy else f"https://{NAME}"
    outcome = create(commvault(url, None, proxy), seconds=seconds)
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == ("PROXY_FAILED" if proxy else "UNREACHABLE")
    assert sum(timeouts) <= min(SECONDS, seconds)


def test_a_dead_address_leaves_time_for_the_next_one(names: Names, black_holes: list[tuple[str, int]]) -> None:
    with CommServe(token=CANARY, names=(NAME,)) as server:
        names.addresses = [black_holes[0], ("127.0.0.1", server.port)]
        outcome = create(commvault(f"https://{NAME}/commandcenter/api", server.ca_pem))
        assert isinstance(outcome, Submitted), outcome


def test_a_name_that_is_not_resolved_in_time_is_unavailable(names: Names) -> None:
    names.answers.clear()
    outcome = create(commvault(f"https://{NAME}", None))
    assert isinstance(outcome, Unavailable)
    assert "not resolved in time" in outcome.problem.message


def test_a_handshake_has_only_the_rest_of_the_time(
    names: Names, black_holes: list[tuple[str, int]], timeouts: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        names.addresses = [*black_holes[:3], silent.getsockname()]
        assert isinstance(create(commvault(f"https://{NAME}", None)), Unavailable)
    *shares, _, handshake = timeouts
    assert handshake <= SECONDS - sum(shares)
