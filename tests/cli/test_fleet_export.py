"""The export of a stack, and the YAML of a fleet's files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rds_snap_backup.untrusted import is_name
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.changes import Wish, compare
from rds_snap_backup_cli.fleet.documents import parse
from rds_snap_backup_cli.fleet.files import read_fleet, stored_text
from rds_snap_backup_cli.fleet.stored import read_stored
from rds_snap_backup_cli.fleet.writing import to_yaml
from rds_snap_backup_cli.program import Call
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

PATH = "/rds-snap-backup/prod/targets/"
FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:prod-backup"
NIGHTLY = {"expression": "cron(0 3 * * ? *)", "timezone": "Europe/Berlin"}
# What YAML readers take for something else.
NOT_TEXT = [
    "no",
    "null",
    "~",
    "",
    "012345670123",
    "0o17",
    "1e3",
    "1_000",
    "0x1F",
    "2024-01-01",
    "12:30:45",
    "=",
    "<<",
    "- a",
]
NOT_TEXT += [
    "a: b",
    "a #b",
    "#",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a",
    "'",
    '"',
    "---",
    "...",
    "?",
    "[a]",
    "{a",
    "tab\there",
]

type Export = Callable[..., Any]


def association(name: str, **more: Any) -> dict[str, Any]:
    return {"clientName": "aws-prod", "instanceName": name, "subclientName": "default", **more}


def documents(**found: Mapping[str, Any] | str) -> dict[str, str]:
    return {name: one if isinstance(one, str) else json.dumps(one) for name, one in found.items()}


def schedule(target: str, **more: Any) -> dict[str, Any]:
    """Return a schedule as `schedule` makes it."""
    event = {"target": target, "schedule": "<aws.scheduler.schedule-arn>"}
    return {
        "ScheduleExpression": NIGHTLY["expression"],
        "ScheduleExpressionTimezone": NIGHTLY["timezone"],
        "Target": {"Arn": FUNCTION, "RoleArn": "arn:aws:iam::111122223333:role/s", "Input": json.dumps(event)},
        **more,
    }


@pytest.fixture
def export(cli: Cli, wire: AwsWire, tmp_path: Path) -> Export:
    """Call the command for a stack with these documents and schedules."""
    wire.stack(TargetsPath=PATH, BackupFunctionArn=FUNCTION, ScheduleGroupName="prod-schedules")
    wire.answer("DescribeParameters", {"Parameters": []})

    def call(texts: Mapping[str, str], *arguments: str, **schedules: Mapping[str, Any]) -> Any:
        named = {name.replace("_", "-"): one for name, one in schedules.items()}
        rows = [{"Name": PATH + name, "Value": text, "Version": 1} for name, text in texts.items()]
        wire.answer("GetParametersByPath", {"Parameters": rows})
        wire.answer("ListSchedules", {"Schedules": [{"Name": name} for name in named]})
        wire.answers["GetSchedule"] = lambda asked: (200, json.dumps({"Name": asked["Name"], **named[asked["Name"]]}))
        return cli("export", "prod", str(tmp_path / "fleet"), *arguments)

    return call


def contents(folder: Path) -> dict[str, Any]:
    return {path.relative_to(folder).as_posix(): yaml.safe_load(path.read_text()) for path in folder.rglob("*.yaml")}


def test_a_hand_made_stack_is_exported_and_a_plan_finds_no_difference(export: Export, tmp_path: Path) -> None:
    full = {
        "backupLevel": "INCREMENTAL",
        "associations": [association("orders-db", databases=["orders-*", "012345670123"], displayName="Aufträge")],
        "accounts": ["012345670123"],
        "coolDownMinutes": 0,
        "enabled": False,
    }
    texts = documents(
        orders=full, crm={"associations": [association("crm")]}, events={"associations": [association("e")]}
    )
    disabled = schedule("crm", State="DISABLED")
    done = export(texts, prod_orders=schedule("orders"), prod_crm=disabled, prod_all=schedule("*"))
    assert (done.status, done.out) == (
        Exit.OK,
        f"prod (account 111122223333, eu-central-1): 3 targets of the fleet prod written to {tmp_path / 'fleet'}.\n",
    )
    assert done.err == "Left out: the schedule prod-all of *, which `schedule` did not make.\n"
    assert contents(tmp_path / "fleet") == {
        "fleet.yaml": {"name": "prod"},
        "targets/crm.yaml": {"associations": [association("crm")], "schedule": NIGHTLY},
        "targets/events.yaml": {"associations": [association("e")]},
        "targets/orders.yaml": {**full, "schedule": NIGHTLY},
    }
    fleet = read_fleet(tmp_path / "fleet")
    assert fleet.errors == ()
    assert compare(fleet, read_stored(Call("prod").stack()), Wish("prod")).changes == ()
    # A second run finds what it would write.
    assert export(texts, prod_orders=schedule("orders"), prod_crm=disabled).status == Exit.OK


def test_the_mark_names_the_fleet_and_is_not_written(export: Export, tmp_path: Path) -> None:
    done = export(documents(a={"associations": [association("a")], "fleet": "sales"}))
    assert done.status == Exit.OK
    assert contents(tmp_path / "fleet") == {
        "fleet.yaml": {"name": "sales"},
        "targets/a.yaml": {"associations": [association("a")]},
    }


def test_one_of_several_fleets_is_exported(export: Export, tmp_path: Path) -> None:
    texts = documents(
        a={"associations": [association("a")], "fleet": "sales"}, b={"associations": [association("b")], "fleet": "eu"}
    )
    assert "the stack has the fleets eu, sales. Name one with --name." in export(texts).line
    done = export(texts, "--name", "eu")
    assert (done.status, done.err) == (Exit.OK, "Left out: 1 target of other fleets.\n")
    assert contents(tmp_path / "fleet").keys() == {"fleet.yaml", "targets/b.yaml"}


def test_a_document_that_is_not_valid_is_left_out_and_named(export: Export, tmp_path: Path) -> None:
    done = export(documents(good={"associations": [association("a")]}, bad="{", worse={"associations": []}))
    assert done.status == Exit.FINDINGS
    assert [line.partition(". ")[0] for line in done.err.splitlines()] == [
        "Left out: the target bad",
        "Left out: the target worse",
    ]
    assert contents(tmp_path / "fleet").keys() == {"fleet.yaml", "targets/good.yaml"}


@pytest.mark.parametrize("name", ["notes.txt", "targets/a.yaml", "fleet.yaml", "targets/other.yaml"])
def test_a_directory_with_other_files_is_refused(export: Export, tmp_path: Path, name: str) -> None:
    file = tmp_path / "fleet" / name
    file.parent.mkdir(parents=True)
    file.write_text("name: sales\n")
    (tmp_path / "fleet/.git").mkdir()
    (tmp_path / "fleet/.git/config").touch()
    done = export(documents(a={"associations": [association("a")]}))
    assert (done.status, f"is not empty: {name} differs" in done.line) == (Exit.COULD_NOT_RUN, True)
    assert [path for path in (tmp_path / "fleet").rglob("*.*") if path.is_file()] == [file]
    file.unlink()
    assert export(documents(a={"associations": [association("a")]})).status == Exit.OK


@given(
    st.recursive(
        st.sampled_from(NOT_TEXT)
        | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
        | st.booleans()
        | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text().filter(is_name), inner, max_size=3),
    )
)
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    document = {"a": value, "b": [value, value]}
    text = to_yaml(document)
    found = parse(text.encode(), is_json=False)
    assert (found.value, found.defects) == (document, ())
    assert yaml.safe_load(text) == document


def test_an_export_of_what_a_file_says_is_the_same_text(export: Export, tmp_path: Path) -> None:
    document = {"associations": [association("a", databases=["no", "x: y"])], "allowTag": False}
    export(documents(a=document))
    text = (tmp_path / "fleet/targets/a.yaml").read_text()
    assert text == (
        "associations:\n  - clientName: aws-prod\n    instanceName: a\n    subclientName: default\n"
        "    databases:\n      - 'no'\n      - 'x: y'\nallowTag: false\n"
    )
    entry = read_fleet(tmp_path / "fleet").entries["a"]
    assert json.loads(stored_text(entry.document)) == {**document, "fleet": "prod"}
