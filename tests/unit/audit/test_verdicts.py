"""The verdicts on associations and databases."""

from typing import Any

import pytest

from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.verdicts import Ages, Judge, required_verdicts
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database
from rds_snap_backup.submission import CompletedJob, Subclient
from tests.unit.audit.support import association, backup, coverage, database, text

NOW = 1769824804.0
HOUR = 3600.0
OLD = NOW - 1000 * HOUR
AGES = Ages(default_hours=26, is_default_scheduled=True)
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")


def judge(known: Coverage, hours: float | None, ages: Ages = AGES) -> Judge:
    """Return a judge in whose ledger every association has a job that began that many hours ago."""
    job = None if hours is None else CompletedJob("1354", NOW - hours * HOUR, "FULL", "submission#x")
    return Judge({one.key: Subclient(one.key, completed=job) for one in known.associations}, ages, NOW)


@pytest.mark.parametrize(
    ("document", "completed", "changed", "created", "expected"),
    [
        (text(), 26, OLD, 0, "protected"),
        (text(), 26.01, OLD, 0, "stale"),
        (text(), None, OLD, 0, "stale"),
        (text(maxAgeHours=27), 26.01, OLD, 0, "protected"),
        (text(maxAgeHours=1), 1.01, OLD, 0, "stale"),
        # The grace of one maximum age.
        (text(), None, NOW - 26 * HOUR, 0, "new"),
        (text(), None, NOW - 26.01 * HOUR, 0, "stale"),
        (text(), None, OLD, NOW - 26 * HOUR, "new"),
        (text(maxAgeHours=1), 5, OLD, NOW - 2 * HOUR, "stale"),
        (text(taskType="SCHEDULE"), None, OLD, 0, "unreadable"),
    ],
)
def test_an_association_is_judged_by_its_last_completed_job(
    document: str, completed: float | None, changed: float, created: float, expected: str
) -> None:
    known = coverage(changed, orders=document)
    (one,) = known.associations
    verdict = judge(known, completed).judge(one, created)
    assert verdict.name == expected
    assert verdict.backup == one
    assert (verdict.reason == "") is (expected == "protected")
    assert (verdict.completed is not None) is (completed is not None)


@pytest.mark.parametrize(
    ("one", "document", "expected"),
    [
        (database("orders"), text(association("orders")), "protected"),
        (database("orders", exclude=" True"), text(association("orders")), "excluded"),
        (database("orders", exclude="false"), text(association("orders")), "protected"),
        (database("crm"), text(association("orders")), "uncovered"),
        (database("crm", is_replica=True), text(association("orders")), "excluded"),
        (database("orders", is_replica=True), text(association("orders")), "protected"),
        (database("orders"), text(association("orders"), association("orders", "archive")), "uncovered"),
    ],
)
def test_a_database_is_judged_by_its_one_association(one: Database, document: str, expected: str) -> None:
    known = coverage(OLD, orders=document)
    assert judge(known, 1).judge_database(one, known).verdict.name == expected


def test_a_database_that_is_new_has_time_for_its_first_backup() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    assert judge(known, None).judge_database(database("orders", created=NOW - HOUR), known).verdict.name == "new"


def test_without_the_ledger_or_the_targets_nothing_is_shown_as_protected() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    assert Judge(DENIED, AGES, NOW).judge_database(database("orders"), known).verdict.name == "unreadable"
    assert judge(known, 1).judge_database(database("orders"), DENIED).verdict.name == "unreadable"
    assert required_verdicts(judge(known, 1), DENIED, []) == {}


def test_the_row_of_a_database() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    assert judge(known, 0).judge_database(database("orders"), known).to_json() == {
        "arn": "arn:aws:rds:us-east-1:111122223333:db:orders",
        "verdict": "protected",
        "subclient": "aws-prod / orders / default",
        "jobId": "1354",
        "startedAt": "2026-01-31T02:00:04Z",
        "by": "stack",
        "reason": "",
    }
    row = judge(known, 0).judge_database(database("crm"), known).to_json()
    assert [row[name] for name in ("subclient", "jobId", "startedAt", "by")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "fields", "is_default_scheduled", "is_required"),
    [
        ("default", {}, True, True),
        ("default", {}, False, False),
        ("orders", {}, True, False),
        ("orders", {"maxAgeHours": 3}, False, True),
        ("orders", {"maxAgeHours": 3, "enabled": False}, False, False),
    ],
)
def test_which_targets_must_have_recent_backups_without_a_known_database(
    name: str, fields: dict[str, Any], is_default_scheduled: bool, is_required: bool
) -> None:
    known = coverage(OLD, **{name: text(association("orders"), **fields)})
    judging = judge(known, None, Ages(26, is_default_scheduled))
    found = required_verdicts(judging, known, [])
    assert [verdict.name for verdict in found.values()] == ["stale"] * is_required
    row = judging.judge_database(database("orders"), known)
    assert required_verdicts(judging, known, [row]) == {}


def test_several_subclients_are_named_up_to_a_few() -> None:
    known = coverage(OLD, orders=text(*(association("orders", f"s{number}") for number in range(5))))
    reason = judge(known, 1).judge_database(database("orders"), known).verdict.reason
    assert "aws-prod / orders / s2 and 2 more" in reason


def test_the_reason_names_the_last_completed_job() -> None:
    known = coverage(OLD, orders=text())
    assert "(job 1354)" in judge(known, 50).judge(backup(changed_at=OLD)).reason


def test_of_targets_with_the_same_association_the_least_maximum_age_counts() -> None:
    known = coverage(OLD, a=text(maxAgeHours=3), b=text(maxAgeHours=9), c=text(maxAgeHours=6))
    assert [verdict.name for verdict in required_verdicts(judge(known, 5), known, []).values()] == ["stale"]
