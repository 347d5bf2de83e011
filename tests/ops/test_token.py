"""A token is asked for without echo, validated, and stored as the functions read it."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from local.tools import ROOT
from ops import token
from ops.command import Exit
from rds_snap_backup.credentials.pair import Token, read_token
from tests.ops.wire import AwsWire

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:token-1"
ACCESS, REFRESH = "fake-access/1+=", "fake-refresh/1+="

type Typed = Callable[..., None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, wire: AwsWire) -> Typed:
    """A terminal at which these answers are typed; AWS accepts any secret."""
    wire.stack(TokenSecretArn=ARN)
    wire.answers["PutSecretValue"] = lambda _: (200, json.dumps({"ARN": ARN}))

    def types(*answers: str) -> None:
        left = iter(answers)
        monkeypatch.setattr(token, "getpass", lambda _: next(left))

    return types


@pytest.mark.parametrize(
    ("answers", "header"),
    [
        ((ACCESS, REFRESH), f"Bearer {ACCESS}"),
        ((f"Bearer {ACCESS}", f" {REFRESH}\n"), f"Bearer {ACCESS}"),
        (("QSDK abc", ""), "QSDK abc"),
    ],
)
def test_what_is_stored_is_what_the_functions_read(
    wire: AwsWire, typed: Typed, capsys: pytest.CaptureFixture[str], answers: tuple[str, str], header: str
) -> None:
    typed(*answers)
    assert token.main(["prod"]) == Exit.OK

    operation, stored, _ = wire.calls[-1]
    assert (operation, stored["SecretId"]) == ("PutSecretValue", ARN)
    read = read_token(stored["SecretString"])
    assert isinstance(read, Token)
    assert (read.header, read.pair and read.pair.refresh) == (header, REFRESH if answers[1] else None)
    said = capsys.readouterr()
    assert not any(secret in said.out + said.err for secret in (ACCESS, REFRESH, "QSDK abc"))
    assert "make check STACK=prod" in said.out


@pytest.mark.parametrize(
    "answers", [("",), ("a\x00b",), ("ü",), ("x" * 8193,), (ACCESS, "b\tc"), (ACCESS, ACCESS)], ids=repr
)
def test_an_entry_that_cannot_be_a_token_is_not_stored(
    wire: AwsWire, typed: Typed, capsys: pytest.CaptureFixture[str], answers: tuple[str, ...]
) -> None:
    typed(*answers)
    assert token.main(["prod"]) == Exit.COULD_NOT_RUN

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Nothing was stored.")
    assert [operation for operation, _, _ in wire.calls] == ["DescribeStacks"]


def test_without_a_terminal_nothing_is_asked(wire: AwsWire, typed: Typed) -> None:
    line = [sys.executable, "-m", "ops.token", "prod"]
    done = subprocess.run(
        line,
        input=f"{ACCESS}\n{REFRESH}\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )

    assert done.returncode == Exit.COULD_NOT_RUN
    assert "no terminal" in done.stderr
    assert ACCESS not in done.stdout + done.stderr


def test_on_a_terminal_nothing_is_echoed(wire: AwsWire, typed: Typed) -> None:
    ours, theirs = pty.openpty()
    line = [sys.executable, "-c", "import ops.token, sys; sys.exit(ops.token.main(['prod']))"]
    process = subprocess.Popen(
        line, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True, close_fds=True
    )
    os.close(theirs)
    seen = b""
    for prompt, answer in ((b"plain token: ", ACCESS), (b"for a plain token: ", REFRESH)):
        until = time.monotonic() + 30
        while not seen.endswith(prompt):
            assert time.monotonic() < until, seen
            seen += os.read(ours, 1024)
        os.write(ours, f"{answer}\n".encode())
    assert process.wait(30) == 0
    seen += os.read(ours, 4096)
    os.close(ours)
    assert b"make check STACK=prod" in seen
    assert ACCESS.encode() not in seen
    assert json.loads(wire.calls[-1][1]["SecretString"]) == {"accessToken": ACCESS, "refreshToken": REFRESH}
