"""The commands as `make` calls them, and as the reference lists them."""

import os
import re
import subprocess

import pytest

from local.tools import ROOT
from tests.unit.documents import first_column

COMMANDS = {
    path.stem if path.stem != "__main__" else path.parent.name
    for path in (ROOT / "ops").rglob("*.py")
    if '\nif __name__ == "__main__":' in path.read_text()
} - {"answers"}  # which is a part of `make deploy`


def line(*variables: str, **environment: str) -> str:
    """Return the command line that `make` would run last."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    done = subprocess.run(
        ["make", "--dry-run", *variables], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1].partition("python -m ")[2]


def test_the_reference_lists_every_command() -> None:
    listed = {span for span in first_column("docs/reference.md", "Commands") if span.startswith("make ")}
    assert listed == {f"make {name}" for name in COMMANDS}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_a_target_of_make(command: str) -> None:
    said = line(command, "STACK=prod", "REGION=eu-west-1", "PROFILE=me")
    assert said.split() == [f"ops.{command}", '"$STACK"', "--region", '"$REGION"', "--profile", '"$PROFILE"']


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        (["check", "TARGET=orders"], '--target "$TARGET"'),
        (["backup", "TARGET=*"], '--target "$TARGET"'),
        (
            ["backup", "TARGET=orders", "WAIT=1", "REQUEST_ID=a"],
            '--target "$TARGET" --wait --request-id "$REQUEST_ID"',
        ),
        (
            ["schedule", "TARGET=orders", "EXPRESSION=cron(0 3 * * ? *)", "TIMEZONE=UTC"],
            '--target "$TARGET" --expression "$EXPRESSION" --timezone "$TIMEZONE"',
        ),
        (["letters", "QUEUE=jobs"], '--queue "$QUEUE"'),
        (["redrive", "QUEUE=jobs"], '--queue "$QUEUE"'),
        (["discard", "ID=a b"], '--id "a" --id "b"'),
        (["discard", "ALL=1", "YES=1", "QUEUE=jobs"], '--queue "$QUEUE" --all --yes'),
        (["verify", "ONLY=tags recursion"], '--only "tags" --only "recursion"'),
    ],
)
def test_variables_of_make_become_arguments(variables: list[str], arguments: str) -> None:
    said = line(*variables, "STACK=prod").split()
    assert said == [f"ops.{variables[0]}", '"$STACK"', *arguments.split()]


def test_values_reach_the_command_as_they_are() -> None:
    """The shell expands nothing in them: the command line names variables, and make puts the values there."""
    rules = (ROOT / "Makefile").read_text()
    exported = " ".join(re.findall(r"^export (.*)$", rules, re.MULTILINE)).split()
    used = set(re.findall(r'"\$\$([A-Z_]+)"', rules))
    assert used
    assert used <= set(exported)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_without_a_stack_it_says_how(command: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    done = subprocess.run(["make", command], cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"make {command} STACK=rds-snap-backup" in done.stderr
