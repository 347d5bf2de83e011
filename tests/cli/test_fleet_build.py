"""A fleet as a CloudFormation template."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup.targets import parse_target
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import stored_text
from rds_snap_backup_cli.fleet.template import LANES, logical_id
from tests.cli.calls import Cli, Done
from tests.unit.template import TEMPLATE, Resolved

NIGHTLY = {"expression": "cron(0 3 * * ? *)", "timezone": "Europe/Berlin"}
# CloudFormation would put other texts in the place of these, or ends its own texts at them.
HOSTILE = ["${AWS::AccountId}", "${!x}", "a\\b", "a'b", "größe", "😀", "<aws.scheduler.x>", "!Ref x", "%s"]


def document(*groups: str, **more: Any) -> dict[str, Any]:
    names = [{"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group} for group in groups]
    return {"associations": names, **more}


def write_fleet(folder: Path, targets: Mapping[str, Any]) -> Path:
    """Write a fleet's files, a text as it is, and return the directory."""
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for old in (folder / "targets").iterdir():
        old.unlink()
    (folder / "fleet.yaml").write_text("name: prod\n")
    for target, content in targets.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (folder / "targets" / f"{target}.json").write_text(text)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def build(cli: Cli, tmp_path: Path, out: Path, targets: Mapping[str, Any]) -> Done:
    return cli("build", str(write_fleet(tmp_path / "fleet", targets)), "--out", str(out))


def built(cli: Cli, tmp_path: Path, out: Path, targets: Mapping[str, Any]) -> Resolved:
    """Return the template, resolved for the stack `backups` whose exports are named after what they are."""
    done = build(cli, tmp_path, out, targets)
    assert done.status == Exit.OK, done.err
    template = json.loads(out.read_text()) | {"Conditions": {}, "Outputs": {}}
    return Resolved({"BackupStack": "backups"}, template)


def test_a_target_is_a_parameter_and_a_schedule(cli: Cli, tmp_path: Path, out: Path) -> None:
    targets = {"orders": document("orders", maxAgeHours=30, schedule=NIGHTLY), "events": document("events")}
    template = built(cli, tmp_path, out, targets)
    assert template.resources.keys() == {"Targetorders", "Targetevents", "Scheduleorders"}
    assert template.resources["Targetorders"] == {
        "Type": "AWS::SSM::Parameter",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Name": "/rds-snap-backup/backups/targets/orders",
            "Type": "String",
            "Tier": "Intelligent-Tiering",
            "Value": stored_text(document("orders", maxAgeHours=30)),
        },
    }
    schedule = template.resources["Scheduleorders"]
    assert (schedule["Type"], schedule["DependsOn"]) == ("AWS::Scheduler::Schedule", "Targetorders")
    properties = schedule["Properties"]
    target = properties.pop("Target")
    assert properties == {
        "Name": "orders",
        "GroupName": {"Fn::ImportValue": "backups-ScheduleGroupName"},
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
    }
    # As the stack's own schedule, with the stack's exports.
    own = TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]["Target"]
    assert json.loads(target.pop("Input")) == json.loads(own["Input"]) | {"target": "orders"}
    assert target.pop("RetryPolicy") == own["RetryPolicy"]
    assert target == {
        "Arn": {"Fn::ImportValue": "backups-BackupFunctionArn"},
        "RoleArn": {"Fn::ImportValue": "backups-SchedulerRoleArn"},
        "DeadLetterConfig": {"Arn": {"Fn::ImportValue": "backups-DeadLetterQueueArn"}},
    }


def test_the_stack_exports_what_a_fleet_imports(cli: Cli, tmp_path: Path, out: Path) -> None:
    build(cli, tmp_path, out, {"orders": document("orders", schedule=NIGHTLY)})
    imported = {f"{{'Fn::Sub': '${{AWS::StackName}}-{name}'}}" for name in EXPORTS}
    exported = {str(output["Export"]["Name"]) for output in TEMPLATE["Outputs"].values() if "Export" in output}
    assert exported == imported
    assert all(f'"${{BackupStack}}-{name}"' in out.read_text() for name in EXPORTS)
    own = TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]
    values = {name: TEMPLATE["Outputs"][name]["Value"] for name in EXPORTS}
    assert values == {
        "BackupFunctionArn": own["Target"]["Arn"],
        "SchedulerRoleArn": own["Target"]["RoleArn"],
        "DeadLetterQueueArn": own["Target"]["DeadLetterConfig"]["Arn"],
        "ScheduleGroupName": own["GroupName"],
    }


