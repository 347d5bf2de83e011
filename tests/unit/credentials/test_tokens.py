"""The token without renewals: the secret's value, its cache, a token that Commvault refuses, and the next pair."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.commvault.answers import HttpRequest, HttpResponse
from rds_snap_backup.commvault.trust import ca_certificates
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.credentials.pair import MAX_TOKEN, Malformed, Pair, Token, read_token, successor
from rds_snap_backup.credentials.secret import Secret, Version
from rds_snap_backup.credentials.tokens import TokenAuth
from tests.property.model.aws import SSM
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:token"
CANARY = "QSDK 3canary0000fake1111token2222"
REQUEST = HttpRequest("GET", "/Job", {}, time.monotonic() + 30)
REFUSED = HttpResponse(401, {}, b'{"errorMessage": "Access denied", "errorCode": 5}')
DONE = HttpResponse(200, {}, b'{"taskId": 402}')


class Wire:
    """Sends a flow's requests: Commvault accepts some tokens. It records which it was given."""

    def __init__(self, *accepted: str, refusal: HttpResponse = REFUSED) -> None:
        self.accepted = accepted
        self.refusal = refusal
        self.tokens: list[str] = []

    def send(self, auth: TokenAuth) -> Any:
        flow = auth.send(REQUEST)
        try:
            request = next(flow)
            while True:
                self.tokens.append(request.headers["Authtoken"])
                request = flow.send(DONE if self.tokens[-1] in self.accepted else self.refusal)
        except StopIteration as end:
            return end.value


type Holding = Callable[..., TokenAuth]
CLOCK = [1_900_000_000.0]


@pytest.fixture
def secret() -> Iterator[Holding]:
    """Make the authentication by a secret that is read as these values, one a reading; all of them must be read."""
    client = boto3.client("secretsmanager")
    with Stubber(client) as stubber:

        def holding(*values: Any) -> TokenAuth:
            for value in values:
                if isinstance(value, Exception):
                    stubber.add_client_error("get_secret_value", str(value), "no")
                else:
                    field = "SecretBinary" if isinstance(value, bytes) else "SecretString"
                    stubber.add_response("get_secret_value", {"ARN": ARN, field: value}, {"SecretId": ARN})
            return TokenAuth(Secret(ARN, client, lambda: CLOCK[0]), "test")

        yield holding
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *((value, "SECRET_EMPTY") for value in (" \n", '{"token": " \\n"}', b"binary")),
        (json.dumps({"token": [CANARY]}), "SECRET_WITHOUT_TOKEN"),
        (f'{{"token": "{CANARY}"', "SECRET_WITHOUT_TOKEN"),
        *((f"{CANARY}{more}", "SECRET_WITHOUT_TOKEN") for more in ("\r\nX-Injected: yes", "\x7f", "\u2028x")),
        *((Exception(code), "SECRET_UNREADABLE") for code in ("ResourceNotFoundException", "DecryptionFailure")),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_secret_without_a_usable_token_is_unauthorized_and_its_value_is_not_shown(
    secret: Holding, value: Any, code: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wire = Wire(CANARY)
    # It is read again past the cache: it may have been filled a moment ago.
    auth = secret(value, value, value)
    outcome = wire.send(auth)
    assert isinstance(outcome, Unauthorized)
    assert auth.unusable_secret() == outcome.problem
    assert outcome.problem.code == code
    assert ARN in outcome.problem.message
    assert wire.tokens == []
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("botocore"))
    printed = capsys.readouterr().out
    assert CANARY not in f"{outcome!r} {auth!r} {ours} {printed}"
    assert printed.count('"TokenRefused":[1.0]') == 1


@pytest.mark.parametrize(
    ("values", "accepted", "tokens"),
    [
        # Filled or changed a moment ago: used at once, and once more only.
        ((" ", "new"), ("new",), ["new"]),
        ((Exception("InternalServiceError"), "new"), ("new",), ["new"]),
        (("old", "new"), ("new",), ["old", "new"]),
        (("old", "new"), (), ["old", "new"]),
        # Not changed, or not readable: not tried again.
        (("old", "old\n"), (), ["old"]),
        (("old", '{"token": "old"}'), (), ["old"]),
        (("old", "{"), (), ["old"]),
        (("old", Exception("InternalServiceError")), (), ["old"]),
    ],
    ids=str,
)
def test_a_token_is_replaced_only_by_another_one(
    secret: Holding, capsys: pytest.CaptureFixture[str], values: Any, accepted: tuple[str, ...], tokens: list[str]
) -> None:
    wire = Wire(*accepted)
    assert wire.send(secret(*values)) == (DONE if accepted else REFUSED)
    assert wire.tokens == tokens
    assert capsys.readouterr().out.count('"TokenRefused":[1.0]') == (not accepted)


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(401, {}, b'{"jobIds": ["1354"]}'),
        HttpResponse(200, {}, b'{"jobIds": ["1354"], "errorCode": 5}'),
        HttpResponse(403, {}, b""),
        HttpResponse(429, {}, b'{"errorCode": 5}'),
        HttpResponse(500, {}, b""),
        HttpResponse(401, {}, b"<html>Scheduled Maintenance</html>"),
    ],
    ids=lambda answer: f"{answer.status} {answer.body}",
)
def test_no_other_answer_is_a_refusal_of_the_token(
    secret: Holding, answer: HttpResponse, capsys: pytest.CaptureFixture[str]
) -> None:
    # A request that may have started jobs is never sent again.
    wire = Wire(refusal=answer)
    assert wire.send(secret(CANARY)) == answer
    assert wire.tokens == [CANARY]
    assert "TokenRefused" not in capsys.readouterr().out


def test_the_token_is_cached_for_five_minutes(secret: Holding) -> None:
    auth, wire = secret("first", "second"), Wire("first", "second")
    for seconds in (0, 299, 2):
        CLOCK[0] += seconds
        assert wire.send(auth) == DONE
    assert wire.tokens == ["first", "first", "second"]


# ---- The private CA


def test_a_ca_that_cannot_be_read_is_named() -> None:
    ssm = clients({"ssm": SSM(Kernel(), {})}).ssm
    with pytest.raises(LookupError, match=r"CaCertificateParameter /ca cannot be read.*ParameterNotFound"):
        ca_certificates("/ca", ssm)


# ---- The secret's value, and the pair in an answer to a renewal

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


def test_nothing_that_holds_a_token_shows_it() -> None:
    request = REQUEST.with_header("Authtoken", CANARY)
    assert CANARY not in repr((Version("id", CANARY, 0), Token(CANARY), Pair(CANARY, CANARY), request))


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
