"""The history: its days, the chain of its reports, and the command against a bucket."""

import csv
import hashlib
import json
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
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.ledger import create_ledger

PREFIX = "rds-snap-backup/111122223333/eu-central-1/prod/"
FIRST, SECOND, THIRD = THREE = [date(2026, 3, day) for day in (1, 2, 3)]


def key(day: date) -> str:
    return f"{PREFIX}{day:%Y/%m/%d}/{day}T06:00:00Z.json"


def chained(days: Mapping[date, list[dict[str, Any]]]) -> tuple[list[Stored], Link]:
    """Return a report for each day with these rows, each naming the one before it, and the ledger's link."""
    reports: list[Stored] = []
    last: Link | None = None
    for day, rows in days.items():
        previous = {"key": last.key, "sha256": last.sha256} if last else None
        body = json.dumps(sample.answer(rows, time=f"{day}T06:00:00Z", previous=previous)).encode()
        reports.append(Stored(key(day), body))
        last = Link(key(day), hashlib.sha256(body).hexdigest())
    assert last
    return reports, last


def row(name: str, verdict: str, at: str = "") -> dict[str, Any]:
    """Return a database, with a restore point of this time if there is one."""
    point = {"name": "s", "createdAt": at, "snapshot": None} if at else None
    return sample.database(name, verdict, restorePoint=point)


# ---- The chain

NO_DAY = f'"previous": {{"key": "{"9" * 20}/03/02/a.json", "sha256": ""}}'.encode()
OTHER = f"{PREFIX}2026/03/02/other.json"
CHAINS: dict[str, tuple[Callable[[list[Stored]], list[Stored]], list[str]]] = {
    "it holds": (lambda found: found, []),
    "it began before the days": (lambda found: found[1:], []),
    "an earlier one is no report": (
        lambda found: [Stored(key(FIRST - timedelta(days=9)), b"{}"), *found],
        ["is no report:", "is not linked"],
    ),
    "one is missing": (lambda found: [found[0], found[2]], [f"{key(SECOND)} is missing: {key(THIRD)} names it."]),
    "the last is missing": (lambda found: found[:2], [f"{key(THIRD)} is missing: the ledger names it."]),
    "one was changed": (
        lambda found: [found[0], Stored(key(SECOND), found[1].body + b" "), found[2]],
        [f"{key(SECOND)} was changed: its SHA-256 is not the one that {key(THIRD)} names."],
    ),
    "one was replaced by no report": (
        lambda found: [found[0], Stored(key(SECOND), b"[]"), found[2]],
        [f"{key(SECOND)} is no report", f"{key(SECOND)} was changed"],
    ),
    "one names a key of no day": (
        lambda found: [Stored(key(FIRST), found[0].body.replace(b'"previous": null', NO_DAY)), *found[1:]],
        [f"{key(FIRST)} was changed", f"{'9' * 20}/03/02/a.json is missing: {key(FIRST)} names it."],
    ),
    "one is not linked": (lambda found: [*found, Stored(OTHER, found[1].body)], [f"{OTHER} is not linked"]),
}


@pytest.mark.parametrize("change", CHAINS)
def test_a_report_that_is_missing_or_was_changed_is_found(change: str) -> None:
    changed, expected = CHAINS[change]
    reports, last = chained({day: [row("db", "new")] for day in THREE})
    days = THREE[1:] if "began before" in change else THREE
    found = history_of("prod", changed(reports), last, days)
    assert len(found.problems) == len(expected)
    assert [text for text, problem in zip(expected, found.problems, strict=True) if text not in problem] == []
    (unknown,) = history_of("prod", reports, None, THREE).problems
    assert "The ledger names no report" in unknown


@pytest.mark.parametrize(
    "broken",
    [
        {"time": "0001-01-01T00:00:00+01:00"},
        {"time": "2026-03-01T06:00:00"},
        {"databases": [row("db", "new") | {"arn": "arn:aws:rds:db"}]},
        {"databases": [row("db", "new") | {"arn": None}]},
        {"databases": [row("db", "protected", "2026-03-01T02:00:00")]},
    ],
    ids=repr,
)
def test_a_report_with_values_of_another_form_is_named(broken: dict[str, Any]) -> None:
    reports, last = chained({day: [row("db", "new")] for day in THREE[:2]})
    changed = json.dumps(json.loads(reports[0].body) | broken).encode()
    found = history_of("prod", [Stored(key(FIRST), changed), reports[1]], last, THREE)
    assert any(problem.startswith(f"{key(FIRST)} is no report") for problem in found.problems)
    assert [line.place for line in found.lines] == ["111122223333 eu-central-1"]


# ---- The days


