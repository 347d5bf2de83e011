"""`make` as another name of the commands: every value reaches them as it was given."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.tools import ROOT
from rds_snap_backup_cli import __main__ as _commands  # noqa: F401 # which declares them
from rds_snap_backup_cli.program import app

OFFLINE = {"validate"}
COMMANDS = sorted(
    registered.name for registered in app.registered_commands if registered.name and registered.name not in OFFLINE
)

# Prints the arguments that it is called with, each ended by NUL.
UV = """#!/bin/sh
printf '%s\\0' "$@"
"""
HOSTILE = (
    "$(shell touch expanded)",
    "${shell touch expanded}",
    "$(error expanded)",
    "`touch expanded`",
    "$(touch expanded)",
    '"; touch expanded; "',
    "'; touch expanded; '",
    "run-$1",
    "run-$$1",
    "$(STACK)",
    "--help",
    " a  b\\",
    "a#b",
    "one\n\ttouch expanded",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, whose `uv` prints its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "uv.lock", "tools/uv.txt", ".venv/.synced", ".tools/bin/uv"):  # by age
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".tools/bin/uv").write_text(UV)
    (tmp_path / ".tools/bin/uv").chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        ["make", "--silent", *arguments],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def called(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the arguments of the command that `make` ran."""
    assert done.returncode == 0, done.stderr
    uv, python, *arguments = done.stdout.partition("python\0")
    assert (uv, python) == ("run\0--frozen\0--quiet\0", "python\0")
    return arguments[0].split("\0")[1:-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_target_of_make(checkout: Path, command: str) -> None:
    said = called(make(checkout, command, "STACK=prod", "REGION=eu-west-1", "PROFILE=me", "QUIET=1"))
    assert said == ["rds_snap_backup_cli", command, "--region=eu-west-1", "--profile=me", "--quiet", "--", "prod"]
    assert called(make(checkout, command)) == [
        "rds_snap_backup_cli",
        command,
        "--",
    ]  # the environment may name the stack


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        (["check", "TARGET=orders", "ALL=1"], ["--target=orders", "--all", "--", "prod"]),
        (["backup", "TARGET=*", "WAIT=1", "REQUEST_ID=a"], ["--wait", "--request-id=a", "--", "prod", "*"]),
        (
            ["schedule", "TARGET=orders", "EXPRESSION=cron(0 3 * * ? *)", "TIMEZONE=UTC"],
            ["--expression=cron(0 3 * * ? *)", "--timezone=UTC", "--", "prod", "orders"],
        ),
        (["report", "FORMAT=html", "OUT=a b"], ["--format=html", "--out=a b", "--", "prod"]),
        (["explain", "EVENT_FILE=my event.json", "FORMAT=csv"], ["--format=csv", "--", "prod", "my event.json"]),
        (
            ["explain", "DATABASE=arn", "EVENT=RDS-EVENT-0043"],
            ["--database=arn", "--event=RDS-EVENT-0043", "--", "prod"],
        ),
        (["status", "FORMAT=json"], ["--format=json", "--", "prod"]),
        (["discard", "ID=a b"], ["--id=a b", "--", "prod"]),
        (["discard", "ALL=1", "YES=1"], ["--all", "--yes", "--", "prod"]),
        (
            ["plan", "DIR=my fleet", "PRUNE=1", "OUT=p", "FORMAT=csv"],
            ["--format=csv", "--prune", "--out=p", "--", "prod", "my fleet"],
        ),
        (
            ["apply", "DIR=fleet", "PLAN=p", "ADOPT=1", "PRUNE_LIMIT=9"],
            ["--plan=p", "--adopt", "--prune-limit=9", "--", "prod", "fleet"],
        ),
        (
            ["inventory", "DIR=my fleet", "FLEET=eu", "FORMAT=csv"],
            ["--format=csv", "--write=my fleet", "--name=eu", "--", "prod"],
        ),
        (["export", "DIR=my fleet", "FLEET=eu"], ["--name=eu", "--", "prod", "my fleet"]),
        (["members", "FORMAT=csv"], ["--format=csv", "--", "prod"]),
        (["token", "REVOKED=1"], ["--revoked", "--", "prod"]),
        (["verify", "ONLY=tags recursion"], ["--only=tags recursion", "--", "prod"]),
        (["deploy", "CONFIG=test", "GUIDED=1"], ["--config=test", "--guided", "--", "prod"]),
    ],
)
def test_variables_of_make_become_arguments(checkout: Path, variables: list[str], arguments: list[str]) -> None:
    said = called(make(checkout, *variables, "STACK=prod"))
    assert said == ["rds_snap_backup_cli", variables[0], *arguments]


def test_an_offline_command_gets_neither_a_stack_nor_options_of_aws(checkout: Path) -> None:
    said = called(
        make(checkout, "validate", "DIR=my fleet", "FORMAT=json", "STACK=prod", "REGION=eu-west-1", "QUIET=1")
    )
    assert said == ["rds_snap_backup_cli", "validate", "--quiet", "--format=json", "--", "my fleet"]
    assert called(make(checkout, "validate")) == ["rds_snap_backup_cli", "validate", "--"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("command", "variable", "argument"),
    [
        ("backup", "TARGET", ""),
        ("deploy", "CONFIG", "--config="),
        ("backup", "REQUEST_ID", "--request-id="),
        ("discard", "ID", "--id="),
        ("verify", "ONLY", "--only="),
        ("check", "STACK", ""),
        ("fuzz", "TARGET", ""),
    ],
)
def test_a_value_arrives_as_it_was_given(
    checkout: Path, command: str, variable: str, argument: str, value: str
) -> None:
    stack = {"STACK": "prod"} if variable != "STACK" else {}
    on_the_line = make(checkout, command, f"{variable}={value}", **stack)
    in_the_environment = make(checkout, command, **stack, **{variable: value})
    for done in (on_the_line, in_the_environment):
        assert f"{argument}{value.lstrip() if done is on_the_line else value}" in called(done)
    assert not (checkout / "expanded").exists()
