"""The token without renewals: the secret's value, its cache, and a token that Commvault refuses."""

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
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.credentials.tokens import TokenAuth

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


# The private CA.


@pytest.mark.parametrize("code", ["ParameterNotFound", "AccessDeniedException"])
def test_a_ca_that_cannot_be_read_is_named(code: str) -> None:
    client = boto3.client("ssm")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_parameter", code)
        with pytest.raises(LookupError, match=f"CaCertificateParameter /ca cannot be read.*{code}"):
            ca_certificates("/ca", client)
