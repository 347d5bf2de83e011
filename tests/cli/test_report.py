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
from rds_snap_backup_cli.report.content import MEANINGS, Verdict
from rds_snap_backup_cli.report.form import Form
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

PLACE = "prod (account 111122223333, eu-central-1)"
CALLER = "arn:aws:sts::111122223333:assumed-role/operator/me"
IDENTITY = f"<R><GetCallerIdentityResult><Arn>{CALLER}</Arn></GetCallerIdentityResult></R>"
FACTS = [
    "Audited (UTC): 2026-03-31 06:00",
    f"Asked by: {CALLER}, by hand",
    "Commvault: https://cv.example.com/api",
    "Maximum age: 26 hours, unless a target says otherwise",
    (
        "From 2026-03-30 05:50 to 2026-03-31 05:50 UTC, as sums of the stack's metrics, in which one can count twice: "
        "backups: 184 submitted, 1 failed; submissions: 90 seconds throttled; events: none."
    ),
]


@pytest.fixture
def prod(wire: AwsWire) -> AwsWire:
    """A deployed stack."""
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", sample.answer())
    wire.answers["GetCallerIdentity"] = lambda _: (200, IDENTITY)
    return wire


@pytest.fixture
def s3(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the S3 that reports are written to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.endpoint_url)
    return aws.client("s3")


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]


def test_the_table_shows_problems_first(cli: Cli, prod: AwsWire) -> None:
    done = cli("report", "prod")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert prod.asked("Invoke") == [{"FunctionName": "prod-audit", "audit": True}]
    first, *lines = done.out.splitlines()
    assert first == (
        f"{PLACE}: 4 databases (1 uncovered, 1 stale, 1 protected, 1 excluded) in 2 accounts and regions; "
        "4 targets, 0 stuck submissions."
    )
    assert lines[:5] == FACTS
    assert lines[-1] == f"{PLACE}: 2 findings."
    rows = cells(done.out)
    home = "111122223333 eu-central-1"
    finding = [f"DATABASE_UNCOVERED: web-sessions, {home}", "  No group.", "  What to do: Add it."]
    assert lines[lines.index(finding[0]) :][:3] == finding
    assert [row[1] for row in rows] == ["uncovered", "stale", "protected", "excluded"]
    assert rows[0][4] == "", "the finding says it"
    assert rows[2] == [
        f"orders (cluster), {home}",
        "protected",
        "2026-03-31 02:10",
        "job 2291, by this stack: 2026-03-31 02:09 to 02:19",
        "It is protected.",
    ]


