"""The history: its days, the chain of its reports, and the command against a bucket."""

import csv
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.report.days import Link, Stored, history_of, last_days
from rds_snap_backup_cli.report.picture import SHAPES, page_of
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.ledger import create_ledger

FIRST = date(2026, 3, 1)
PREFIX = "rds-snap-backup/111122223333/eu-central-1/prod/"


def key(day: date) -> str:
    return f"{PREFIX}{day:%Y/%m/%d}/{day}T06:00:00Z.json"


def chained(days: Mapping[date, list[dict[str, Any]]]) -> tuple[list[Stored], Link | None]:
    """Return a report for each day with these rows, each naming the one before it, and the ledger's link."""
    reports: list[Stored] = []
    last: Link | None = None
    for day, rows in days.items():
        previous = {"key": last.key, "sha256": last.sha256} if last else None
        body = json.dumps(sample.answer(rows, time=f"{day}T06:00:00Z", previous=previous)).encode()
        reports.append(Stored(key(day), body))
        last = Link(key(day), hashlib.sha256(body).hexdigest())
    return reports, last


def point(at: str) -> dict[str, Any]:
    return {"restorePoint": {"name": "s", "createdAt": at, "snapshot": None}}


# ---- The chain

THREE = [FIRST + timedelta(days=number) for number in range(3)]
type Change = Callable[[list[Stored], Link], tuple[list[Stored], Link | None]]
CHAINS: dict[str, tuple[Change, list[str]]] = {
    "it holds": (lambda reports, last: (reports, last), []),
    "the first is beyond the days": (lambda reports, last: ([Stored(key(FIRST - timedelta(days=9)), b"{}"), *reports], last), ["is no report:", "is not linked"]),
    "one is missing": (lambda reports, last: ([reports[0], reports[2]], last), [f"{key(THREE[1])} is missing: {key(THREE[2])} names it."]),
    "the last is missing": (lambda reports, last: (reports[:2], last), [f"{key(THREE[2])} is missing: the ledger names it."]),
    "one was changed": (
        lambda reports, last: ([reports[0], Stored(reports[1].key, reports[1].body + b" "), reports[2]], last),
        [f"{key(THREE[1])} was changed: its SHA-256 is not the one that {key(THREE[2])} names."],
    ),
    "one was replaced by no report": (
        lambda reports, last: ([reports[0], Stored(reports[1].key, b"[]"), reports[2]], last),
        [f"{key(THREE[1])} is no report", f"{key(THREE[1])} was changed"],
    ),
    "one is not linked": (
        lambda reports, last: ([*reports, Stored(f"{PREFIX}2026/03/02/other.json", reports[1].body)], last),
        [f"{PREFIX}2026/03/02/other.json is not linked"],
    ),
    "the ledger is lost": (lambda reports, _: (reports, None), ["The ledger names no report"]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CHAINS.values(), ids=CHAINS)
def test_a_report_that_is_missing_or_was_changed_is_found(change: Change, expected: list[str]) -> None:
    reports, last = chained({day: [sample.database("db", "new")] for day in THREE})
    assert last
    found = history_of("prod", *change(reports, last), THREE)
    assert len(found.problems) == len(expected)
    assert [text for text, problem in zip(expected, found.problems, strict=True) if text not in problem] == []


def test_a_chain_may_begin_before_the_days() -> None:
    reports, last = chained({day: [] for day in THREE})
    assert history_of("prod", reports[1:], last, THREE[1:]).problems == []


# ---- The days


def test_shares_gaps_and_changes_are_those_of_the_reports() -> None:
    rows = {
        THREE[0]: [
            sample.database("old", "protected", **point("2026-03-01T02:00:00Z")),
            sample.database("young", "new"),
        ],
        THREE[1]: [sample.database("old", "stale", **point("2026-03-01T02:00:00Z")), sample.database("young", "stale")],
        THREE[2]: [sample.database("young", "protected", **point("2026-03-03T04:00:00Z"))],
    }
    found = history_of("prod", *chained(rows), THREE)
    assert [found.row(line) for line in found.lines] == [
        {"arn": f"{sample.ARN}:db:old", "protectedDays": 1, "askedDays": 2, "longestGapHours": 28.0, "change": "went after 2026-03-02"},
        {"arn": f"{sample.ARN}:db:young", "protectedDays": 1, "askedDays": 2, "longestGapHours": 22.0, "change": ""},
    ]  # fmt: skip
    assert [list(line.verdicts) for line in found.lines] == [["protected", "stale", ""], ["new", "stale", "protected"]]


def test_of_several_reports_of_a_day_the_last_counts() -> None:
    reports, last = chained({FIRST: [sample.database("db", "stale")]})
    (evening,), _ = chained({FIRST: [sample.database("db", "protected")]})
    later = Stored(key(FIRST).replace("06:00", "18:00"), evening.body)
    found = history_of("prod", [later, *reports], last, [FIRST])
    assert [list(line.verdicts) for line in found.lines] == [["protected"]]


def test_a_place_that_could_not_be_listed_leaves_its_databases_unreadable() -> None:
    place = sample.database("", "unreadable", arn=f"{sample.ARN}:*")
    rows = {
        THREE[0]: [sample.database("db", "protected")],
        THREE[1]: [place],
        THREE[2]: [sample.database("late", "new")],
    }
    found = history_of("prod", *chained(rows), THREE)
    assert {line.name: list(line.verdicts) for line in found.lines} == {
        "db": ["protected", "unreadable", ""],
        "late": ["", "", "new"],
    }


def test_every_verdict_has_a_shape_that_no_other_has() -> None:
    assert len(set(SHAPES.values())) == len(SHAPES) == 8


def test_600_databases_of_90_days_are_a_small_page_soon(record_property: Callable[[str, object], None]) -> None:
    days = last_days(date(2026, 3, 31), 90)
    verdicts = ["protected"] * 20 + ["stale", "unreadable", "ambiguous", "uncovered"]
    rows = {
        day: [
            sample.database(f"database-{each:03}", verdicts[(each * 7 + number * (each % 5)) % len(verdicts)], "1")
            for each in range(600)
        ]
        for number, day in enumerate(days)
    }
    reports, last = chained(rows)
    began = time.monotonic()
    page = page_of(history_of("prod", reports, last, days))
    seconds = time.monotonic() - began
    megabytes = sum(len(report.body) for report in reports) / 1e6
    record_property(
        "history of 600 databases and 90 days", f"{seconds:.1f} s, {len(page) / 1e6:.2f} MB of {megabytes:.0f} MB"
    )
    assert len(page) < 3_000_000
    assert page.count("<svg") > 600


# ---- The command


@pytest.fixture
def bucket() -> str:
    """The name of a bucket."""
    return f"audits-{uuid.uuid4().hex}"


@pytest.fixture
def prod(
    wire: AwsWire, aws: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> dict[date, list[dict[str, Any]]]:
    """A deployed stack with a bucket that has the reports of the last three days."""
    table = f"ledger-{uuid.uuid4().hex}"
    for service in ("S3", "DYNAMODB"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.endpoint_url)
    create_ledger(aws.client("dynamodb"), table)
    member = f"<member><ParameterKey>ReportBucketName</ParameterKey><ParameterValue>{bucket}</ParameterValue></member>"
    wire.stack(f"<Parameters>{member}</Parameters>", LedgerTableName=table)
    s3: Any = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    today = datetime.now(UTC).date()
    rows = {
        today - timedelta(days=2): [sample.database("orders", "protected"), sample.database("crm", "uncovered")],
        today - timedelta(days=1): [sample.database("orders", "stale")],
        today: [sample.database("orders", "protected")],
    }
    reports, last = chained(rows)
    for report in reports:
        s3.put_object(Bucket=bucket, Key=report.key, Body=report.body)
    assert last
    record = json.dumps({"report": {"key": last.key, "sha256": last.sha256}})
    aws.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "audit"}, "record": {"S": record}})
    return rows


