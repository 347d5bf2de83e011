"""A fleet's template, deployed by CloudFormation for a deployed stack: made, changed, cut and renamed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import apply_template
from rds_snap_backup_cli.fleet.files import stored_text
from tests.cli.calls import Cli, calling
from tests.cli.test_fleet_build import HOSTILE, document, write_fleet
from tests.e2e.conftest import ALONE, CANARY, deploy_quick
from tests.e2e.product import CLIENT, Product, only
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

NAME = "of-files"
NEVER = {"expression": "cron(0 3 1 1 ? 2199)", "timezone": "Europe/Berlin"}
NO_DEFAULT_TARGET = {"ClientName": "", "InstanceName": "", "SubclientName": ""}
# 4,097 bytes: one more than the standard tier holds.
LARGE = document("large", databases=[*HOSTILE, *["ü" * 200] * 9, ""])
LARGE["databases"][-1] = "x" * (4097 - len(stored_text(LARGE).encode()))


@pytest.fixture(scope="module")
def own(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A stack that has no targets but those of the fleet."""
    with CommServe(token=CANARY, job_seconds=1, keep_tokens=True) as commserve:
        evidence.add("fleet", commserve)
        stack = deploy_quick(aws, "fleet", commserve, ALONE | NO_DEFAULT_TARGET)
        yield Product(stack, commserve, stack.subscribe())


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return calling(capsys)


def deploy(cli: Cli, own: Product, folder: Path, targets: Mapping[str, Any]) -> None:
    out = folder / "fleet.json"
    done = cli("build", str(write_fleet(folder / "fleet", targets)), "--out", str(out))
    assert done.status == 0, done.err
    apply_template(own.stack.aws, NAME, out.read_text(), {"BackupStack": own.stack.name})


def stored(own: Product) -> dict[str, tuple[str, int]]:
    """Return text and version of each target's parameter."""
    path = own.stack.outputs["TargetsPath"]
    pages = own.stack.aws.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    rows = [row for page in pages for row in page["Parameters"]]
    return {row["Name"].removeprefix(path): (row["Value"], row["Version"]) for row in rows}


def schedules(own: Product) -> dict[str, Any]:
    """Return the schedules of the stack's group."""
    client, group = own.stack.aws.client("scheduler"), own.stack.outputs["ScheduleGroupName"]
    names = [schedule["Name"] for schedule in client.list_schedules(GroupName=group)["Schedules"]]
    return {name: client.get_schedule(Name=name, GroupName=group) for name in names}


def test_a_fleet_is_made_changed_cut_and_renamed_by_cloudformation(cli: Cli, own: Product, tmp_path: Path) -> None:
    for name in ("kept", "renamed"):
        own.commserve.catalogue.add(CLIENT, name)
    first = {
        "kept": document("kept", maxAgeHours=30),
        "large": LARGE,
        "old-name": document("renamed"),
        "removed": document("removed"),
    }
    deploy(cli, own, tmp_path, {name: target | {"schedule": NEVER} for name, target in first.items()})
    assert stored(own) == {name: (stored_text(target), 1) for name, target in first.items()}
    assert len(stored(own)["large"][0].encode()) == 4097
    made = schedules(own)
    assert made.keys() == first.keys()
    kept = made["kept"]
    assert (kept["ScheduleExpression"], kept["ScheduleExpressionTimezone"]) == tuple(NEVER.values())
    outputs = own.stack.outputs
    target = kept["Target"]
    assert (target["Arn"], target["RoleArn"]) == (outputs["BackupFunctionArn"], outputs["SchedulerRoleArn"])
    assert target["DeadLetterConfig"] == {"Arn": outputs["DeadLetterQueueArn"]}
    own.stack.invoke(json.loads(target["Input"]))  # the emulator leaves the placeholders in
    assert only(own.jobs("kept"))

    second = {"kept": document("kept", maxAgeHours=40), "large": LARGE, "new-name": document("renamed")}
    deploy(cli, own, tmp_path, {name: target | {"schedule": NEVER} for name, target in second.items()})
    assert stored(own) == {
        "kept": (stored_text(second["kept"]), 2),
        "large": (stored_text(LARGE), 1),
        "new-name": (stored_text(second["new-name"]), 1),
    }
    assert schedules(own).keys() == second.keys()
    own.start_cold()
    own.stack.invoke({"target": "new-name"})
    assert only(own.jobs("renamed"))


def test_the_stack_is_not_deleted_before_its_fleet(own: Product) -> None:
    """AWS refuses it; where the emulator does not, the template has the imports for which AWS does."""
    client = own.stack.aws.client("cloudformation")
    template = client.get_template(StackName=NAME)["TemplateBody"]
    assert "Fn::ImportValue" in str(template)
    exports = {item["Name"]: item["Value"] for item in client.list_exports()["Exports"]}
    for name in ("BackupFunctionArn", "SchedulerRoleArn", "DeadLetterQueueArn", "ScheduleGroupName"):
        assert exports[f"{own.stack.name}-{name}"] == own.stack.outputs[name]
    try:
        found = client.list_imports(ExportName=f"{own.stack.name}-ScheduleGroupName")["Imports"]
    except ClientError:
        return
    assert found == [NAME]
