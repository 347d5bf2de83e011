"""Connecting takes no longer than its timeout, over all addresses of a name, resolving and the handshake included."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.outcomes import Outcome, Submitted, Unavailable
from rds_snap_backup.targets import Association, BackupRequest
from tests.proxy import ConnectProxy
from tests.secrets import StoredSecret

TOKEN = "fake-token"
NAME = "commvault.example"
REQUEST = BackupRequest((Association("aws-prod", "orders-db", "aws-prod", "default"),))
RESOLVE = socket.getaddrinfo
# A busy machine may be so late; a limit that did not hold would be passed by more.
LATE = 2.0


class Names:
    """The resolver at the wire: `NAME` has the addresses in `addresses`; other names are resolved as ever."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.answers = threading.Event()
        self.answers.set()

    def resolve(self, host: Any, *given: Any, **more: Any) -> Any:
        if host != NAME:
            return RESOLVE(host, *given, **more)
        self.answers.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.resolve)
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


def client(url: str, ca_pem: str | None = None, proxy: str = "") -> Commvault:
    return Commvault(url, lambda: ca_pem, StoredSecret(TOKEN).credentials(), proxy)


def create(commvault: Commvault, seconds: float = 38) -> tuple[Outcome, float]:
    began = time.monotonic()
    return commvault.create_task(REQUEST, began + seconds), time.monotonic() - began


def test_connecting_takes_5_seconds_over_all_addresses_of_a_name(
    names: Names, black_holes: list[tuple[str, int]]
) -> None:
    names.addresses = black_holes
    outcome, seconds = create(client(f"https://{NAME}"))
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "UNREACHABLE"
    assert 4.5 < seconds < 5 + LATE


def test_a_dead_address_leaves_time_for_the_next_one(names: Names, black_holes: list[tuple[str, int]]) -> None:
    with CommServe(token=TOKEN, names=(NAME,)) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        names.addresses = [black_holes[0], ("127.0.0.1", port)]
        outcome, seconds = create(client(f"https://{NAME}/commandcenter/api", server.ca_pem))
        assert isinstance(outcome, Submitted), outcome
        assert seconds > 2


def test_a_name_that_is_not_resolved_in_time_is_unavailable(names: Names) -> None:
    names.answers.clear()
    outcome, seconds = create(client(f"https://{NAME}"))
    assert isinstance(outcome, Unavailable)
    assert "not resolved in time" in outcome.problem.message
    assert 4.5 < seconds < 5 + LATE


def test_a_name_without_addresses_is_unavailable(names: Names) -> None:
    outcome, _ = create(client(f"https://{NAME}"))
    assert isinstance(outcome, Unavailable)


def test_a_handshake_has_only_what_connecting_left(names: Names, black_holes: list[tuple[str, int]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        names.addresses = [*black_holes[:3], silent.getsockname()]
        outcome, seconds = create(client(f"https://{NAME}"))
        assert isinstance(outcome, Unavailable)
        assert 4.5 < seconds < 5 + LATE


def test_an_earlier_deadline_holds_for_connecting_too(names: Names, black_holes: list[tuple[str, int]]) -> None:
    names.addresses = black_holes
    outcome, seconds = create(client(f"https://{NAME}"), seconds=1.5)
    assert isinstance(outcome, Unavailable)
    assert seconds < 1.5 + LATE


def test_connecting_takes_5_seconds_over_all_addresses_of_a_proxy(
    names: Names, black_holes: list[tuple[str, int]]
) -> None:
    names.addresses = black_holes
    outcome, seconds = create(client("https://localhost", proxy=f"http://{NAME}:3128"))
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "PROXY_FAILED"
    assert 4.5 < seconds < 5 + LATE


def test_a_proxys_name_that_is_not_resolved_in_time_is_unavailable(names: Names) -> None:
    names.answers.clear()
    outcome, seconds = create(client("https://localhost", proxy=f"http://{NAME}:3128"))
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "PROXY_FAILED"
    assert "not resolved in time" in outcome.problem.message
    assert 4.5 < seconds < 5 + LATE


def test_a_tunnel_has_only_what_connecting_left(names: Names, black_holes: list[tuple[str, int]]) -> None:
    with ConnectProxy(b"") as silent:
        names.addresses = [*black_holes[:3], silent.address]
        outcome, seconds = create(client("https://localhost", proxy=f"http://{NAME}:3128"))
        assert isinstance(outcome, Unavailable)
        assert len(silent.heads) == 1
        assert 4.5 < seconds < 5 + LATE


def test_an_earlier_deadline_holds_for_the_tunnel_too() -> None:
    with ConnectProxy(b"") as silent:
        outcome, seconds = create(client("https://localhost", proxy=silent.url), seconds=1.5)
        assert isinstance(outcome, Unavailable)
        assert seconds < 1.5 + LATE
