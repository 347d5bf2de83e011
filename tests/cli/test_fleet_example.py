"""The example of a fleet: its files are made by `inventory --write`, its workflow's roles allow what the workflow does."""

import re
import shlex
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import HEAD, TARGETS, read_fleet
from tests.cli import fleet_example
from tests.cli.calls import Cli
from tests.cli.fleet_account import NIGHTLY, Account, document, write_fleet
from tests.cli.wire import AwsWire, model
from tests.iam import listed
from tests.unit.template import FLEET_ROLES

README, WORKFLOW = ((fleet_example.FLEET / name).read_text() for name in ("README.md", ".github/workflows/fleet.yml"))
COMMANDS = re.findall(r"^[ -]*(?:run: )?(rds-snap-backup [a-z].*)$", README + WORKFLOW, re.MULTILINE)
ROLES = FLEET_ROLES["Resources"]
SERVICES = ("cloudformation", "dynamodb", "lambda", "scheduler", "ssm")
OTHER_NAMES = {"lambda:Invoke": "lambda:InvokeFunction"}
# Scheduler checks it when a schedule is written.
PASSED = "iam:PassRole"


def actions(policies: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the actions that policies allow."""
    return {
        granted for policy in policies for statement in policy["Statement"] for granted in listed(statement["Action"])
    }


def allowed(role: str) -> set[str]:
    own = [policy["PolicyDocument"] for policy in ROLES[role]["Properties"]["Policies"]]
    return actions([*own, ROLES["ReadPolicy"]["Properties"]["PolicyDocument"]])


def action(operation: str) -> str:
    """Return an operation's action."""
    service = next(name for name in SERVICES if operation in model(name).operation_names)
    return OTHER_NAMES.get(f"{service}:{operation}", f"{service}:{operation}")


@pytest.fixture
def account(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A stack with a target to change, one to keep and one to remove, each with its schedule."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    found = Account(wire)
    for name in ("changed", "removed"):
        found.put(name, document(name))
        found.schedule(name)
    return found


@pytest.mark.parametrize("role", ["PlanRole", "ApplyRole"])
def test_a_role_allows_what_its_command_does(cli: Cli, account: Account, tmp_path: Path, role: str) -> None:
    targets = {
        "changed": document("changed", enabled=False) | {"schedule": NIGHTLY | {"timezone": "Asia/Tokyo"}},
        "new": document("new") | {"schedule": NIGHTLY},
    }
    fleet = write_fleet(tmp_path, targets)
    if role == "PlanRole":
        assert cli("plan", "prod", fleet).status == Exit.FINDINGS
        assert allowed(role) == set(map(action, account.wire.operations))
    else:
        assert cli("apply", "prod", fleet, "--prune-limit", "1").status == Exit.OK
        assert allowed(role) == {*map(action, account.wire.operations), PASSED}


def test_the_readme_gives_each_parameter_of_the_roles() -> None:
    given = set(re.findall(r"(\w+)=(?:\"\$\(output (?:\w+)\)\"|[A-Z])", README))
    assert given == {name for name, parameter in FLEET_ROLES["Parameters"].items() if "Default" not in parameter}


@pytest.mark.parametrize("line", sorted(set(COMMANDS)))
def test_a_command_is_understood(cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """It gets as far as the stack, which is not there; `validate` needs none."""
    monkeypatch.chdir(fleet_example.FLEET)
    monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", "prod")
    wire.no_stack(400, "ValidationError", "Stack with id prod does not exist")
    done = cli(*shlex.split(line.partition(" > ")[0])[1:])
    assert "there is no such stack" in done.err or (" validate " in line and done.status == Exit.OK)


def test_the_files_are_what_the_inventory_of_three_accounts_makes(cli: Cli, tmp_path: Path) -> None:
    fleet_example.write(tmp_path)
    for file in (HEAD, TARGETS):
        assert texts(fleet_example.FLEET / file) == texts(tmp_path / file), "run: python -m tests.cli.fleet_example"
    groups = {
        name: len(found.document["associations"]) for name, found in read_fleet(fleet_example.FLEET).entries.items()
    }
    assert groups == {"aws-finance-1": 2, "aws-platform-1": 3, "aws-sales-1": 25, "aws-sales-2": 2}
    done = cli("validate", str(fleet_example.FLEET))
    assert done.out.endswith(": no errors, no warnings, 4 valid targets.\n")


def texts(path: Path) -> dict[str, str]:
    """Return the texts of a file, or of all in a directory, by name."""
    return {file.name: file.read_text() for file in (path.iterdir() if path.is_dir() else [path])}