EXPORTS = ("BackupFunctionArn", "SchedulerRoleArn", "DeadLetterQueueArn", "ScheduleGroupName")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_document_is_stored_as_it_is_written(cli: Cli, tmp_path: Path, out: Path, text: str) -> None:
    content = document(text, databases=[text])
    value = built(cli, tmp_path, out, {"a": content}).resources["Targeta"]["Properties"]["Value"]
    assert json.loads(value) == content
    assert parse_target("a", "", value).databases == (text,)
    assert out.read_bytes().isascii() or text == "😀"
    (stored,) = [part["Properties"]["Value"] for part in json.loads(out.read_text())["Resources"].values()]
    assert isinstance(stored, str), "no intrinsic function has it"


def test_the_same_files_give_the_same_bytes(cli: Cli, tmp_path: Path, out: Path) -> None:
    targets = {name: document(name, schedule=NIGHTLY) for name in "bca"}
    build(cli, tmp_path, out, targets)
    first = out.read_bytes()
    build(cli, tmp_path, out, dict(sorted(targets.items())))
    assert out.read_bytes() == first
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE((tmp_path / "fleet" / "fleet.yaml").stat().st_mode)


def test_logical_ids_are_those_of_one_target() -> None:
    names = ["a-b", "a.b", "a_b", "aZb", "aZdb", "aZZdb", "ab", "aZ-b", "A-b", "-", ".", "_", "Z", "x" * 64]
    found = [logical_id("Target", name) for name in names]
    assert len(set(found)) == len(names)
    assert all(name.isalnum() and len(name) <= 255 for name in found)


# ---- What is refused

REFUSED: list[tuple[Mapping[str, Any], str]] = [
    ({"a": document("a", enabled="no")}, "targets/a.json:1: enabled: must be true or false"),
    ({"a": '{"associations":\n[{"clientName": "{{resolve:ssm:x}}", "instanceName": "a", "subclientName": "b"}]}'},
     "targets/a.json:2: clientName of association 1: must not have {{"),
    ({"a": document("a", databases=["a", "{{x}}"])}, "targets/a.json:1: databases: must not have {{"),
    ({"default": document("a")}, "targets/default.json:1: the file: default is the target of the stack's"),
    ({}, "there is no target, and a template needs one"),
    ({f"t{number}": document(str(number), schedule=NIGHTLY) for number in range(251)}, "502 targets and schedules, and"),
    ({f"t{number}": document("x" * 500, databases=["y" * 480] * 12) for number in range(150)}, "the template has 1,"),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_nothing_is_written_where_something_is_wrong(
    cli: Cli, tmp_path: Path, out: Path, targets: Mapping[str, Any], reason: str
) -> None:
    done = build(cli, tmp_path, out, targets)
    assert (done.status, done.out) == (Exit.FINDINGS, "")
    assert reason in done.err
    assert "No template was written" in done.err
    assert not out.exists()
    out.write_text("of yesterday")
    build(cli, tmp_path, out, targets)
    assert out.read_text() == "of yesterday"


@pytest.mark.parametrize(("number", "bucket"), [(10, ""), (60, " --s3-bucket BUCKET")])
def test_the_next_command_is_said(cli: Cli, tmp_path: Path, out: Path, number: int, bucket: str) -> None:
    done = build(cli, tmp_path, out, {f"t{index}": document("x" * 500, schedule=NIGHTLY) for index in range(number)})
    size = len(out.read_bytes())
    assert done.out == (
        f"{out}: {number} targets, {number} schedules, {size:,} bytes. Next: aws cloudformation deploy --template-file {out} "
        f"--stack-name prod{bucket} --parameter-overrides BackupStack=STACK\n"
    )
    assert (size > 51_200) is bool(bucket)
    # Each backs up the same.
    assert "(warning)" in done.err


def test_a_link_is_replaced_and_not_followed(cli: Cli, tmp_path: Path, out: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    out.symlink_to(victim)
    assert build(cli, tmp_path, out, {"a": document("a")}).status == Exit.OK
    assert (victim.read_text(), out.is_symlink()) == ("kept", False)


def test_parameters_are_written_in_five_lanes(cli: Cli, tmp_path: Path, out: Path) -> None:
    names = [f"t{number:02}" for number in range(12)]
    resources = built(cli, tmp_path, out, {name: document(name) for name in names}).resources
    before = {name: resources[f"Target{name}"].get("DependsOn") for name in names}
    assert list(before.values()) == [None] * LANES + [f"Target{name}" for name in names[:-LANES]]