def test_shares_gaps_and_changes_are_those_of_the_reports() -> None:
    old, young = "2026-03-01T02:00:00Z", "2026-03-03T04:00:00Z"
    rows = {
        FIRST: [row("old", "protected", old), row("young", "new")],
        SECOND: [row("old", "stale", old), row("young", "stale")],
        THIRD: [row("young", "protected", young)],
    }
    found = history_of("prod", *chained(rows), THREE)
    assert [tuple(found.row(line).values()) for line in found.lines] == [
        (f"{sample.ARN}:db:old", 1, 2, 28.0, "went after 2026-03-02"),
        (f"{sample.ARN}:db:young", 1, 2, 22.0, ""),
    ]
    assert [list(line.verdicts) for line in found.lines] == [["protected", "stale", ""], ["new", "stale", "protected"]]


def test_of_several_reports_of_a_day_the_last_counts() -> None:
    reports, last = chained({FIRST: [row("db", "stale")]})
    (evening,), _ = chained({FIRST: [row("db", "protected")]})
    later = Stored(key(FIRST).replace("06:00", "18:00"), evening.body)
    found = history_of("prod", [later, *reports], last, [FIRST])
    assert [list(line.verdicts) for line in found.lines] == [["protected"]]


def test_a_place_that_could_not_be_listed_leaves_its_databases_unreadable() -> None:
    place = sample.database("", "unreadable", arn=f"{sample.ARN}:*")
    reports = chained({FIRST: [row("db", "protected")], SECOND: [place], THIRD: [row("late", "new")]})
    verdicts = {line.name: list(line.verdicts) for line in history_of("prod", *reports, THREE).lines}
    assert verdicts == {"db": ["protected", "unreadable", ""], "late": ["", "", "new"]}


# ---- The command


@pytest.fixture
def bucket() -> str:
    """The name of a bucket."""
    return f"audits-{uuid.uuid4().hex}"


@pytest.fixture
def prod(wire: AwsWire, aws: Emulator, bucket: str) -> list[date]:
    """A deployed stack with a bucket that has the reports of the last three days; return the days."""
    create_ledger(aws.client("dynamodb"), bucket)
    member = f"<member><ParameterKey>ReportBucketName</ParameterKey><ParameterValue>{bucket}</ParameterValue></member>"
    wire.stack(f"<Parameters>{member}</Parameters>", LedgerTableName=bucket)
    s3: Any = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    days = last_days(datetime.now(UTC).date(), 3)
    rows = [[row("orders", verdict)] for verdict in ("protected", "stale", "protected")]
    rows[0].append(row("crm", "uncovered"))
    reports, last = chained(dict(zip(days, rows, strict=True)))
    for report in reports:
        s3.put_object(Bucket=bucket, Key=report.key, Body=report.body)
    record = json.dumps({"report": {"key": last.key, "sha256": last.sha256}})
    aws.client("dynamodb").put_item(TableName=bucket, Item={"pk": {"S": "audit"}, "record": {"S": record}})
    return days


def test_the_table_has_a_sign_for_each_day(cli: Cli, prod: list[date]) -> None:
    done = cli("history", "prod", "--days", "4")
    assert done.rows == [
        ["crm", ".U..", "0 of 1 day", "no restore point known", f"went after {prod[0]}"],
        ["orders", ".+S+", "2 of 3 days", "no restore point known", ""],
    ]
    assert done.out.splitlines()[-1].endswith("3 reports, and their chain holds.")
    assert (done.status, done.err) == (Exit.OK, "")


def test_each_form_has_all_days(cli: Cli, prod: list[date], tmp_path: Path) -> None:
    document = cli("history", "prod", "--days", "4", "--format", "json").json
    days = dict(zip(map(str, prod), ("protected", "stale", "protected"), strict=True))
    (orders,) = [found for found in document["databases"] if found["arn"].endswith(":orders")]
    assert orders["days"] == {str(prod[0] - timedelta(days=1)): None, **days}
    assert (document["problems"], document["withoutReport"], len(document["reports"])) == ([], [], 3)
    (line,) = csv.DictReader(StringIO(cli("history", "prod", "--database", "orders", "--format", "csv").out))
    assert ({name: line[name] for name in days}, len(line)) == (days, 5 + 30)
    out = tmp_path / "history.html"
    assert f"The history is in {out}." in cli("history", "prod", "--out", str(out)).out
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_a_report_that_was_deleted_is_named_in_every_form(
    cli: Cli, prod: list[date], aws: Emulator, bucket: str
) -> None:
    aws.client("s3").delete_object(Bucket=bucket, Key=key(prod[1]))
    for form in ("table", "json", "csv", "html"):
        done = cli("history", "prod", "--format", form)
        assert done.status == Exit.FINDINGS
        assert f"{key(prod[1])} is missing" in done.out + done.err
    assert f"Days without a report: {prod[1]}" in cli("history", "prod").out
