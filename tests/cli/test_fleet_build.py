"""A fleet as a CloudFormation template."""

import json
import stat
from collections.abc import Callable, Mapping
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

type Build = Callable[[Mapping[str, Any]], Done]


def document(*groups: str, **more: Any) -> dict[str, Any]:
    names = [{"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group} for group in groups]
    return {"associations": names, **more}


def write_fleet(folder: Path, targets: Mapping[str, Any]) -> Path:
    """Write a fleet's files, and return the directory."""
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for old in (folder / "targets").iterdir():
        old.unlink()
    (folder / "fleet.yaml").write_text("name: prod\n")
    for target, content in targets.items():
        (folder / "targets" / f"{target}.json").write_text(json.dumps(content, ensure_ascii=False))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


@pytest.fixture
def build(cli: Cli, tmp_path: Path, out: Path) -> Build:
    """Build the template of these targets."""
    return lambda targets: cli("build", str(write_fleet(tmp_path / "fleet", targets)), "--out", str(out))


def resources(out: Path) -> dict[str, Any]:
    """Return the template's resources for the stack `backups`, whose exports are named after what they are."""
    template = json.loads(out.read_text()) | {"Conditions": {}, "Outputs": {}}
    return Resolved({"BackupStack": "backups"}, template).resources


def imported(name: str) -> dict[str, str]:
    return {"Fn::ImportValue": f"backups-{name}"}


def test_a_target_is_a_parameter_and_a_schedule(build: Build, out: Path) -> None:
    build({"orders": document("orders", maxAgeHours=30, schedule=NIGHTLY), "events": document("events")})
    found = resources(out)
    assert found.keys() == {"Targetorders", "Targetevents", "Scheduleorders"}
    assert found["Targetorders"]["Properties"] == {
        "Name": "/rds-snap-backup/backups/targets/orders",
        "Type": "String",
        "Tier": "Intelligent-Tiering",
        "Value": stored_text(document("orders", maxAgeHours=30)),
    }
    schedule, own = found["Scheduleorders"], TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]["Target"]
    assert schedule["DependsOn"] == "Targetorders"
    event = json.loads(schedule["Properties"]["Target"].pop("Input"))
    assert event == json.loads(own["Input"]) | {"target": "orders"}
    assert schedule["Properties"] == {
        "Name": "orders",
        "GroupName": imported("ScheduleGroupName"),
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        "Target": {
            "Arn": imported("BackupFunctionArn"),
            "RoleArn": imported("SchedulerRoleArn"),
            "RetryPolicy": own["RetryPolicy"],
            "DeadLetterConfig": {"Arn": imported("DeadLetterQueueArn")},
        },
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_a_document_is_stored_as_it_is_written(build: Build, out: Path, text: str) -> None:
    content = document(text, databases=[text])
    build({"a": content})
    (stored,) = [part["Properties"]["Value"] for part in json.loads(out.read_text())["Resources"].values()]
    assert isinstance(stored, str), "an intrinsic function has it"
    assert json.loads(stored) == content
    assert parse_target("a", "", stored).databases == (text,)
    assert out.read_bytes().isascii() or text == "😀"


def test_the_same_files_give_the_same_bytes(build: Build, tmp_path: Path, out: Path) -> None:
    targets = {name: document(name, schedule=NIGHTLY) for name in "bca"}
    build(targets)
    first = out.read_bytes()
    build(dict(sorted(targets.items())))
    assert out.read_bytes() == first
    assert list(resources(out)) == [f"{kind}{name}" for kind in ("Target", "Schedule") for name in "abc"]
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE((tmp_path / "fleet" / "fleet.yaml").stat().st_mode)


def test_logical_ids_are_those_of_one_target() -> None:
    names = ["a-b", "a.b", "a_b", "aZb", "aZdb", "aZZdb", "ab", "aZ-b", "A-b", "-", ".", "_", "Z", "x" * 64]
    found = [logical_id("Target", name) for name in names]
    assert len(set(found)) == len(names)
    assert all(name.isalnum() and len(name) <= 255 for name in found)


REFUSED: dict[str, Mapping[str, Any]] = {
    "targets/a.json:1: enabled: must be true or false": {"a": document("a", enabled="no")},
    "there is no target, and a template needs one": {},
    "502 targets and schedules, and": {f"t{n}": document(str(n), schedule=NIGHTLY) for n in range(251)},
    "the template has 1,": {f"t{n}": document("x" * 500, databases=["y" * 480] * 12) for n in range(150)},
}


@pytest.mark.parametrize(
    ("name", "reason"), [("no-such-folder/x.json", "No such file or directory"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_written_is_named_as_it_was_given(
    cli: Cli, tmp_path: Path, name: str, reason: str
) -> None:
    fleet, out = write_fleet(tmp_path / "fleet", {"a": document("a")}), tmp_path / name
    done = cli("build", str(fleet), "--out", str(out), "--quiet")
    done.could_not_run(f": {out} cannot be written: {reason}. Name another file.")
    assert [path.name for path in tmp_path.iterdir()] == ["fleet"]


@pytest.mark.parametrize("reason", REFUSED)
def test_nothing_is_written_where_something_is_wrong(build: Build, out: Path, reason: str) -> None:
    out.write_text("of yesterday")
    done = build(REFUSED[reason])
    assert (done.status, done.out, out.read_text()) == (Exit.FINDINGS, "", "of yesterday")
    assert reason in done.err
    assert "No template was written" in done.err


@pytest.mark.parametrize(("number", "bucket"), [(10, ""), (60, " --s3-bucket BUCKET")])
def test_the_next_command_is_said(build: Build, out: Path, number: int, bucket: str) -> None:
    done = build({f"t{index}": document("x" * 500, schedule=NIGHTLY) for index in range(number)})
    size = len(out.read_bytes())
    assert done.out == (
        f"{out}: {number} targets, {number} schedules, {size:,} bytes. Next: aws cloudformation deploy --template-file {out} "
        f"--stack-name prod{bucket} --parameter-overrides BackupStack=STACK\n"
    )
    assert (size > 51_200) is bool(bucket)
    assert "(warning)" in done.err  # each backs up the same


def test_a_link_is_replaced_and_not_followed(build: Build, tmp_path: Path, out: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    out.symlink_to(tmp_path / "victim")
    assert build({"a": document("a")}).status == Exit.OK
    assert ((tmp_path / "victim").read_text(), out.is_symlink()) == ("kept", False)


def test_parameters_are_written_in_five_lanes(build: Build, out: Path) -> None:
    names = [f"t{number:02}" for number in range(12)]
    build({name: document(name) for name in names})
    before = [resources(out)[f"Target{name}"].get("DependsOn") for name in names]
    assert before == [None] * LANES + [f"Target{name}" for name in names[:-LANES]]
