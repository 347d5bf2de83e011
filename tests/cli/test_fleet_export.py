"""The export of a stack, and the YAML of a fleet's files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rds_snap_backup.untrusted import is_name
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.documents import parse
from rds_snap_backup_cli.fleet.writing import to_yaml
from tests.cli.calls import Cli, Done
from tests.cli.fleet_account import NIGHTLY, OUTPUTS, Account, association, document
from tests.cli.wire import AwsWire

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


@pytest.fixture
def account(wire: AwsWire) -> Account:
    return Account(wire)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def export(cli: Cli, fleet: Path, *options: str) -> Done:
    return cli("export", "prod", str(fleet), *options)


def contents(folder: Path) -> dict[str, Any]:
    return {path.relative_to(folder).as_posix(): yaml.safe_load(path.read_text()) for path in folder.rglob("*.yaml")}


def test_a_hand_made_stack_is_exported_and_a_plan_finds_no_difference(cli: Cli, account: Account, fleet: Path) -> None:
    full = {
        "backupLevel": "INCREMENTAL",
        "associations": [association("orders-db", databases=["orders-*", "012345670123"], displayName="Aufträge")],
        "accounts": ["012345670123"],
        "coolDownMinutes": 0,
        "enabled": False,
    }
    for name, content in {"orders": full, "crm": document("crm"), "events": document("events")}.items():
        account.put(name, content, fleet=None)
    account.schedule("orders", fleet=None, timezone="Europe/Berlin")
    account.schedule("crm", fleet=None)
    account.schedules["prod-crm"]["State"] = "DISABLED"
    account.schedule("all", fleet=None)
    account.schedules["prod-all"]["Target"]["Input"] = json.dumps({"target": "*"})
    done = export(cli, fleet)
    assert (done.status, done.out) == (
        Exit.OK,
        f"prod (account 111122223333, eu-central-1): 3 targets of the fleet prod written to {fleet}.\n",
    )
    assert done.err == "Left out: the schedule prod-all of *, which `schedule` did not make.\n"
    assert contents(fleet) == {
        "fleet.yaml": {"name": "prod"},
        "targets/crm.yaml": document("crm") | {"schedule": NIGHTLY},
        "targets/events.yaml": document("events"),
        "targets/orders.yaml": full | {"schedule": NIGHTLY | {"timezone": "Europe/Berlin"}},
    }
    assert cli("validate", str(fleet)).status == Exit.OK
    done = cli("plan", "prod", str(fleet))
    assert (done.status, done.out.splitlines()[-1].endswith(": no differences.")) == (Exit.OK, True)
    # A second run finds what it would write.
    assert export(cli, fleet).status == Exit.OK


def test_the_mark_names_the_fleet_and_is_not_written(cli: Cli, account: Account, fleet: Path) -> None:
    account.put("a", document("a"), fleet="sales")
    account.schedule("a", fleet="sales")
    assert export(cli, fleet).status == Exit.OK
    assert contents(fleet) == {
        "fleet.yaml": {"name": "sales"},
        "targets/a.yaml": document("a") | {"schedule": NIGHTLY},
    }
    assert cli("plan", "prod", str(fleet)).status == Exit.OK


def test_one_of_several_fleets_is_exported(cli: Cli, account: Account, fleet: Path) -> None:
    account.put("a", document("a"), fleet="sales")
    account.put("b", document("b"), fleet="eu")
    assert "the stack has the fleets eu, sales. Name one with --name." in export(cli, fleet).line
    done = export(cli, fleet, "--name", "eu")
    assert (done.status, done.err) == (Exit.OK, "Left out: 1 target of other fleets.\n")
    assert contents(fleet).keys() == {"fleet.yaml", "targets/b.yaml"}
    assert "'no name' is not a valid name of a fleet" in export(cli, fleet, "--name", "no name").line


def test_the_target_of_the_template_stays_the_stacks(cli: Cli, account: Account, fleet: Path) -> None:
    for name in ("default", "a"):
        account.put(name, document(name), fleet=None)
    given = "<member><ParameterKey>ClientName</ParameterKey><ParameterValue>aws-prod</ParameterValue></member>"
    account.wire.stack(f"<Parameters>{given}</Parameters>", **OUTPUTS)
    done = export(cli, fleet)
    assert (done.status, done.err) == (
        Exit.OK,
        "Left out: the target default, which the stack's parameters make.\n",
    )
    assert contents(fleet).keys() == {"fleet.yaml", "targets/a.yaml"}
    assert cli("plan", "prod", str(fleet)).status == Exit.OK


def test_a_document_that_is_not_valid_is_left_out_and_named(cli: Cli, account: Account, fleet: Path) -> None:
    account.put("good", document("a"), fleet=None)
    account.put("bad", "{", fleet=None)
    account.put("much", document("a", databases=["ü" * 250] * 15 + ["y" * 450, "z" * 88]), fleet=None)  # 8,192 bytes
    account.put("n" * 65, document("a"), fleet=None)
    account.put("worse", {"associations": []}, fleet=None)
    done = export(cli, fleet)
    assert done.status == Exit.FINDINGS
    assert [line.partition(". ")[0] for line in done.err.splitlines()] == [
        "Left out: the target bad",
        "Left out: the target much",
        f"Left out: the target {'n' * 65}",
        "Left out: the target worse",
    ]
    assert contents(fleet).keys() == {"fleet.yaml", "targets/good.yaml"}


@pytest.mark.parametrize("name", ["notes.txt", "targets/a.yaml", "fleet.yaml", "targets/other.yaml"])
def test_a_directory_with_other_files_is_refused(cli: Cli, account: Account, fleet: Path, name: str) -> None:
    account.put("a", document("a"), fleet=None)
    file = fleet / name
    file.parent.mkdir(parents=True)
    file.write_text("name: sales\n")
    (fleet / ".git").mkdir()
    (fleet / ".git/config").touch()
    done = export(cli, fleet)
    assert (done.status, f"is not empty: {name} differs" in done.line) == (Exit.COULD_NOT_RUN, True)
    assert [path for path in fleet.rglob("*.*") if path.is_file()] == [file]
    file.unlink()
    assert export(cli, fleet).status == Exit.OK


def test_a_text_that_looks_like_something_else_is_quoted(cli: Cli, account: Account, fleet: Path) -> None:
    account.put("a", {"associations": [association("a", databases=["no", "x: y"])], "allowTag": False}, fleet=None)
    export(cli, fleet)
    assert (fleet / "targets/a.yaml").read_text() == (
        "associations:\n  - clientName: aws-prod\n    instanceName: a\n    subclientName: default\n"
        "    databases:\n      - 'no'\n      - 'x: y'\nallowTag: false\n"
    )


@settings(deadline=None)
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
