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
from tests.cli.wire import PLACE, AwsWire

CALLER = "arn:aws:sts::111122223333:assumed-role/operator/me"
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
    wire.result("GetCallerIdentity", f"<Arn>{CALLER}</Arn>")
    return wire


def test_the_table_shows_problems_first(cli: Cli, prod: AwsWire) -> None:
    done = cli("report", "prod")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert prod.asked("Invoke") == [{"FunctionName": "prod-audit", "audit": True}]
    first, *lines = done.out.splitlines()
    counts = "4 databases (1 uncovered, 1 stale, 1 protected, 1 excluded) in 2 accounts and regions"
    assert first == f"{PLACE}: {counts}; 4 targets, 0 stuck submissions."
    assert (lines[:5], lines[-1]) == (FACTS, f"{PLACE}: 2 findings.")
    home = "111122223333 eu-central-1"
    finding = [f"DATABASE_UNCOVERED: web-sessions, {home}", "  No group.", "  What to do: Add it."]
    assert lines[lines.index(finding[0]) :][:3] == finding
    assert [row[1] for row in done.rows] == ["uncovered", "stale", "protected", "excluded"]
    assert done.rows[0][4] == "", "the finding says it"
    job = "job 2291, by this stack: 2026-03-31 02:09 to 02:19"
    assert done.rows[2] == [f"orders (cluster), {home}", "protected", "2026-03-31 02:10", job, "It is protected."]


def test_an_empty_account_is_a_sentence(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer([], [])
    prod.answer("Invoke", answer | {"counts": answer["counts"] | {"places": 1}})
    prod.refuse("GetCallerIdentity", 403, "AccessDenied", "No.")
    done = cli("report", "prod")
    assert done.status == Exit.OK
    assert done.out.splitlines() == [
        f"{PLACE}: RDS shows no database here; 4 targets, 0 stuck submissions.",
        *(FACTS[0], "Asked by: an unknown caller, by hand", *FACTS[2:]),
        f"{PLACE}: no findings.",
    ]


def test_all_pages_are_read_and_a_database_counts_once(cli: Cli, prod: AwsWire) -> None:
    answer = sample.answer() | {"later": {"new": "in a later version"}, "name": "\x1b[2Jé\u202e"}
    one, two, three, four = answer["databases"]
    pages = [[one, two], [two, three], [four]]
    prod.answer("Invoke", *(answer | {"databases": rows, "pages": 3} for rows in pages))
    done = cli("report", "prod", "--format", "json")
    assert done.json == {**answer, "databases": [three, two, one, four], "askedBy": FACTS[1][10:], "verdicts": MEANINGS}
    assert done.out.isascii()
    assert "\x1b" not in done.out
    assert [asked.get("page") for asked in prod.asked("Invoke")] == [None, 2, 3]


def test_the_csv_says_what_it_is_of_then_findings_databases_and_meanings(cli: Cli, prod: AwsWire) -> None:
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(StringIO(cli("report", "prod", "--format", "csv").out)):
        rows.setdefault(row.pop("row"), []).append({name: cell for name, cell in row.items() if cell})
    assert list(rows) == ["audit", "account", "finding", "database", "verdict"]
    audit = {row["code"]: row["message"] for row in rows["audit"]}
    assert (audit["Stack"], audit["Maximum age"]) == (sample.STACK, FACTS[3].removeprefix("Maximum age: "))
    assert [row["message"] for row in rows["account"]] == ["3 databases", "unread databases"]
    assert {row["verdict"]: row["message"] for row in rows["verdict"]} == MEANINGS
    assert [row["verdict"] for row in rows["database"]] == ["uncovered", "stale", "protected", "excluded"]
    orders = sample.HOME | {"database": "orders", "verdict": "protected", "reason": "It is protected.", "by": "stack"}
    orders |= {"arn": f"{sample.ARN}:cluster:orders", "groups": "aws-prod / RDS / orders", "jobId": "2291"}
    orders |= {"restorePoint": "orders-1", "snapshot": f"{sample.ARN}:snapshot:orders-1"}
    times = {"createdAt": "02:10:04", "startedAt": "02:09:44", "endedAt": "02:19:01"}
    assert rows["database"][2] == orders | {name: f"2026-03-31T{at}Z" for name, at in times.items()}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--verdict stale --verdict protected", ["billing", "orders"]),
        ("--max-age 5", ["web-sessions", "billing"]),
        ("--max-age 100", ["web-sessions"]),
        ("--max-age 999999999", ["web-sessions"]),
        ("--max-age 5 --verdict stale", ["billing"]),
    ],
)
def test_databases_are_chosen_by_verdict_and_age(cli: Cli, prod: AwsWire, options: str, names: list[str]) -> None:
    done = cli("report", "prod", "--format", "json", *options.split())
    assert [row["arn"].split(":")[-1] for row in done.json["databases"]] == names
    assert f"{4 - len(names)} databases are left out, as asked." in done.err
    assert done.status == Exit.FINDINGS


