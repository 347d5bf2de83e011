"""The command: what it asks, what it prints in each form, and what it prints when there is nothing to show."""

import csv
import json
import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from local.tools import ROOT
from ops.command import Exit
from ops.report.__main__ import FORMATS, main
from ops.report.audit import Audit
from ops.report.rows import HEAD, csv_of, guarded
from tests.ops.report import sample
from tests.ops.wire import AwsWire

OUTPUTS = {
    "AuditFunctionName": "prod-audit",
    "NotificationsTopicArn": "arn:aws:sns:eu-central-1:111122223333:prod-Notifications-1",
}


@pytest.fixture
def prod(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    """A deployed stack, seen from a wide shell."""
    monkeypatch.setenv("COLUMNS", "200")
    wire.stack(Version="2.0.0", **OUTPUTS)
    wire.answer("Invoke", sample.answer())
    return wire


def test_the_table_shows_each_database_and_each_finding(prod: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prod"]) == Exit.FINDINGS
    assert prod.asked("Invoke") == [{"FunctionName": "prod-audit", "audit": True}]
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first.startswith("prod: databases 4 (1 protected, 1 stale, 1 uncovered, 1 excluded), targets 4,")
    assert last == "prod: 2 findings."
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [
        "orders (cluster)",
        "111122223333 eu-central-1",
        "aws-prod / orders / default",
        "2026-03-31 02:09",
        "protected",
        "It is protected.",
    ] in rows
    assert ["", "", "", "job 2291 (stack)", "", ""] in rows
    assert ["DATABASE_UNCOVERED", "web-sessions / eu-central-1", "No association.", "Name it."] in rows
    assert ["BACKUP_STALE", "billing", "77 hours old.", "Look for the cause."] in rows


def test_without_findings_all_is_well(prod: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    prod.answer("Invoke", sample.answer([], []))
    assert main(["prod"]) == Exit.OK
    printed = capsys.readouterr().out
    assert printed.endswith("prod: no findings.\n")
    assert "What to do" not in printed


def test_the_json_is_the_answer_as_it_is(prod: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    answer = sample.answer() | {"since": {"new": "in a later version"}, "name": "\x1b[2Jé\u202e"}
    prod.answer("Invoke", answer)
    assert main(["prod", "--format", "json"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert json.loads(printed) == answer
    assert printed.isascii()
    assert "\x1b" not in printed


def test_the_csv_has_a_row_for_each_database(prod: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prod", "--format", "csv"]) == Exit.FINDINGS
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
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


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gets_what_would_be_printed(
    prod: AwsWire, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    out = tmp_path / "a report"
    assert main(["prod", "--format", form, "--out", str(out)]) == Exit.FINDINGS
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"prod: 2 findings. The report is in {out}.\n", "")
    text = out.read_bytes().decode()
    assert "web-sessions" in text
    assert "\x1b" not in text


def test_names_are_neither_markup_nor_commands_to_the_terminal(
    prod: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = sample.database("[red]a[/red]\x1b]0;title\x07\u202eb", "uncovered")
    prod.answer("Invoke", sample.answer([hostile]))
    assert main(["prod"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert r"[red]a[/red]\x1b]0;title\x07\u202eb" in printed
    assert all(one.isprintable() or one == "\n" for one in printed)


@pytest.mark.parametrize("form", ["table", "csv", "html"])
def test_rows_that_the_answer_had_no_room_for_are_counted(
    prod: AwsWire, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    full = sample.answer()
    prod.answer("Invoke", full | {"counts": full["counts"] | {"databases": 9004, "findings": 3}})
    assert main(["prod", "--format", form]) == Exit.FINDINGS
    said = capsys.readouterr()
    printed = said.err if form == "csv" else said.out
    for what in ("9000 of 9004 databases", "1 of 3 findings"):
        assert f"{what} are left out" in printed


def test_progress_is_shown_on_a_terminal_alone(prod: AwsWire) -> None:
    command = [sys.executable, "-m", "ops.report", "prod", "--format", "json"]
    ours, theirs = pty.openpty()
    on_a_terminal = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, text=True, check=False)
    os.close(theirs)
    assert b"the Audit function runs" in os.read(ours, 65_536)
    os.close(ours)
    piped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (piped.stdout, piped.stderr) == (on_a_terminal.stdout, "")


# ---- Nothing to show


def test_a_file_that_cannot_be_written_is_named(
    prod: AwsWire, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["prod", "--out", str(tmp_path / "none" / "report.txt")]) == Exit.COULD_NOT_RUN
    assert prod.asked("Invoke") == []  # nobody waits for an audit that has nowhere to go
    assert main(["prod", "--out", str(tmp_path)]) == Exit.COULD_NOT_RUN
    missing, folder = capsys.readouterr().err.splitlines()
    assert f"there is no folder {tmp_path / 'none'}" in missing
    assert f"prod: {tmp_path} cannot be written: Is a directory." in folder


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        (None, "prod-audit returned no audit: null See its log."),
        ({"errorMessage": "Task timed out\nafter 600 s"}, "its Audit function failed: Task timed out after 600 s See"),
        (
            {"ok": False, "refused": {"message": "Not known.", "hint": "Send another."}},
            "prod: Not known. Send another.",
        ),
        (sample.answer() | {"counts": {}}, "has another form than this command reads (KeyError: 'databases')"),
        (sample.answer() | {"databases": [{"name": "x"}]}, "another form"),
        (sample.answer() | {"databases": None}, "another form"),
        (sample.answer([sample.database("a", "stale", "1", startedAt="yesterday")]), "another form"),
        (sample.answer([], [sample.finding("A") | {"hint": None}]), "another form"),
    ],
)
def test_an_answer_that_is_not_an_audit_is_one_line(
    prod: AwsWire, capsys: pytest.CaptureFixture[str], answer: Any, printed: str
) -> None:
    prod.answers["Invoke"] = lambda _: (200, json.dumps(answer))
    assert main(["prod"]) == Exit.COULD_NOT_RUN
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("prod: ")
    assert printed in line
    assert said.out == ""


# ---- No cell of the CSV is a formula. The full-width signs are those of East Asian keyboards.


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", "\u2009=1", "\t=1", "\n@x"],
)
def test_no_cell_begins_as_a_formula(name: str) -> None:
    texts = dict.fromkeys(("arn", "verdict", "subclient", "jobId", "by", "reason"), name)
    answer = sample.answer() | {"databases": [sample.database("a", "stale", "1") | texts]}
    head, row = csv.reader(StringIO(csv_of(Audit.read(answer))))
    assert head == list(HEAD)
    for cell in row:
        assert cell[0].isalnum() or cell[0] in "'\\", cell
    assert row[0].endswith(name.strip())


@pytest.mark.parametrize("cell", ["", "orders", "a=b", "2026-03-31", "1-1", "'quoted'", " x"])
def test_what_is_not_a_formula_stays_as_it_is(cell: str) -> None:
    assert guarded(cell) == cell
