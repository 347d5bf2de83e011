"""The command: what it calls, and what it prints in each form."""

import csv
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from local.tools import ROOT
from ops.command import Exit
from ops.report.__main__ import main
from tests.ops.report import sample
from tests.ops.report.conftest import AuditedStack

FORMS = ("table", "json", "csv", "html")


def test_the_function_is_asked_once_and_nothing_else_is(prod: AuditedStack) -> None:
    prod.answers(sample.answer())
    main(["prod"])
    assert [call for call, _, _ in prod.wire.calls] == ["DescribeStacks", "Invoke"]
    assert prod.calls("Invoke") == [{"FunctionName": "prod-Audit-1", "audit": True}]


def test_the_table_shows_each_database_and_each_finding(prod: AuditedStack, capsys: pytest.CaptureFixture[str]) -> None:
    prod.answers(sample.answer())
    assert main(["prod"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0].startswith("prod: databases 5 (3 covered, 1 uncovered, 1 excluded), targets 4 (1 stale)")
    (main_line,) = (line for line in lines if "orders-main (cluster)" in line)
    cells = [cell.strip() for cell in main_line.strip("│").split("│")]
    assert cells == [
        "orders-main (cluster)",
        "aurora-postgresql",
        "orders (tag)",
        "2026-03-31 02:09",
        "2026-03-31 02:24",
        "covered",
    ]
    assert "job 2291 of orders" in lines[lines.index(main_line) + 1]
    assert "sp-orders-main-2291" in lines[lines.index(main_line) + 1]
    (uncovered,) = (line for line in lines if "│ web-sessions" in line and "mysql" in line)
    assert [cell.strip() for cell in uncovered.strip("│").split("│")][2:] == ["none", "none", "none", "uncovered"]
    for found in sample.answer()["findings"]:
        assert found["code"] in printed
        for words in (found["message"], found["hint"]):
            assert words.split()[0] in printed
    assert lines[-1] == "prod: 2 findings."


def test_without_findings_all_is_well(prod: AuditedStack, capsys: pytest.CaptureFixture[str]) -> None:
    prod.answers(sample.clean())
    assert main(["prod"]) == Exit.OK
    printed = capsys.readouterr().out
    assert printed.endswith("prod: no findings.\n")
    assert "What to do" not in printed


def test_the_json_is_the_answer_as_it_is(prod: AuditedStack, capsys: pytest.CaptureFixture[str]) -> None:
    answer = sample.answer() | {"new": "in a later version", "name": "\x1b[2Jé\u202e"}
    prod.answers(answer)
    assert main(["prod", "--format", "json"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert json.loads(printed) == answer
    assert printed.isascii()
    assert "\x1b" not in printed


def test_the_csv_has_a_row_for_each_database(prod: AuditedStack, capsys: pytest.CaptureFixture[str]) -> None:
    prod.answers(sample.answer())
    assert main(["prod", "--format", "csv"]) == Exit.FINDINGS
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert [row["database"] for row in rows] == [one["name"] for one in sample.answer()["databases"]]
    assert rows[2] == {
        "database": "billing",
        "kind": "instance",
        "engine": "oracle-ee",
        "verdict": "stale",
        "targets": "billing (association)",
        "last_completed_utc": "2026-03-28 01:12",
        "last_completed_target": "billing",
        "last_completed_jobs": "2240",
        "newest_manual_snapshot": "sp-billing-2240",
        "newest_manual_snapshot_utc": "2026-03-28 01:12",
        "arn": f"{sample.ARN}:db:billing",
    }
    assert set(rows[3].values()) == {
        "web-sessions",
        "instance",
        "mysql",
        "uncovered",
        "",
        f"{sample.ARN}:db:web-sessions",
    }


def test_the_page_has_what_the_ledger_keeps_of_all_its_pages(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    prod.answers(sample.answer())
    now = datetime.now(UTC)
    prod.has_ledger(
        [sample.item("orders", "completed", now - timedelta(days=2), "first")],
        [],
        [sample.item("orders", "failed", now - timedelta(days=1), "last", reason="Out of luck.")],
    )
    assert main(["prod", "--format", "html"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert printed.startswith("<!DOCTYPE html>")
    for shown in ("job first", "job last", "Out of luck.", "111122223333", "eu-central-1", "1.1.0", f"{now:%Y-%m-%d}"):
        assert shown in printed
    asked = prod.calls("Scan")
    assert len(asked) == 3
    assert {one["TableName"] for one in asked} == {"prod-Ledger-1"}
    assert all(one["ProjectionExpression"] == "#end, #recorded" for one in asked)
    since = datetime.fromtimestamp(int(asked[0]["ExpressionAttributeValues"][":since"]["N"]), UTC)
    assert timedelta(days=29) <= now - since < timedelta(days=30)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_gets_what_would_be_printed(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    prod.answers(sample.answer())
    prod.has_ledger([])
    out = tmp_path / "a report"
    assert main(["prod", "--format", form, "--out", str(out)]) == Exit.FINDINGS
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"prod: 2 findings. The report is in {out}.\n", "")
    text = out.read_bytes().decode()
    assert "orders-archive" in text
    assert "\x1b" not in text
    assert main(["prod", "--format", form]) == Exit.FINDINGS
    if form in {"json", "csv"}:
        assert capsys.readouterr().out == text


def test_names_are_neither_markup_nor_commands_to_the_terminal(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = sample.database("[red]a[/red]\x1b]0;title\x07\u202eb", "uncovered")
    prod.answers(sample.answer() | {"databases": [hostile]})
    assert main(["prod"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert r"[red]a[/red]\x1b]0;title\x07\u202eb" in printed
    assert all(one.isprintable() or one == "\n" for one in printed)


@pytest.mark.parametrize("form", ["table", "csv", "html"])
def test_rows_that_the_answer_had_no_room_for_are_counted(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    full = sample.answer()
    prod.answers(full | {"counts": full["counts"] | {"databases": 9005, "findings": 3}})
    prod.has_ledger([])
    assert main(["prod", "--format", form]) == Exit.FINDINGS
    said = capsys.readouterr()
    printed = said.err if form == "csv" else said.out
    for what in ("9000 of 9005 databases", "1 of 3 findings"):
        assert f"{what} are left out: the audit&#39;s answer" in printed.replace("audit's", "audit&#39;s")
    assert "targets are left out" not in printed


@pytest.mark.parametrize("form", FORMS)
def test_progress_is_shown_on_a_terminal_alone(prod: AuditedStack, tmp_path: Path, form: str) -> None:
    prod.answers(sample.clean())
    prod.has_ledger([])
    command = [sys.executable, "-m", "ops.report", "prod", "--format", form]
    ours, theirs = pty.openpty()
    with (tmp_path / "out").open("w+") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=theirs)
        os.close(theirs)
        shown = b"".join(read_all(ours))
        os.close(ours)
        assert process.wait() == Exit.OK
        out.seek(0)
        printed = out.read()
    assert b"the Audit function runs" in shown
    assert "orders-main" in printed
    assert "Audit function runs" not in printed
    piped = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    assert piped.stderr == ""


def read_all(terminal: int) -> Iterator[bytes]:
    """Yield what is written to a terminal until its last writer has ended, which Linux reports as an error."""
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            yield chunk
