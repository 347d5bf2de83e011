"""The report: what it asks, what it prints in each form, and what it prints when there is nothing to show."""

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.output import guarded
from rds_snap_backup_cli.report.command import Form
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

PLACE = "prod (account 111122223333, eu-central-1)"


@pytest.fixture
def prod(wire: AwsWire) -> AwsWire:
    """A deployed stack."""
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", sample.answer())
    return wire


def test_the_table_shows_each_database_and_each_finding(cli: Cli, prod: AwsWire) -> None:
    done = cli("report", "prod")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert prod.asked("Invoke") == [{"FunctionName": "prod-audit", "audit": True}]
    first, *lines, last = done.out.splitlines()
    assert (
        first
        == f"{PLACE}: 4 databases (1 protected, 1 stale, 1 uncovered, 1 excluded); 4 targets, 0 stuck submissions."
    )
    assert last == f"{PLACE}: 2 findings."
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [
        "orders (cluster)",
        "111122223333 eu-central-1",
        "aws-prod / orders / default",
        "2026-03-31 02:09, job 2291 (stack)",
        "protected",
        "It is protected.",
    ] in rows
    assert ["DATABASE_UNCOVERED", "web-sessions / eu-central-1", "No association.", "Name it."] in rows


def test_an_empty_account_is_a_sentence(cli: Cli, prod: AwsWire) -> None:
    prod.answer("Invoke", sample.answer([], []))
    done = cli("report", "prod")
    assert done.status == Exit.OK
    assert done.out == (
        f"{PLACE}: RDS shows no database here; 4 targets, 0 stuck submissions.\n{PLACE}: no findings.\n"
    )


def test_the_json_is_the_answer_as_it_is(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer() | {"since": {"new": "in a later version"}, "name": "\x1b[2Jé\u202e"}
    prod.answer("Invoke", answer)
    printed = cli("report", "prod", "--format", "json").out
    assert json.loads(printed) == answer
    assert printed.isascii()
    assert "\x1b" not in printed


def test_the_csv_has_a_row_for_each_database(cli: Cli, prod: AwsWire) -> None:
    rows = list(csv.DictReader(StringIO(cli("report", "prod", "--format", "csv").out)))
    assert [row["verdict"] for row in rows] == ["protected", "stale", "uncovered", "excluded"]
    assert rows[1] == {
        "arn": f"{sample.ARN}:db:billing",
        "verdict": "stale",
        "subclient": "aws-prod / billing / default",
        "last_completed_job": "2240",
        "last_completed_utc": "2026-03-28 01:12",
        "started_by": "stack",
        "reason": "It is stale.",
    }


@pytest.mark.parametrize("form", Form)
def test_a_file_gets_what_would_be_printed(cli: Cli, prod: AwsWire, tmp_path: Path, form: Form) -> None:
    out = tmp_path / "a report"
    printed = cli("report", "prod", "--format", form).out
    done = cli("report", "prod", "--format", form, "--out", str(out))
    assert (done.status, done.out) == (Exit.FINDINGS, f"{PLACE}: 2 findings. The report is in {out}.\n")
    assert out.read_bytes().decode() == printed or form is Form.HTML  # which has the time
    assert "web-sessions" in out.read_text()


@pytest.mark.parametrize("form", [Form.TABLE, Form.CSV, Form.HTML])
def test_rows_that_the_answer_had_no_room_for_are_counted(cli: Cli, prod: AwsWire, form: Form) -> None:
    full = sample.answer()
    prod.answer("Invoke", full | {"counts": full["counts"] | {"databases": 9004, "findings": 3}})
    done = cli("report", "prod", "--format", form)
    printed = done.err if form is Form.CSV else done.out
    for what in ("9000 of 9004 databases", "1 of 3 findings"):
        assert f"{what} are left out" in printed


def test_a_file_that_cannot_be_written_is_named(cli: Cli, prod: AwsWire, tmp_path: Path) -> None:
    assert (
        f"there is no folder {tmp_path / 'none'}" in cli("report", "prod", "--out", str(tmp_path / "none" / "x")).line
    )
    assert prod.asked("Invoke") == []  # nobody waits for an audit that has nowhere to go
    done = cli("report", "prod", "--out", str(tmp_path))
    assert (done.status, "Is a directory" in done.line) == (Exit.COULD_NOT_RUN, True)


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        (None, "prod-audit returned an answer that this command does not understand: null See its log."),
        (
            {"ok": False, "refused": {"message": "Not known.", "hint": "Send another."}},
            "prod: Not known. Send another.",
        ),
        (sample.answer() | {"counts": {}}, "has another form than this command reads (KeyError: 'databases')"),
        (sample.answer() | {"databases": [{"name": "x"}]}, "another form"),
        (sample.answer() | {"databases": None}, "another form"),
        (sample.answer([sample.database("a", "stale", "1", startedAt="yesterday")]), "another form"),
        (sample.answer([], [sample.finding("A") | {"hint": 7}]), "another form"),
    ],
)
def test_another_answer_is_one_line(cli: Cli, prod: AwsWire, answer: Any, printed: str) -> None:
    prod.answer("Invoke", answer)
    done = cli("report", "prod")
    assert (done.status, printed in done.line) == (Exit.COULD_NOT_RUN, True), done.line


@pytest.mark.parametrize(
    "sign", ["=", "+", "-", "@", "  =", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\u2009=", "\t=", "\n@"]
)
def test_no_cell_begins_as_a_formula(sign: str) -> None:
    assert guarded(f"{sign}1") == f"'{sign}1"


@pytest.mark.parametrize("cell", ["", "orders", "a=b", "2026-03-31", "1-1", "'quoted'", " x"])
def test_no_other_cell_is_changed(cell: str) -> None:
    assert guarded(cell) == cell
