"""The token: what a secret may hold, its cache, and what happens when Commvault refuses it."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.stub import Stubber

from rds_snap_backup.commvault.credentials import Credentials, ca_certificates
from rds_snap_backup.commvault.outcomes import Scheduled, Unauthorized
from rds_snap_backup.commvault.secret import Secret
from rds_snap_backup.commvault.token import Pair, Token
from rds_snap_backup.problems import Problem

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:token"
CANARY = "QSDK 3canary0000fake1111token2222"
REFUSED = Unauthorized(Problem("5", "Access denied", "hint"))
DONE = Scheduled(402)


class Wire:
    """Answers each token as Commvault would, and keeps what it was given."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = accepted
        self.tokens: list[str] = []

    def __call__(self, token: str) -> Scheduled | Unauthorized:
        self.tokens.append(token)
        return DONE if token in self.accepted else REFUSED


type Holding = Callable[..., Credentials]
CLOCK = [1_900_000_000.0]


def ask(credentials: Credentials, call: Callable[[str], Any]) -> Any:
    """Call with the token; nothing is renewed."""
    return credentials.authorized(call, never_present, time.monotonic() + 30)


def never_present(_pair: Pair, _deadline: float) -> Any:
    raise AssertionError("a pair was presented")


@pytest.fixture
def secret() -> Iterator[Holding]:
    """Make credentials whose secret is read as these values, one a reading; all of them must be read."""
    client = boto3.client("secretsmanager")
    with Stubber(client) as stubber:

        def holding(*values: Any) -> Credentials:
            for value in values:
                match value:
                    case str():
                        answer = {"ARN": ARN, "SecretString": value}
                        stubber.add_response("get_secret_value", answer, {"SecretId": ARN})
                    case bytes():
                        stubber.add_response("get_secret_value", {"ARN": ARN, "SecretBinary": value}, {"SecretId": ARN})
                    case Exception() as error:
                        stubber.add_client_error("get_secret_value", str(error), "no")
            return Credentials(Secret(ARN, client, lambda: CLOCK[0]), "test")

        yield holding
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (CANARY, CANARY),
        (f"{CANARY}\n", CANARY),
        (f" \t{CANARY}\r\n\n", CANARY),
        ("Bearer abc.def", "Bearer abc.def"),
        (json.dumps({"token": CANARY}), CANARY),
        (json.dumps({"token": f"{CANARY}\n", "user": "x"}, indent=2) + "\n", CANARY),
        ('"quoted"', '"quoted"'),
        ("a", "a"),
    ],
)
def test_a_token_is_sent_as_it_is_but_for_blanks_around_it(secret: Holding, value: str, token: str) -> None:
    wire = Wire(token)
    assert ask(secret(value), wire) == DONE
    assert wire.tokens == [token]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (" \n", "SECRET_EMPTY"),
        ('{"token": ""}', "SECRET_EMPTY"),
        ('{"token": " \\n"}', "SECRET_EMPTY"),
        (b"binary", "SECRET_EMPTY"),
        ("{}", "SECRET_WITHOUT_TOKEN"),
        (json.dumps({"Token": CANARY}), "SECRET_WITHOUT_TOKEN"),
        ('{"token": null}', "SECRET_WITHOUT_TOKEN"),
        ('{"token": 7}', "SECRET_WITHOUT_TOKEN"),
        (json.dumps({"token": [CANARY]}), "SECRET_WITHOUT_TOKEN"),
        (f'{{"token": "{CANARY}"', "SECRET_WITHOUT_TOKEN"),
        (f"{CANARY}\r\nX-Injected: yes", "SECRET_WITHOUT_TOKEN"),
        (json.dumps({"token": f"{CANARY}\nX: y"}), "SECRET_WITHOUT_TOKEN"),
        (f"{CANARY}\x00", "SECRET_WITHOUT_TOKEN"),
        (f"{CANARY}\x7f", "SECRET_WITHOUT_TOKEN"),
        (f"{CANARY}ü", "SECRET_WITHOUT_TOKEN"),
        (f"{CANARY}\u2028x", "SECRET_WITHOUT_TOKEN"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_secret_without_a_usable_token_is_unauthorized_and_says_nothing_of_its_value(
    secret: Holding, value: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("rds_snap_backup", "aws_lambda_powertools"):
        caplog.set_level(logging.DEBUG, name)
    wire = Wire(CANARY)
    # It is read again past the cache: it may have been filled a moment ago.
    credentials = secret(value, value)
    outcome = ask(credentials, wire)
    assert isinstance(outcome, Unauthorized)
    assert outcome.problem.code == code
    assert ARN in outcome.problem.message
    assert "secret" in outcome.problem.hint
    assert wire.tokens == []
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("botocore"))
    assert CANARY not in f"{outcome!r} {outcome!s} {credentials!r} {ours}"


def test_a_secret_that_is_an_empty_text_is_unauthorized() -> None:
    # Secrets Manager itself keeps none, so the stubber lets none pass; emulators do.
    client = boto3.client("secretsmanager")
    body = json.dumps({"ARN": ARN, "SecretString": ""}).encode()
    answer: Any = AWSResponse("https://fake", 200, HTTPHeaders(), BytesIO())
    answer._content = body
    client.meta.events.register("before-send.secrets-manager.GetSecretValue", lambda **_: answer)
    wire = Wire()
    outcome = ask(Credentials(Secret(ARN, client), "test"), wire)
    assert isinstance(outcome, Unauthorized)
    assert outcome.problem.code == "SECRET_EMPTY"
    assert wire.tokens == []


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "InternalServiceError"]
)
def test_a_secret_that_cannot_be_read_is_unauthorized(secret: Holding, code: str) -> None:
    wire = Wire(CANARY)
    outcome = ask(secret(Exception(code), Exception(code)), wire)
    assert isinstance(outcome, Unauthorized)
    assert outcome.problem.code == "SECRET_UNREADABLE"
    assert ARN in outcome.problem.message
    assert code in outcome.problem.message
    assert wire.tokens == []


