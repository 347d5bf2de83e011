"""The report: what it asks, what it prints in each form, and what it prints when there is nothing to show."""

import csv
import json
import uuid
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.output import guarded
from rds_snap_backup_cli.report.command import Form
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

PLACE = "prod (account 111122223333, eu-central-1)"
SINCE = "Since 2026-03-30 06:00 UTC: 3 submissions; backups: 2 completed, 1 failed; jobs in Commvault: 8 completed, 1 completed with errors."


@pytest.fixture
def prod(wire: AwsWire) -> AwsWire:
    """A deployed stack."""
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", sample.answer())
    return wire


@pytest.fixture
def s3(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the S3 that reports are written to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.endpoint_url)
    return aws.client("s3")


def test_the_table_shows_each_database_and_each_finding(cli: Cli, prod: AwsWire) -> None:
    done = cli("report", "prod")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert prod.asked("Invoke") == [{"FunctionName": "prod-audit", "audit": True}]
    first, second, *lines, last = done.out.splitlines()
    assert first == (
        f"{PLACE}: 4 databases (1 protected, 1 stale, 1 uncovered, 1 excluded) in 2 accounts and regions; "
        "4 targets, 0 stuck submissions."
    )
    assert second == SINCE
    assert last == f"{PLACE}: 2 findings."
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [
        "orders (cluster)",
        "111122223333",
        "eu-central-1",
        "aws-prod / orders / default",
        "2026-03-31 02:09, job 2291, by this stack",
        "protected",
        "It is protected.",
    ] in rows
    assert ["DATABASE_UNCOVERED", "111122223333", "eu-central-1", "web-sessions", "No association.", "Name it."] in rows


def test_an_empty_account_is_a_sentence(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer([], [])
    prod.answer("Invoke", answer | {"counts": answer["counts"] | {"places": 1}})
    done = cli("report", "prod")
    assert done.status == Exit.OK
    assert done.out == (
        f"{PLACE}: RDS shows no database here; 4 targets, 0 stuck submissions.\n{SINCE}\n{PLACE}: no findings.\n"
    )


def test_all_pages_are_read_and_a_database_counts_once(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer()
    one, two, three, four = answer["databases"]
    pages = [[one, two], [two, three], [four]]
    prod.answer("Invoke", *(answer | {"databases": rows, "pages": 3} for rows in pages))
    assert json.loads(cli("report", "prod", "--format", "json").out) == answer
    assert [asked.get("page") for asked in prod.asked("Invoke")] == [None, 2, 3]


def test_the_json_is_the_answer_as_it_is(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer() | {"later": {"new": "in a later version"}, "name": "\x1b[2Jé\u202e"}
    prod.answer("Invoke", answer)
    printed = cli("report", "prod", "--format", "json").out
    assert json.loads(printed) == answer
    assert printed.isascii()
    assert "\x1b" not in printed


def test_the_csv_has_a_row_for_each_database_and_each_finding(cli: Cli, prod: AwsWire) -> None:
    rows = list(csv.DictReader(StringIO(cli("report", "prod", "--format", "csv").out)))
    assert [row["row"] for row in rows] == ["database"] * 4 + ["finding"] * 2
    assert [row["verdict"] for row in rows] == ["protected", "stale", "uncovered", "excluded", "", ""]
    place = {"account": "111122223333", "region": "eu-central-1"}
    assert {name: cell for name, cell in rows[1].items() if cell} == place | {
        "row": "database",
        "database": "billing",
        "verdict": "stale",
        "subclient": "aws-prod / billing / default",
        "jobId": "2240",
        "startedAt": "2026-03-28T01:12:00Z",
        "by": "stack",
        "reason": "It is stale.",
        "arn": f"{sample.ARN}:db:billing",
    }
    assert {name: cell for name, cell in rows[4].items() if cell} == place | {
        "row": "finding",
        "database": "web-sessions",
        "code": "DATABASE_UNCOVERED",
        "message": "No association.",
        "hint": "Name it.",
    }


@pytest.mark.parametrize("form", Form)
def test_a_file_gets_what_would_be_printed(cli: Cli, prod: AwsWire, tmp_path: Path, form: Form) -> None:
    out = tmp_path / "a report"
    printed = cli("report", "prod", "--format", form).out
    done = cli("report", "prod", "--format", form, "--out", str(out))
    assert (done.status, done.out) == (Exit.FINDINGS, f"{PLACE}: 2 findings. The report is in {out}.\n")
    assert out.read_bytes().decode() == printed or form is Form.HTML  # which has the time
    assert "web-sessions" in out.read_text()


@pytest.mark.parametrize(
    ("form", "content_type"), [(Form.HTML, "text/html; charset=utf-8"), (Form.JSON, "application/json")]
)
def test_a_bucket_gets_what_a_file_gets(cli: Cli, prod: AwsWire, s3: Any, form: Form, content_type: str) -> None:
    bucket = f"audits-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    out = f"s3://{bucket}/rds/a report"
    done = cli("report", "prod", "--format", form, "--out", out)
    assert (done.status, done.out) == (Exit.FINDINGS, f"{PLACE}: 2 findings. The report is in {out}.\n")
    stored = s3.get_object(Bucket=bucket, Key="rds/a report")
    assert (stored["ContentType"], b"web-sessions" in stored["Body"].read()) == (content_type, True)
    done = cli("report", "prod", "--out", f"s3://no-{bucket}/report")
    assert (done.status, "PutObject failed (NoSuchBucket)" in done.line) == (Exit.COULD_NOT_RUN, True)


@pytest.mark.parametrize("out", ["s3://", "s3://audits", "s3:///report", "s3://audits/", "s3://audits/rds/"])
def test_a_bucket_without_an_object_is_refused(cli: Cli, prod: AwsWire, out: str) -> None:
    assert f"{out} names no object. Write s3://BUCKET/KEY." in cli("report", "prod", "--out", out).line
    assert prod.asked("Invoke") == []


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
    assert (done.status, "is a folder. Name another path." in done.line) == (Exit.COULD_NOT_RUN, True)


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
        (sample.answer() | {"databases": None}, "does not understand"),
        (sample.answer([sample.database("a", "stale", "1", startedAt="yesterday")]), "another form"),
        (sample.answer([], [sample.finding("A") | {"hint": 7}]), "another form"),
        (sample.answer() | {"since": {"time": "today", "submissions": 1, "backups": {}, "jobs": {}}}, "another form"),
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
