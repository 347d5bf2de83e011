"""The example of a fleet: its files are as `inventory --write` makes them, and its workflow deploys what it has built."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.tools import ROOT
from rds_snap_backup_cli.fleet.additions import REMARK
from rds_snap_backup_cli.fleet.files import read_fleet
from rds_snap_backup_cli.fleet.writing import new_fleet, to_yaml
from tests.cli.calls import Cli
from tests.unit.template import FLEET_ROLES, Resolved

FLEET = ROOT / "examples/fleet"
README, WORKFLOW = ((FLEET / name).read_text() for name in ("README.md", ".github/workflows/fleet.yml"))
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW)["jobs"]
ROLE = Resolved({"Repository": "acme/fleet", "OwnerId": "1", "RepositoryId": "2"}, FLEET_ROLES).resources["DeployRole"]


def test_the_role_may_do_nothing_on_everything() -> None:
    (policy,) = ROLE["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert not [each for each in statements if each["Resource"] == "*" or "*" in str(each["Action"])]


def test_only_the_job_that_deploys_what_was_built_gets_the_role() -> None:
    (trust,) = ROLE["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (condition,) = trust["Condition"].values()
    assert condition["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    subjects = [f"repo:{name}:environment:production" for name in ("acme@1/fleet@2", "acme/fleet")]
    assert condition["token.actions.githubusercontent.com:sub"] == subjects
    build, deploy = JOBS["build"], JOBS["deploy"]
    assert (build["permissions"], deploy["permissions"]) == ({"contents": "read"}, {"id-token": "write"})
    used = [step["uses"].partition("@")[0] for step in deploy["steps"] if "uses" in step]
    assert (deploy["environment"], used) == ("production", ["actions/download-artifact"])


@pytest.mark.parametrize("deployed", ["built", "other"])
def test_another_template_than_the_built_one_is_not_deployed(tmp_path: Path, deployed: str) -> None:
    (build,) = [step["run"] for step in JOBS["build"]["steps"] if step.get("id") == "build"]
    (compare,) = [step["run"] for step in JOBS["deploy"]["steps"] if step.get("name") == "Compare the digest"]
    template, output = tmp_path / "fleet.json", tmp_path / "output"
    template.write_text("built")
    own = {"GITHUB_OUTPUT": str(output), "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", build.splitlines()[1]], env=own, cwd=tmp_path, check=True)
    template.write_text(deployed)
    own["DIGEST"] = output.read_text().strip().removeprefix("digest=")
    done = subprocess.run(["bash", "-ec", compare], env=own, cwd=tmp_path, check=False)
    assert (done.returncode == 0) is (deployed == "built")


def test_the_readme_gives_each_parameter_of_the_role() -> None:
    given = set(re.findall(r"\b([A-Z]\w+)=[A-Z]", README)) - {"BackupStack"}
    required = {name for name, parameter in FLEET_ROLES["Parameters"].items() if "Default" not in parameter}
    assert required <= given <= FLEET_ROLES["Parameters"].keys()


def test_the_files_are_as_the_inventory_writes_them_and_valid(cli: Cli) -> None:
    entries = read_fleet(FLEET).entries
    for entry in entries.values():
        lines = Path(entry.file).read_text().splitlines(keepends=True)
        assert "".join(line for line in lines if not line.startswith(REMARK)) == to_yaml(entry.document)
    assert (FLEET / "fleet.yaml").read_text() == new_fleet("prod")
    groups = {name: len(found.document["associations"]) for name, found in entries.items()}
    assert groups == {"aws-finance-1": 3, "aws-platform-1": 4, "aws-sales-1": 25, "aws-sales-2": 2}
    assert cli("validate", str(FLEET)).out.endswith(": no errors, no warnings, 4 valid targets.\n")
