"""The simulator's access tokens: they expire, are renewed, and a chain ends as Commvault ends it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cvpysdk.commcell import Commcell
from cvpysdk.exception import SDKException
from cvpysdk.security.user import User

from local.commserve import CommServe
from tests.simulator.client import Wire

DAY = 24 * 3600
RENEW = "/V4/AccessToken/Renew"


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe() as running:
        running.frozen = True
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


def renew(wire: Wire, pair: dict[str, Any], header: str | None = None) -> Any:
    presented = {name: pair[name] for name in ("accessToken", "refreshToken")}
    authorization = header or f"Bearer {pair['accessToken']}"
    return wire.send("POST", RENEW, presented, {"Authtoken": "", "Authorization": authorization})


def status(wire: Wire, header: str) -> int:
    return wire.send("GET", "/Client", headers={"Authtoken": header}).status


def test_a_pair_is_renewed_and_the_answer_says_until_when(server: CommServe, wire: Wire) -> None:
    server.clock_offset = 90
    old = server.issue_pair()
    server.advance(3600)
    now = server.clock.shown()
    new = renew(wire, old).json()

    assert {"accessToken": new["accessToken"], "refreshToken": new["refreshToken"]} == server.tokens.pair != old
    assert new["tokenExpiryTimestamp"] == int(now + 1800)
    assert new["refreshTokenExpiryTimestamp"] == int(now + 1800 + 14 * DAY)
    assert new["renewableUntilTimestamp"] == int(now - 3600 + 90 * DAY)
    assert (status(wire, f"Bearer {new['accessToken']}"), status(wire, f"Bearer {old['accessToken']}")) == (200, 401)


@pytest.mark.parametrize("presented", ["earlier", "mixed", "mixed with the latest"])
def test_another_pair_than_the_latest_deletes_the_chain(server: CommServe, wire: Wire, presented: str) -> None:
    first = server.issue_pair()
    second = renew(wire, first).json()
    wrong = {
        "earlier": first,
        "mixed": first | {"accessToken": second["accessToken"]},
        "mixed with the latest": second | {"refreshToken": "fake"},
    }[presented]

    assert renew(wire, wrong).status == 401
    assert status(wire, f"Bearer {second['accessToken']}") == 401
    assert renew(wire, second).status == 401
    assert server.tokens.deleted


@pytest.mark.parametrize(("days", "expected"), [(13, 200), (14.02, 200), (15, 401)])
def test_a_pair_is_renewed_until_14_days_after_its_expiry(
    server: CommServe, wire: Wire, days: float, expected: int
) -> None:
    pair = server.issue_pair()
    server.advance(days * DAY)

    assert renew(wire, pair).status == expected
    assert not server.tokens.deleted


def test_commvaults_own_sdk_renews_a_pair(server: CommServe, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(server.ca_pem)
    old = server.issue_pair()
    header = f"Bearer {old['accessToken']}"
    commcell = Commcell("localhost", authtoken=header, certificate_path=str(authority), web_service_url=server.url)
    user = User.__new__(User)  # its constructor asks for much that has nothing to do with tokens
    user._commcell_object = commcell

    new = user.renew_access_token(old["accessToken"], old["refreshToken"])
    assert server.tokens.pair.items() <= new.items()
    with pytest.raises(SDKException):
        user.renew_access_token(old["accessToken"], old["refreshToken"])
    assert server.tokens.deleted
