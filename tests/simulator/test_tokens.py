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


def test_an_access_token_is_accepted_for_half_an_hour(server: CommServe, wire: Wire) -> None:
    access = server.issue_pair()["accessToken"]
    seen = [(status(wire, f"Bearer {access}"), status(wire, access))]
    for pause in (1799, 1):
        server.advance(pause)
        seen.append((status(wire, f"Bearer {access}"), status(wire, access)))

    assert seen == [(200, 200), (200, 200), (401, 401)]
    answer = wire.send("GET", "/Client", headers={"Authtoken": f"Bearer {access}"})
    assert answer.json() == {"errorMessage": "Access denied", "errorCode": 5}


def test_a_login_token_takes_no_prefix(server: CommServe, wire: Wire) -> None:
    assert (status(wire, server.token), status(wire, f"Bearer {server.token}")) == (200, 401)


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


def test_what_is_of_no_chain_is_refused_and_deletes_nothing(server: CommServe, wire: Wire) -> None:
    pair = server.issue_pair()

    assert renew(wire, {"accessToken": "fake-1", "refreshToken": "fake-2"}).status == 401
    assert renew(wire, pair, "Bearer fake-1").status == 401
    assert wire.send("POST", RENEW, {"accessToken": pair["accessToken"]}).status == 400
    assert renew(wire, pair).status == 200


@pytest.mark.parametrize(("days", "expected"), [(13, 200), (14.02, 200), (15, 401)])
def test_a_pair_is_renewed_until_14_days_after_its_expiry(
    server: CommServe, wire: Wire, days: float, expected: int
) -> None:
    pair = server.issue_pair()
    server.advance(days * DAY)

    assert renew(wire, pair).status == expected
    assert not server.tokens.deleted


def test_no_pair_is_renewed_after_its_date(server: CommServe, wire: Wire) -> None:
    pair = server.issue_pair(renewable=DAY)
    server.advance(DAY - 1)
    pair = renew(wire, pair).json()
    server.advance(2)

    assert renew(wire, pair).status == 401


def test_a_renewal_whose_answer_is_lost_took_place(server: CommServe, wire: Wire) -> None:
    pair = server.issue_pair()
    server.fault("reset_after", path=RENEW)
    with pytest.raises(Exception, match="Connection"):
        renew(wire, pair)

    assert server.tokens.pair != pair
    assert renew(wire, pair).status == 401


def test_a_front_end_that_sleeps_answers_503_once(server: CommServe, wire: Wire) -> None:
    server.front_end_sleeps_after = 600
    seen = [status(wire, server.token)]
    server.advance(601)
    seen += [wire.create().status, wire.create().status]

    assert seen == [200, 503, 200]
    assert len(server.jobs) == 1


def test_pairs_are_not_kept_with_the_requests(server: CommServe, wire: Wire) -> None:
    pair = server.issue_pair()
    renew(wire, pair)

    shown = str(server.renewals[0].as_dict())
    assert not any(secret in shown for secret in pair.values())


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", "fake-a/+="),
        ("json", "fake-a\\/\\u002b="),
        ("url", "fake-a%2F%2B%3D"),
        ("hex", "66616b652d612f2b3d"),
        ("upper", "FAKE-A/+="),
        ("lower", "fake-a/+="),
        ("base64", "ZmFrZS1hLys9"),
        ("base64+1", "OmZha2UtYS8rPQ=="),
        ("base64+2", "OjpmYWtlLWEvKz0="),
    ],
)
def test_what_was_sent_is_repeated(server: CommServe, wire: Wire, form: str, expected: str) -> None:
    server.fault("echo", path="/Client", form=form)

    answer = wire.send("GET", "/Client", headers={"Authtoken": "fake-a/+="})
    assert answer.json()["errorMessage"] == f"Refused: {expected}"


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
