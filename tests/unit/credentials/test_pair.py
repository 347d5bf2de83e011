"""The secret's value, and the pair in an answer to a renewal."""

import json
from typing import Any

import pytest

from rds_snap_backup.credentials.pair import MAX_TOKEN, Malformed, Pair, Token, read_token, successor

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/backups-2/0f3c-11"
ACCESS, REFRESH = "eyFake.access/1+=", "fake-refresh-1"
PAIR = {"accessToken": ACCESS, "refreshToken": REFRESH}


def pair_of(value: Any) -> Pair:
    token = read_token(value if isinstance(value, str) else json.dumps(value))
    assert isinstance(token, Token)
    assert token.pair is not None
    return token.pair


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("QSDK abc", "QSDK abc"),
        ("raw-token\n", "raw-token"),
        ('{"token": " QSDK abc\\n"}', "QSDK abc"),
        (json.dumps(PAIR), f"Bearer {ACCESS}"),
        (json.dumps(PAIR | {"token": "old"}), f"Bearer {ACCESS}"),
        (json.dumps(PAIR | {"accessToken": f"Bearer {ACCESS}"}), f"Bearer {ACCESS}"),
        (json.dumps(PAIR | {"accessToken": f" bearer  {ACCESS}\n"}), f"Bearer {ACCESS}"),
    ],
)
def test_the_header_is_the_plain_token_or_the_bearer_of_the_pair(value: str, header: str) -> None:
    token = read_token(value)
    assert isinstance(token, Token)
    assert token.header == header
    assert (token.pair is None) == ("access" not in value)


def test_a_pair_has_its_times_and_keeps_what_is_not_ours() -> None:
    more = {"tokenExpiry": 1900000000, "renewableUntil": "1950000000", "renewedBy": STACK, "owner": {"team": "a"}}
    pair = pair_of(PAIR | more)

    assert (pair.expiry, pair.renewable_until, pair.renewed_by) == (1900000000, 1950000000, STACK)
    assert json.loads(pair.to_text()) == PAIR | more | {"renewableUntil": 1950000000}


@pytest.mark.parametrize(
    "value",
    [
        *("", "{", "{}", '{"accessToken": "eyFake"}', '{"refreshToken": "eyFake"}', '{"token": ["eyFake"]}'),
        *(json.dumps({"accessToken": access, "refreshToken": "eyFake"}) for access in (7, "", "Bearer ")),
        *(json.dumps({"accessToken": f"eyFake{more}", "refreshToken": "b"}) for more in ("\r\nX: y", "ü")),
        '{"accessToken": "eyFake", "refreshToken": "\\n"}',
        '{"token": "' + "eyFake" * MAX_TOKEN + '"}',
        *('{"a":' * 100_000, '{"a": ' + "9" * 5000 + "}"),
    ],
    ids=lambda value: value[:40],
)
def test_what_holds_no_token_is_described_without_its_value(value: str) -> None:
    malformed = read_token(value)
    assert isinstance(malformed, Malformed)
    assert malformed.code in {"SECRET_EMPTY", "SECRET_WITHOUT_TOKEN"}
    assert "eyFake" not in f"{malformed}"


ANSWER = {
    "accessToken": "new-access",
    "refreshToken": "new-refresh",
    "renewableUntilTimestamp": 1950000000,
    "tokenExpiryTimestamp": 1900001800,
    "refreshTokenExpiryTimestamp": 1901211400,
}


@pytest.mark.parametrize("envelope", [None, "tokenInfo", "data", "response"])
def test_an_answer_makes_the_next_pair_with_times_of_our_clock(envelope: str | None) -> None:
    new = successor(
        Pair(ACCESS, REFRESH, others={"owner": "a"}), {envelope: ANSWER} if envelope else ANSWER, 90.0, STACK
    )
    assert new == Pair("new-access", "new-refresh", 1900001710, 1949999910, STACK, {"owner": "a"})
    # What an answer leaves out is kept, or not known.
    old = Pair(ACCESS, REFRESH, expiry=1.0, renewable_until=1950000000.0)
    assert successor(old, {"accessToken": "new"}, 0, STACK) == Pair("new", REFRESH, None, 1950000000.0, STACK, {})


@pytest.mark.parametrize(
    "answer",
    [
        *(None, {}, [], "text", 7, {"errorCode": 5}, {"data": [ANSWER]}),
        *({"accessToken": access} for access in ("", 7)),
        {"accessToken": ACCESS, "refreshToken": "new"},
        {"accessToken": "new", "refreshToken": 7},
        {"accessToken": "new\n\x00", "refreshToken": "b"},
    ],
    ids=str,
)
def test_an_answer_without_a_new_pair_makes_none(answer: Any) -> None:
    assert successor(Pair(ACCESS, REFRESH), answer, 0, STACK) is None


@pytest.mark.parametrize(
    ("value", "renewed_by"),
    [
        (STACK, STACK),
        *(
            (name, "unknown")
            for name in ("backups", STACK.replace("backups-2", "a" * 129), f"{STACK}\n", "secret.access")
        ),
        *((name, "") for name in ("", 7)),
    ],
)
def test_a_pair_is_renewed_by_a_stack_that_is_named_by_its_arn(value: Any, renewed_by: str) -> None:
    assert pair_of(PAIR | {"renewedBy": value}).renewed_by == renewed_by


NO_TIMES: list[Any] = [None, True, 0, -1, 1.9e12, 1e400, float("nan"), "1e9", "", "²", "9" * 5000, [1], {"a": 1}]


@pytest.mark.parametrize("time", NO_TIMES, ids=lambda time: str(time)[:9])
def test_a_time_that_is_none_is_not_known(time: Any) -> None:
    assert pair_of(PAIR | {"tokenExpiry": time, "renewableUntil": time}).expiry is None