def test_the_table_has_a_sign_for_each_day(cli: Cli, prod: dict[date, Any]) -> None:
    done = cli("history", "prod", "--days", "4")
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.out.splitlines() if line[:1] == "│"]
    first = min(prod)
    assert rows == [
        ["crm", ".U..", "0 of 1 day", "no restore point known", f"went after {first}"],
        ["orders", ".+S+", "2 of 3 days", "no restore point known", ""],
    ]
    assert done.out.splitlines()[-1].endswith("3 reports, and their chain holds.")
    assert (done.status, done.err) == (Exit.OK, "")


def test_each_form_has_all_days(cli: Cli, prod: dict[date, Any], tmp_path: Path) -> None:
    document = json.loads(cli("history", "prod", "--days", "4", "--format", "json").out)
    days = {str(day): verdict for day, verdict in zip(prod, ("protected", "stale", "protected"), strict=True)}
    (orders,) = [row for row in document["databases"] if row["arn"].endswith(":orders")]
    assert orders["days"] == {str(min(prod) - timedelta(days=1)): None, **days}
    assert (document["problems"], document["withoutReport"], len(document["reports"])) == ([], [], 3)
    (row,) = csv.DictReader(StringIO(cli("history", "prod", "--database", "orders", "--format", "csv").out))
    assert {name: row[name] for name in days} == days
    assert len(row) == 5 + 30
    out = tmp_path / "history.html"
    done = cli("history", "prod", "--out", str(out))
    assert f"The history is in {out}." in done.out
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_a_report_that_was_deleted_is_named_in_every_form(
    cli: Cli, prod: dict[date, Any], aws: Emulator, bucket: str
) -> None:
    yesterday = sorted(prod)[1]
    aws.client("s3").delete_object(Bucket=bucket, Key=key(yesterday))
    for form in ("table", "json", "csv", "html"):
        done = cli("history", "prod", "--format", form)
        assert done.status == Exit.FINDINGS
        assert f"{key(yesterday)} is missing" in done.out + done.err
    assert f"Days without a report: {yesterday}" in cli("history", "prod").out


def test_a_stack_without_a_bucket_is_said(cli: Cli, wire: AwsWire) -> None:
    wire.stack()
    assert "Deploy it with ReportBucketName." in cli("history", "prod").line