def test_an_empty_account_is_a_sentence(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer([], [])
    prod.answer("Invoke", answer | {"counts": answer["counts"] | {"places": 1}})
    prod.answers["GetCallerIdentity"] = lambda _: (403, "<E><Error><Code>X</Code></Error></E>")
    done = cli("report", "prod")
    assert done.status == Exit.OK
    facts = [FACTS[0], "Asked by: an unknown caller, by hand", *FACTS[2:]]
    assert done.out.splitlines() == [
        f"{PLACE}: RDS shows no database here; 4 targets, 0 stuck submissions.",
        *facts,
        f"{PLACE}: no findings.",
    ]


def test_all_pages_are_read_and_a_database_counts_once(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer()
    one, two, three, four = answer["databases"]
    pages = [[one, two], [two, three], [four]]
    prod.answer("Invoke", *(answer | {"databases": rows, "pages": 3} for rows in pages))
    shown = json.loads(cli("report", "prod", "--format", "json").out)
    assert shown == {**answer, "databases": [three, two, one, four], "askedBy": FACTS[1][10:], "verdicts": MEANINGS}
    assert [asked.get("page") for asked in prod.asked("Invoke")] == [None, 2, 3]


def test_the_json_keeps_what_it_does_not_know(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer() | {"later": {"new": "in a later version"}, "name": "\x1b[2Jé\u202e"}
    prod.answer("Invoke", answer)
    printed = cli("report", "prod", "--format", "json").out
    assert json.loads(printed)["later"] == answer["later"]
    assert printed.isascii()
    assert "\x1b" not in printed


def test_the_csv_says_what_it_is_of_then_findings_databases_and_meanings(cli: Cli, prod: AwsWire) -> None:
    rows = list(csv.DictReader(StringIO(cli("report", "prod", "--format", "csv").out)))
    kinds = [row["row"] for row in rows]
    assert list(dict.fromkeys(kinds)) == ["audit", "account", "finding", "database", "verdict"]
    audit = {row["code"]: row["message"] for row in rows if row["row"] == "audit"}
    assert audit["Stack"] == sample.STACK
    assert audit["Maximum age"].startswith("26 hours")
    assert [row["message"] for row in rows if row["row"] == "account"] == ["3 databases", "unread databases"]
    assert {row["verdict"]: row["message"] for row in rows if row["row"] == "verdict"} == MEANINGS
    databases = [row for row in rows if row["row"] == "database"]
    assert [row["verdict"] for row in databases] == ["uncovered", "stale", "protected", "excluded"]
    assert {name: cell for name, cell in databases[2].items() if cell} == sample.HOME | {
        "row": "database",
        "database": "orders",
        "verdict": "protected",
        "groups": "aws-prod / RDS / orders",
        "restorePoint": "orders-1",
        "createdAt": "2026-03-31T02:10:04Z",
        "snapshot": f"{sample.ARN}:snapshot:orders-1",
        "jobId": "2291",
        "startedAt": "2026-03-31T02:09:44Z",
        "endedAt": "2026-03-31T02:19:01Z",
        "by": "stack",
        "reason": "It is protected.",
        "arn": f"{sample.ARN}:cluster:orders",
    }


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--verdict", "stale"], ["billing"]),
        (["--verdict", "stale", "--verdict", "protected"], ["billing", "orders"]),
        (["--max-age", "5"], ["web-sessions", "billing"]),
        (["--max-age", "100"], ["web-sessions"]),
        (["--max-age", "5", "--verdict", "stale"], ["billing"]),
    ],
)
def test_databases_are_chosen_by_verdict_and_age(cli: Cli, prod: AwsWire, options: list[str], names: list[str]) -> None:
    done = cli("report", "prod", "--format", "json", *options)
    assert [row["arn"].split(":")[-1] for row in json.loads(done.out)["databases"]] == names
    assert f"{4 - len(names)} databases are left out, as asked." in done.err
    assert done.status == Exit.FINDINGS


def test_an_outage_names_since_when_and_the_last_report(cli: Cli, prod: AwsWire) -> None:
    rows = [sample.database("a", "unreadable", lastRead="2026-03-30T06:00:04Z")]
    last = {"time": "2026-03-30T06:00:04Z", "report": "s3://audits/last.json"}
    for known, expected in (
        (last, "since 2026-03-30 06:00 UTC, the last audit that read all. Its report is s3://audits/last.json."),
        ({**last, "report": None}, "since 2026-03-30 06:00 UTC, the last audit that read all.\n"),
        (None, "no daily audit before could read all of them."),
    ):
        prod.answer("Invoke", sample.answer(rows, lastRead=known))
        assert expected in cli("report", "prod").out


@pytest.mark.parametrize("form", Form)
def test_a_file_gets_what_would_be_printed(cli: Cli, prod: AwsWire, tmp_path: Path, form: Form) -> None:
    out = tmp_path / "a report"
    printed = cli("report", "prod", "--format", form).out
    done = cli("report", "prod", "--format", form, "--out", str(out))
    assert done.status == Exit.FINDINGS
    assert f"{PLACE}: 2 findings. The report is in {out}.\n" in done.out
    assert out.read_bytes().decode() == printed
    assert "web-sessions" in printed


def test_the_ending_of_a_file_decides_its_form(cli: Cli, prod: AwsWire, tmp_path: Path) -> None:
    for ending, begin in (("html", "<!DOCTYPE html>"), ("json", "{"), ("csv", '"row"'), ("txt", PLACE)):
        out = tmp_path / f"report.{ending}"
        cli("report", "prod", "--out", str(out))
        assert out.read_text().startswith(begin)


@pytest.mark.parametrize(
    ("form", "content_type"), [(Form.HTML, "text/html; charset=utf-8"), (Form.JSON, "application/json")]
)
def test_a_bucket_gets_what_a_file_gets_and_gives_it_back(
    cli: Cli, prod: AwsWire, s3: Any, form: Form, content_type: str
) -> None:
    bucket = f"audits-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    out = f"s3://{bucket}/rds/a report"
    done = cli("report", "prod", "--format", form, "--out", out)
    assert f"{PLACE}: 2 findings. The report is in {out}.\n" in done.out
    stored = s3.get_object(Bucket=bucket, Key="rds/a report")
    assert (stored["ContentType"], b"web-sessions" in stored["Body"].read()) == (content_type, True)
    again = cli("report", "--from", out)
    assert again.status == (Exit.FINDINGS if form is Form.JSON else Exit.COULD_NOT_RUN)
    assert cli("report", "prod").out == again.out or form is Form.HTML
    done = cli("report", "prod", "--out", f"s3://no-{bucket}/report")
    assert (done.status, "PutObject failed (NoSuchBucket)" in done.line) == (Exit.COULD_NOT_RUN, True)


@pytest.mark.parametrize("out", ["s3://", "s3://audits", "s3:///report", "s3://audits/", "s3://audits/rds/"])
def test_a_bucket_without_an_object_is_refused(cli: Cli, prod: AwsWire, out: str) -> None:
    assert f"{out} names no object. Write s3://BUCKET/KEY." in cli("report", "prod", "--out", out).line
    assert f"{out} names no object. Write s3://BUCKET/KEY." in cli("report", "--from", out).line
    assert prod.calls == []


def test_a_stored_report_needs_no_stack(cli: Cli, wire: AwsWire, tmp_path: Path) -> None:
    source = tmp_path / "stored.json"
    source.write_text(json.dumps(sample.answer(previous={"key": "before.json", "sha256": "0"})))
    for form in Form:
        done = cli("report", "--from", str(source), "--format", form)
        assert done.status == Exit.FINDINGS
        assert "web-sessions" in done.out
        assert "before.json" in done.out or form is Form.TABLE
        assert "arn:schedule|2026-03-31T06:00:00Z" in done.out
    assert wire.calls == []
    assert "STACK must be given" in cli("report").err
    source.write_text("[]")
    assert "is no report" in cli("report", "--from", str(source)).line
    assert "No such file" in cli("report", "--from", str(tmp_path / "none")).line


@pytest.mark.parametrize("form", [Form.TABLE, Form.CSV, Form.HTML])
def test_findings_that_the_answer_had_no_room_for_are_counted(cli: Cli, prod: AwsWire, form: Form) -> None:
    full = sample.answer()
    prod.answer("Invoke", full | {"counts": full["counts"] | {"findings": 3}})
    done = cli("report", "prod", "--format", form)
    assert "1 of 3 findings are left out" in (done.err if form is Form.CSV else done.out)


def test_a_file_that_cannot_be_written_is_named(cli: Cli, prod: AwsWire, tmp_path: Path) -> None:
    assert (
        f"there is no folder {tmp_path / 'none'}" in cli("report", "prod", "--out", str(tmp_path / "none" / "x")).line
    )
    assert cli("report", "prod", "--out", str(tmp_path)).line == f"prod: {tmp_path} is a folder. Name a file in it."
    assert prod.asked("Invoke") == []  # nobody waits for an audit that has nowhere to go


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
        (sample.answer() | {"since": {"start": "today", "end": "", "backups": {}}}, "another form"),
        (sample.answer() | {"scope": {"accounts": [], "stack": 7}}, "another form"),
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


def test_every_verdict_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Verdict)
