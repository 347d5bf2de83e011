"""How a command is called, and what it prints when it could not run. `redrive` stands for all of them."""

import socket
from pathlib import Path

import pytest

from ops import check, redrive
from ops.command import Exit
from tests.ops.wire import AwsWire

DENIED = "User: arn:aws:iam::000000000000:user/me is not authorized to perform: cloudformation:DescribeStacks"


@pytest.mark.parametrize("command", [check.main, redrive.main])
@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["prod", "--region"], ["prod", "--stage", "test"]])
def test_arguments_that_are_not_understood_print_the_usage(
    capsys: pytest.CaptureFixture[str], command: object, arguments: list[str]
) -> None:
    assert callable(command)
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    assert stopped.value.code == Exit.COULD_NOT_RUN
    usage = capsys.readouterr().err
    assert usage.startswith("usage: python -m ops.")
    assert "[--region REGION] [--profile PROFILE]" in usage


@pytest.mark.parametrize(
    ("status", "code", "message", "printed"),
    [
        (400, "ValidationError", "Stack with id prod does not exist", "there is no such stack in us-east-1. Check"),
        (
            403,
            "ExpiredToken",
            "The security token is expired",
            "does not accept the credentials (ExpiredToken). Sign in",
        ),
        (
            403,
            "InvalidClientTokenId",
            "Invalid token",
            "does not accept the credentials (InvalidClientTokenId). Sign in",
        ),
        (403, "AccessDenied", DENIED, f"{DENIED}. Ask for that permission"),
        (400, "Throttling", "Rate exceeded", "DescribeStacks failed (Throttling): Rate exceeded."),
    ],
)
def test_what_aws_answers_becomes_one_line(
    wire: AwsWire, capsys: pytest.CaptureFixture[str], *, status: int, code: str, message: str, printed: str
) -> None:
    wire.no_stack(status, code, message)
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: ")
    assert printed in line


def test_a_stack_of_an_older_version_is_to_be_updated(wire: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.stack(NotificationsTopicArn="arn")
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: the stack has no output DeadLetterQueueUrl")
    assert "make deploy" in line


def test_no_region_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err == "prod: no region is configured. Name one: --region, or REGION= with make.\n"


def test_no_credentials_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: Unable to locate credentials. Sign in again")


def test_aws_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert redrive.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: Could not connect to the endpoint URL: ")
    assert line.endswith("Check the network and the region's name.")