@pytest.mark.parametrize("first", [" ", "{}", Exception("ResourceNotFoundException")])
def test_a_secret_that_was_just_filled_is_used_at_once(secret: Holding, first: Any) -> None:
    wire = Wire(CANARY)
    assert ask(secret(first, CANARY), wire) == DONE
    assert wire.tokens == [CANARY]


def test_a_refused_token_that_has_changed_is_tried_once_more(secret: Holding) -> None:
    credentials, wire = secret("old", "new"), Wire("new")
    assert ask(credentials, wire) == DONE
    # The new one is what is cached.
    assert ask(credentials, wire) == DONE
    assert wire.tokens == ["old", "new", "new"]


def test_a_changed_token_that_is_refused_too_is_not_tried_again(secret: Holding) -> None:
    wire = Wire()
    assert ask(secret("old", "new"), wire) == REFUSED
    assert wire.tokens == ["old", "new"]


@pytest.mark.parametrize("again", ["old", "old\n", '{"token": "old"}', " ", "{}", Exception("InternalServiceError")])
def test_a_refused_token_that_has_not_changed_is_not_tried_again(secret: Holding, again: Any) -> None:
    wire = Wire()
    assert ask(secret("old", again), wire) == REFUSED
    assert wire.tokens == ["old"]


def test_any_other_outcome_reads_the_secret_once(secret: Holding) -> None:
    credentials = secret(CANARY)
    assert [ask(credentials, str.upper) for _ in range(3)] == [CANARY.upper()] * 3


def test_the_token_is_cached_for_five_minutes(secret: Holding) -> None:
    credentials, wire = secret("first", "second"), Wire("first", "second")
    for seconds in (0, 299, 2):
        CLOCK[0] += seconds
        assert ask(credentials, wire) == DONE
    assert wire.tokens == ["first", "first", "second"]


def test_the_preflight_reads_past_the_cache(secret: Holding) -> None:
    credentials = secret(CANARY, " ", CANARY)
    assert ask(credentials, Wire(CANARY)) == DONE
    empty = credentials.read(past_cache=True)
    assert isinstance(empty, Unauthorized)
    assert empty.problem.code == "SECRET_EMPTY"
    assert isinstance(credentials.read(past_cache=True), Token)


# The private CA.


def test_no_ca_is_read_where_none_is_named() -> None:
    client = boto3.client("ssm")
    with Stubber(client):
        assert ca_certificates("", client) is None


def test_the_ca_is_read_and_decrypted() -> None:
    client = boto3.client("ssm")
    with Stubber(client) as stubber:
        parameter = {"Name": "/ca", "Value": "a PEM bundle"}
        stubber.add_response("get_parameter", {"Parameter": parameter}, {"Name": "/ca", "WithDecryption": True})
        assert ca_certificates("/ca", client) == "a PEM bundle"


@pytest.mark.parametrize("code", ["ParameterNotFound", "AccessDeniedException"])
def test_a_ca_that_cannot_be_read_is_named(code: str) -> None:
    client = boto3.client("ssm")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_parameter", code)
        with pytest.raises(LookupError, match=f"CaCertificateParameter /ca cannot be read.*{code}"):
            ca_certificates("/ca", client)


# What is counted.


@pytest.mark.parametrize(
    ("values", "accepted", "counted"),
    [
        (("old",), ("old",), 0),
        (("old", "new"), ("new",), 0),
        (("old", "old"), (), 1),
        (("old", "new"), (), 1),
        (("{", "{"), (), 1),
    ],
)
def test_a_token_that_cannot_be_used_is_counted_once(
    secret: Holding,
    capsys: pytest.CaptureFixture[str],
    values: tuple[str, ...],
    accepted: tuple[str, ...],
    counted: int,
) -> None:
    ask(secret(*values), Wire(*accepted))
    assert capsys.readouterr().out.count('"TokenRefused":[1.0]') == counted
