"""The roles of the example's workflow allow the calls that `plan` and `apply` make, and nothing else."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.fleet_account import NIGHTLY, Account, document, write_fleet
from tests.cli.wire import AwsWire, model
from tests.iam import listed
from tests.unit.template import FLEET_ROLES

ROLES = FLEET_ROLES["Resources"]
SERVICES = ("cloudformation", "dynamodb", "lambda", "scheduler", "ssm")
OTHER_NAMES = {"lambda:Invoke": "lambda:InvokeFunction"}
# Scheduler checks it when a schedule is written.
PASSED = "iam:PassRole"


def actions(policies: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the actions that policies allow."""
    return {one for policy in policies for statement in policy["Statement"] for one in listed(statement["Action"])}


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
