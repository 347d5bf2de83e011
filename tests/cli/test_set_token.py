"""A token is asked for without echo, validated, and stored as the functions read it; old versions lose their labels."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from local.tools import ROOT
from rds_snap_backup.credentials.pair import Token, read_token
from rds_snap_backup_cli import set_token
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:token-1"
ACCESS, REFRESH = "fake-access/1+=", "fake-refresh/1+="
NEW, OLD, OLDER = ("n" * 32, "o" * 32, "p" * 32)

type Typed = Callable[..., None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, wire: AwsWire) -> Typed:
    """A terminal at which these answers are typed; AWS accepts any secret."""
    wire.stack(TokenSecretArn=ARN)
    wire.answer("PutSecretValue", {"ARN": ARN})

    def types(*answers: str) -> None:
        left = iter(answers)
        monkeypatch.setattr(set_token, "getpass", lambda _: next(left))

    return types


@pytest.mark.parametrize(
    ("answers", "header", "refresh"),
    [
        ((ACCESS, REFRESH), f"Bearer {ACCESS}", REFRESH),
        ((f"Bearer {ACCESS}", f" {REFRESH}\n"), f"Bearer {ACCESS}", REFRESH),
        (("QSDK abc", ""), "QSDK abc", None),
    ],
)
def test_the_functions_read_the_stored_value(
    cli: Cli, wire: AwsWire, typed: Typed, *, answers: tuple[str, str], header: str, refresh: str | None
) -> None:
    typed(*answers)
    done = cli("token", "prod", "--region", "eu-west-1")
    assert (done.status, "rds-snap-backup check prod --region eu-west-1" in done.out) == (Exit.OK, True)
    (stored,) = wire.asked("PutSecretValue")
    read = read_token(stored["SecretString"])
    assert isinstance(read, Token)
    assert (stored["SecretId"], read.header, read.pair and read.pair.refresh) == (ARN, header, refresh)
    assert not any(secret in done.out + done.err for secret in (ACCESS, REFRESH, "QSDK abc"))


def test_an_error_of_aws_that_quotes_the_token_does_not_show_it(cli: Cli, wire: AwsWire, typed: Typed) -> None:
    typed(ACCESS, REFRESH)
    quoted = f"1 validation error: Value '{json.dumps({'accessToken': ACCESS})}' ({REFRESH.encode().hex()})"
    wire.fail("PutSecretValue", 400, "ValidationException", quoted)
    done = cli("token", "prod")
    done.could_not_run("PutSecretValue failed (ValidationException): 1 validation error")
    assert not any(secret in done.err for secret in (ACCESS, REFRESH, REFRESH.encode().hex()))


@pytest.mark.parametrize(
    "answers", [("",), ("a\x00b",), ("ü",), ("x" * 8193,), (ACCESS, "b\tc"), (ACCESS, ACCESS)], ids=repr
)
def test_an_entry_that_cannot_be_a_token_is_not_stored(
    cli: Cli, wire: AwsWire, typed: Typed, answers: tuple[str, ...]
) -> None:
    typed(*answers)
    cli("token", "prod").could_not_run("Nothing was stored.")
    assert wire.operations == ["DescribeStacks"]


def test_old_versions_lose_their_labels(cli: Cli, wire: AwsWire) -> None:
    wire.stack(TokenSecretArn=ARN)
    stages = {NEW: ["AWSCURRENT", "RENEWED"], OLD: ["AWSPREVIOUS", "mine"], OLDER: ["RENEWED-1"]}
    wire.answer("DescribeSecret", {"VersionIdsToStages": stages})
    wire.answer("UpdateSecretVersionStage", {})
    assert "2 old versions of the secret can no longer be read." in cli("token", "prod", "--revoked").out
    asked = wire.asked("UpdateSecretVersionStage")
    removed = [(OLD, "AWSPREVIOUS"), (OLD, "mine"), (OLDER, "RENEWED-1")]
    assert [(each["RemoveFromVersionId"], each["VersionStage"]) for each in asked] == removed
    assert not any("MoveToVersionId" in each for each in asked)


def test_without_a_terminal_nothing_is_asked(wire: AwsWire, typed: Typed) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rds_snap_backup_cli", "token", "prod"],
        input=f"{ACCESS}\n",
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, "no terminal" in done.stderr) == (Exit.COULD_NOT_RUN, True)
    assert ACCESS not in done.stdout + done.stderr
