"""The simulator's access tokens: they expire, are renewed, and a chain ends as Commvault ends it."""

from pathlib import Path
from typing import Any

import pytest
from cvpysdk.exception import SDKException
from cvpysdk.security.user import User

from local.commserve import CommServe
from tests.simulator.client import Wire, log_in

DAY = 24 * 3600


def renew(wire: Wire, pair: dict[str, Any]) -> Any:
    presented = {name: pair[name] for name in ("accessToken", "refreshToken")}
    headers = {"Authtoken": "", "Authorization": f"Bearer {pair['accessToken']}"}
    return wire.send("POST", "/V4/AccessToken/Renew", presented, headers)


def status(wire: Wire, pair: dict[str, Any]) -> int:
    return wire.send("GET", "/Client", headers={"Authtoken": f"Bearer {pair['accessToken']}"}).status


def test_a_pair_is_renewed_and_the_answer_says_until_when(server: CommServe, wire: Wire) -> None:
    server.clock_offset = 90
    old = server.issue_pair()
    server.advance(3600)
    now = server.clock.shown()
    new = renew(wire, old).json()
    assert {name: new[name] for name in ("accessToken", "refreshToken")} == server.tokens.pair != old
    assert new["tokenExpiryTimestamp"] == int(now + 1800)
    assert new["refreshTokenExpiryTimestamp"] == int(now + 1800 + 14 * DAY)
    assert new["renewableUntilTimestamp"] == int(now - 3600 + 90 * DAY)
    assert (status(wire, new), status(wire, old)) == (200, 401)


@pytest.mark.parametrize("presented", ["earlier", "mixed", "mixed with the latest"])
def test_another_pair_than_the_latest_deletes_the_chain(server: CommServe, wire: Wire, presented: str) -> None:
    first = server.issue_pair()
    second = renew(wire, first).json()
    wrong = {
        "earlier": first,
        "mixed": first | {"accessToken": second["accessToken"]},
        "mixed with the latest": second | {"refreshToken": "fake"},
    }[presented]
    assert (renew(wire, wrong).status, status(wire, second), renew(wire, second).status) == (401, 401, 401)
    assert server.tokens.deleted


@pytest.mark.parametrize(("days", "expected"), [(13, 200), (14.02, 200), (15, 401)])
def test_a_pair_is_renewed_until_14_days_after_its_expiry(
    server: CommServe, wire: Wire, days: float, expected: int
) -> None:
    pair = server.issue_pair()
    server.advance(days * DAY)
    assert (renew(wire, pair).status, server.tokens.deleted) == (expected, False)


def test_commvaults_own_sdk_renews_a_pair(server: CommServe, tmp_path: Path) -> None:
    old = server.issue_pair()
    user = User.__new__(User)  # its constructor asks for much that has nothing to do with tokens
    user._commcell_object = log_in(server, tmp_path, f"Bearer {old['accessToken']}")
    new = user.renew_access_token(old["accessToken"], old["refreshToken"])
    assert server.tokens.pair.items() <= new.items()
    with pytest.raises(SDKException):
        user.renew_access_token(old["accessToken"], old["refreshToken"])
    assert server.tokens.deleted
