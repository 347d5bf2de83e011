"""How a command is called, which stack it acts on, and how it fails. `redrive` stands for all of them."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE
from typing import Never

import pytest
from botocore import exceptions as sdk

from local.tools import ROOT
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.stack import session_of
from tests.cli.calls import Cli
from tests.cli.submissions import QUEUED
from tests.cli.wire import OUTPUT, STACK, AwsWire, members, stacks

ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-db"

type Piped = subprocess.Popen[str]


def shell(
    *arguments: str, environment: Mapping[str, str] | None = None, stdout: int = PIPE, stderr: int = PIPE
) -> Piped:
    """Start the program as a shell does."""
    given = {**os.environ, "PYTHONPATH": "src", **(environment or {})}
    command = [sys.executable, "-m", "rds_snap_backup_cli", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=given, stdout=stdout, stderr=stderr, text=True)


def ended(process: Piped) -> tuple[int, str, str]:
    """Return how the program ended: its status, and in one line what it said on its streams."""
    out, err = process.communicate()
    return process.returncode, out, " ".join(err.split())


@pytest.mark.parametrize("line", ["redrive", "backup prod"])
def test_a_missing_argument_is_an_error(cli: Cli, wire: AwsWire, line: str) -> None:
    done = cli(*line.split())
    assert (done.status, done.out, "must be given" in done.err, wire.calls) == (Exit.COULD_NOT_RUN, "", True, [])


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ("other", "backup prod orders"),
        ("prod", "backup --wait orders"),
        ("other", f"explain prod --database {ARN} --event RDS-EVENT-0043"),
        ("prod", f"explain --database {ARN} --event RDS-EVENT-0043"),
    ],
)
def test_the_environment_names_a_stack_that_is_left_out(
    cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch, named: str, line: str
) -> None:
    monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", named)
    wire.no_stack()
    cli(*line.split()).could_not_run("prod: there is no such stack in us-east-1.")
    cli(*line.split(), "--region", "eu-west-1").could_not_run("prod: there is no such stack in eu-west-1.")
    assert {asked["StackName"] for asked in wire.asked("DescribeStacks")} == {"prod"}


def refused(code: str, message: str) -> sdk.ClientError:
    """Return the error that the SDK raises when CloudFormation refuses a call."""
    return sdk.ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("ExpiredToken", "It is expired"), "AWS does not accept the credentials (ExpiredToken). Sign in again"),
        (refused("Throttling", "arn:secret:key"), "DescribeStacks failed (Throttling): arn:secret:key."),  # no emoji
        (sdk.ProfileNotFound(profile="x"), "(x) could not be found. `aws configure list-profiles` lists the profiles."),
        (sdk.NoCredentialsError(), "Unable to locate credentials. Sign in again"),
        (
            sdk.TokenRetrievalError(provider="sso", error_msg="It is expired"),
            "token from sso: It is expired Sign in again",
        ),
        (sdk.NoRegionError(), "no region is configured. Name one with --region."),
        (sdk.EndpointConnectionError(endpoint_url="u"), 'URL: "u" Check the network and the region\'s name.'),
        (EOFError(), "the input has ended. Nothing was changed."),
        (OSError(28, "No space left"), "this machine: No space left."),
        (FileNotFoundError(2, "No such file", "a.json"), "there is no a.json. Check the path."),
        (PermissionError(13, "Denied", "a.json"), "a.json may not be read or written. Check its permissions."),
        (KeyError("x"), "this is a mistake in 2.0.0.dev0 of the command. Report it: KeyError: 'x'"),
        (KeyboardInterrupt(), "interrupted. Nothing was changed."),
    ],
    ids=repr,
)
def test_an_error_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str) -> None:
    def fail(**_: object) -> Never:
        raise error

    monkeypatch.setattr("boto3.Session", fail)
    done, is_interrupted = cli("redrive", "prod", "--yes"), isinstance(error, KeyboardInterrupt)
    assert (done.status, said in done.line) == (Exit.INTERRUPTED if is_interrupted else Exit.COULD_NOT_RUN, True)
    assert done.line.startswith("prod: ")


def test_a_stack_that_may_not_be_read_is_not_taken_for_none(cli: Cli, wire: AwsWire) -> None:
    said = "User: arn:aws:iam::000000000000:user/me is not authorized to perform: cloudformation:DescribeStacks"
    wire.refuse("DescribeStacks", 403, "AccessDenied", said)
    cli("redrive", "prod", "--yes").could_not_run(f"prod: {said}. Ask for that permission")


TOO_NEW = "version 3.1.0 is too new for 2.0.0.dev0 of this command. Install the command's version 3.1.0."


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"Version": "1.4.0"}, "version 1.4.0 is too old for 2.0.0.dev0 of this command. Update the stack."),
        ({"Version": "3.1.0"}, TOO_NEW),
        ({"Version": "x"}, "the stack has no output Version"),
        ({}, "the stack has no output DeadLetterQueueUrl. Update it to version"),
    ],
)
def test_a_stack_of_another_version_is_refused(cli: Cli, wire: AwsWire, outputs: dict[str, str], said: str) -> None:
    wire.stack(**outputs)
    cli("redrive", "prod", "--yes").could_not_run(said)
    assert wire.operations == ["DescribeStacks"]


@pytest.mark.parametrize(
    ("variables", "region", "profile", "found"),
    [
        ({"AWS_REGION": "us-west-2"}, "ap-south-1", None, "ap-south-1"),
        ({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-1"}, None, None, "us-west-2"),
        ({}, None, "frankfurt", "eu-central-1"),
    ],
)
def test_the_region_is_the_given_one_then_the_environments_then_the_profiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, variables: dict[str, str], region: str, profile: str, found: str
) -> None:
    (tmp_path / "config").write_text("[profile frankfurt]\nregion = eu-central-1\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    for name, value in {"AWS_CONFIG_FILE": str(tmp_path / "config"), **variables}.items():
        monkeypatch.setenv(name, value)
    assert session_of(region, profile).region_name == found


def test_ctrl_c_says_what_was_done(cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> Never:
        raise KeyboardInterrupt

    wire.stack(BackupFunctionName="prod-backup", TargetsPath="/targets/")
    wire.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    wire.answer("Invoke", {"submissions": [QUEUED]})
    monkeypatch.setattr("time.sleep", interrupt)
    done = cli("backup", "prod", "orders", "--wait", "--request-id", "run-17")
    assert done.status == Exit.INTERRUPTED
    assert done.err.endswith(
        "interrupted. The backup may have been started, and goes on. To see it: --request-id run-17\n"
    )


def test_ctrl_c_ends_it_plainly_while_it_is_loading(tmp_path: Path) -> None:
    (tmp_path / "boto3.py").write_text("raise KeyboardInterrupt")
    status, _, said = ended(shell("status", "prod", environment={"PYTHONPATH": f"{tmp_path}:src"}))
    assert (status, said) == (Exit.INTERRUPTED, "rds-snap-backup: interrupted. Nothing was changed.")


def test_a_closed_pipe_is_a_sentence(wire: AwsWire) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", {"ok": True, "checks": []})
    closed, theirs = os.pipe()
    os.close(closed)
    check = ("prod", "check", "prod", "--quiet", "--format")
    for name, *arguments in ((*check, "table"), (*check, "csv"), ("rds-snap-backup", "--version")):
        status, _, said = ended(shell(*arguments, stdout=theirs))
        assert status == Exit.COULD_NOT_RUN
        assert said == f"{name}: the program that reads the output has ended, and the rest was not printed."
    os.close(theirs)


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version").out == "2.0.0.dev0\n"


PATH = "/rds-snap-backup/prod/targets/"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("st", ["status"]),
        ("status pr", ["prod", "prod-2"]),
        ("backup prod o", ["orders", "other"]),
        ("check prod --target or", ["orders"]),
        ("backup o", ["orders", "other"]),  # of the stack that the environment names
    ],
)
def test_completion_knows_commands_stacks_and_targets(wire: AwsWire, line: str, names: list[str]) -> None:
    wire.stack(TargetsPath=PATH)
    describe = wire.answers["DescribeStacks"]
    ours = members(*(OUTPUT.format(name, "x") for name in ("TargetsPath", "SubmissionsQueueUrl")))
    found = {"prod": ours, "prod-2": ours, "product": ""}
    listed = stacks(*(STACK.format(name=name, outputs=outputs, more="") for name, outputs in found.items()))
    wire.answers["DescribeStacks"] = lambda asked: describe(asked) if "StackName" in asked else (200, listed)
    rows = [{"Name": f"{PATH}{name}", "Value": ""} for name in ("orders", "other", "x")]
    wire.answer("GetParametersByPath", {"Parameters": rows})
    environment = {"RDS_SNAP_BACKUP_STACK": "prod"} if line == "backup o" else {}
    assert completed(line, **environment) == names


def test_a_completion_that_aws_does_not_answer_is_silent(wire: AwsWire) -> None:
    wire.refuse("DescribeStacks", 403, "ExpiredToken", "It is expired")
    assert completed("status p") == completed("backup prod o") == []


def completed(line: str, **environment: str) -> list[str]:
    """Return what bash shows, and that nothing is said to the terminal."""
    words = {"COMP_WORDS": f"rds-snap-backup {line}", "COMP_CWORD": str(len(line.split()))}
    words["_RDS_SNAP_BACKUP_COMPLETE"] = "complete_bash"
    status, shown, said = ended(shell(environment=words | environment))
    assert (status, said) == (0, "")
    return shown.split()


def test_progress_is_shown_on_a_terminal_and_as_a_line_elsewhere(wire: AwsWire) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", {"ok": True, "checks": []})
    line = ("check", "prod", "--format", "json")
    ours, theirs = pty.openpty()
    on_a_terminal = shell(*line, stderr=theirs)
    os.close(theirs)
    assert on_a_terminal.communicate()[0] == "[]\n"
    assert b"Reading the stack" in os.read(ours, 65_536)
    os.close(ours)
    said = threading.Event()
    quick = wire.answers["Invoke"]
    wire.answers["Invoke"] = lambda asked: (said.wait(), quick(asked))[1]
    with shell(*line) as piped:
        assert piped.stdout
        assert piped.stderr
        try:
            assert "The Audit function runs the checks ...\n" in piped.stderr
        finally:
            said.set()
        assert piped.stdout.read() == "[]\n"
    assert ended(shell(*line, "--quiet")) == (Exit.OK, "[]\n", "")
