"""The proxy for Commvault: a tunnel that sees no token, bounded in time, and used for nothing but Commvault."""

import logging

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from tests.integration.clients import CANARY, client_of, create, within
from tests.integration.world import World, scheduled
from tests.proxy import ESTABLISHED, ConnectProxy

PASSWORD = "fake-password-of-the-proxy"


def authority(server: CommServe) -> str:
    return f"localhost:{server.port}"


def test_the_tunnel_is_tls_from_end_to_end(server: CommServe) -> None:
    with ConnectProxy() as proxy:
        client = client_of(server, proxy.url)
        assert isinstance(create(client), Submitted)
        assert isinstance(client.get("/Client", within(5)), JsonDocument)
    assert proxy.connects == [authority(server)]  # both requests by one connection
    assert [request.header("Authtoken") for request in server.requests] == [CANARY] * 2
    assert server.requests[0].header("Host") == authority(server)
    assert proxy.seen.startswith(b"\x16\x03")  # a TLS handshake
    for text in (proxy.heads[0].encode(), proxy.seen):
        assert b"Authtoken" not in text
        assert CANARY.encode() not in text


def test_an_impostor_behind_the_proxy_gets_no_token(server: CommServe) -> None:
    with CommServe(token=CANARY) as impostor, ConnectProxy(to=("127.0.0.1", impostor.port)) as proxy:
        outcome = create(client_of(server, proxy.url))
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "TLS_UNTRUSTED"
    assert f"through the proxy {proxy.url}" in outcome.problem.message
    assert not impostor.requests
    assert not server.requests


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication"),
        (b"HTTP/1.1 503 a\x1b[31mred\x07line\r\n\r\n", "503 a [31mred line"),
        (f"HTTP/1.1 403 {CANARY}\r\n\r\n".encode(), "403 QSDK ***"),
        (b"nonsense\r\n\r\n", "nonsense"),
        (ESTABLISHED[:-2] + b"X: y\r\n" * 101 + b"\r\n", "more than 100 headers"),
        (ESTABLISHED[:-2] + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "more than 65536 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refused_connect_is_unavailable_and_names_the_proxy(
    server: CommServe, caplog: pytest.LogCaptureFixture, answer: bytes, named: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with ConnectProxy(answer) as proxy:
        client = client_of(server, proxy.url)
        outcome = create(client)
        asked = client.get("/Client", within(30))
    assert isinstance(outcome, Unavailable)
    assert isinstance(asked, QueryFailed)
    for problem in (outcome.problem, asked.problem):
        assert problem.code == "PROXY_FAILED"
        assert proxy.url in problem.message
        assert named in problem.message
        assert "HttpsProxy" in problem.hint
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("botocore")]
    assert CANARY not in f"{outcome} {asked} {ours}"
    assert proxy.connects == [authority(server)] * 2
    assert not proxy.seen
    assert not server.requests


def test_an_endless_answer_of_the_proxy_ends(server: CommServe) -> None:
    with ConnectProxy(ESTABLISHED[:-2], b"X: y\r\n", pause=0.2, is_endless=True) as proxy:
        outcome = create(client_of(server, proxy.url), seconds=2)
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "PROXY_FAILED"
    assert not server.requests


@pytest.mark.parametrize(
    "form",
    [
        f"http://user:{PASSWORD}@127.0.0.1:{{port}}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}/path",
        "http://127.0.0.1:{port}\r\nX: y",
    ],
)
def test_what_is_not_a_proxys_address_is_unavailable_and_not_shown(server: CommServe, form: str) -> None:
    with ConnectProxy() as proxy:
        setting = form.format(port=proxy.address[1])
        outcome = create(client_of(server, setting))
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "PROXY_INVALID"
    assert "http://HOST:PORT" in outcome.problem.hint
    for secret in (PASSWORD, "user:", str(proxy.address[1])):
        assert secret not in repr(outcome)
    assert not proxy.heads
    assert not server.requests


def test_the_environments_proxies_are_not_ours(server: CommServe, monkeypatch: pytest.MonkeyPatch) -> None:
    with ConnectProxy() as other, ConnectProxy() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        assert isinstance(create(client_of(server, "")), Submitted)
        assert not other.heads
        monkeypatch.setenv("NO_PROXY", "*")
        assert isinstance(create(client_of(server, proxy.url)), Submitted)
        assert not other.heads
        assert proxy.connects == [authority(server)]


def test_aws_is_not_reached_through_the_proxy(aws: Emulator, server: CommServe) -> None:
    with ConnectProxy() as proxy:
        world = World(aws, server, COMMVAULT_PROXY=proxy.url)
        world.deliver(scheduled("one"), world.function())
    assert proxy.connects == [authority(server)]
    assert len(proxy.heads) == 1