LAST = "since 2026-03-30 06:00 UTC, the last audit that read all."


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"report": "s3://audits/last.json"}, f"{LAST} Its report is s3://audits/last.json."),
        ({"report": None}, f"{LAST}\n"),
        (None, "no daily audit before could read all of them."),
    ],
)
def test_an_outage_names_since_when_and_the_last_report(cli: Cli, prod: AwsWire, known: Any, said: str) -> None:
    rows = [sample.database("a", "unreadable", lastRead="2026-03-30T06:00:04Z")]
    prod.answer("Invoke", sample.answer(rows, lastRead=known and {"time": "2026-03-30T06:00:04Z", **known}))
    assert said in cli("report", "prod").out


@pytest.mark.parametrize("ending", ["html", "json", "csv", "txt"])
def test_a_file_gets_what_would_be_printed_in_the_form_of_its_ending(
    cli: Cli, prod: AwsWire, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"a report.{ending}"
    done = cli("report", "prod", "--out", str(out))
    assert (done.status, f"{PLACE}: 2 findings. The report is in {out}.\n" in done.out) == (Exit.FINDINGS, True)
    assert out.read_bytes().decode() == cli("report", "prod", "--format", ending.replace("txt", "table")).out


def test_a_bucket_gets_what_a_file_gets_and_gives_it_back(cli: Cli, prod: AwsWire, aws: Emulator) -> None:
    s3, bucket = aws.client("s3"), f"audits-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    for form, content_type in ((Form.HTML, "text/html; charset=utf-8"), (Form.JSON, "application/json")):
        out = f"s3://{bucket}/rds/a report"
        done = cli("report", "prod", "--format", form, "--out", out)
        assert f"{PLACE}: 2 findings. The report is in {out}.\n" in done.out
        assert s3.get_object(Bucket=bucket, Key="rds/a report")["ContentType"] == content_type
    assert cli("report", "--from", out) == cli("report", "prod")
    cli("report", "prod", "--out", f"s3://no-{bucket}/report").could_not_run("PutObject failed (NoSuchBucket)")


@pytest.mark.parametrize("form", Form)
def test_a_stored_report_needs_no_stack(cli: Cli, wire: AwsWire, tmp_path: Path, form: Form) -> None:
    source = tmp_path / "stored.json"
    source.write_text(json.dumps(sample.answer()))
    done = cli("report", "--from", str(source), "--format", form)
    assert (done.status, wire.calls) == (Exit.FINDINGS, [])
    assert "arn:schedule|2026-03-31T06:00:00Z" in done.out
    assert "STACK must be given" in cli("report").err


@pytest.mark.parametrize("form", [Form.TABLE, Form.CSV, Form.HTML])
def test_findings_that_the_answer_had_no_room_for_are_counted(cli: Cli, prod: AwsWire, form: Form) -> None:
    full = sample.answer()
    prod.answer("Invoke", full | {"counts": full["counts"] | {"findings": 3}})
    done = cli("report", "prod", "--format", form)
    assert "1 of 3 findings are left out" in (done.err if form is Form.CSV else done.out)


SIGNS = ["=", "+", "-", "@", "  =", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\u2009=", "\t=", "\n@"]
HARMLESS = ["", "orders", "a=b", "2026-03-31", "1-1", "'quoted'", " x"]


@pytest.mark.parametrize(("cell", "shown"), [*((sign, f"'{sign}") for sign in SIGNS), *((it, it) for it in HARMLESS)])
def test_no_cell_begins_as_a_formula(cell: str, shown: str) -> None:
    assert guarded(cell) == shown


def test_every_verdict_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Verdict)
