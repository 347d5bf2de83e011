"""The verdicts on associations and databases."""

from typing import Any, Literal

import pytest
from rds_snap_backup.record import CompletedJob, Subclient

from rds_snap_backup.audit.coverage import Coverage, DatabaseNames
from rds_snap_backup.audit.evidence import Jobs
from rds_snap_backup.audit.inventory import Inventory
from rds_snap_backup.audit.verdicts import Ages, DatabaseVerdict, Judge, required_verdicts
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database
from tests.unit.audit.support import association, backup, coverage, database, text

NOW = 1769824804.0
HOUR = 3600.0
OLD = NOW - 1000 * HOUR
AGES = Ages(default_hours=26, is_default_scheduled=True)
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")


def judge(known: Coverage, hours: float | None, ages: Ages = AGES, jobs: Jobs | None = None) -> Judge:
    """Return a judge in whose ledger every association has a job that began that many hours ago."""
    job = None if hours is None else CompletedJob("1354", NOW - hours * HOUR, "FULL", "submission#x")
    return Judge(
        {covered.key: Subclient(covered.key, completed=job) for covered in known.associations}, ages, NOW, jobs
    )


def on(judging: Judge, known: Coverage, judged: Database, inventory: Inventory | None = None) -> DatabaseVerdict:
    """Return the verdict on the only database."""
    inventory = inventory or Inventory()
    verdict = judging.judge_database(judged, known.find(judged, DatabaseNames([judged]), inventory), inventory)
    return DatabaseVerdict(judged, verdict)


def shown(hours: float, job_id: str = "77", status: str = "Completed", problem: Problem | None = None) -> Jobs:
    """Return Commvault's jobs: one of the association `orders`, that began that many hours ago."""
    names = ("aws-prod", "orders", "default")
    job = Job(job_id, *names, level="FULL", is_backup=True, status=status, started=NOW - hours * HOUR, ended=NOW)
    return Jobs({names: job}, {}, problem, is_begun=True)


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
        (text(taskType="SCHEDULE"), None, OLD, 0, "stale"),
    ],
)
def test_an_association_is_judged_by_its_last_completed_job(
    document: str, completed: float | None, changed: float, created: float, expected: str
) -> None:
    known = coverage(changed, orders=document)
    (covered,) = known.associations
    verdict = judge(known, completed).judge(covered, created)
    assert verdict.name == expected
    assert verdict.backup == covered
    assert (verdict.reason == "") is (expected == "protected")
    assert (verdict.completed is not None) is (completed is not None)


@pytest.mark.parametrize(
    ("judged", "document", "expected"),
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
def test_a_database_is_judged_by_its_one_association(judged: Database, document: str, expected: str) -> None:
    known = coverage(OLD, orders=document)
    assert on(judge(known, 1), known, judged).verdict.name == expected


def test_a_database_that_is_new_has_time_for_its_first_backup() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    assert on(judge(known, None), known, database("orders", created=NOW - HOUR)).verdict.name == "new"


@pytest.mark.parametrize(
    ("ledger", "jobs", "expected", "by"),
    [
        # Commvault's own job, whoever started it, and the ledger where Commvault shows none.
        (50, shown(1), "protected", "commvault"),
        (50, shown(1, "1354"), "protected", "stack"),
        (1, shown(50), "protected", "stack"),
        (None, shown(50), "stale", "commvault"),
        (None, Jobs(is_begun=True), "stale", None),
        # A list that was read in part proves what it has; one that was not read proves nothing.
        (None, shown(1, problem=DENIED), "protected", "commvault"),
        (1, Jobs(problem=DENIED, is_begun=True), "protected", "stack"),
        (None, Jobs(problem=DENIED, is_begun=True), "unreadable", None),
        (1, Jobs(problem=DENIED), "unreadable", None),
    ],
)
def test_evidence_is_what_commvault_shows_else_what_the_ledger_has(
    ledger: float | None, jobs: Jobs, expected: str, by: str | None
) -> None:
    known = coverage(OLD, orders=text(association("orders")))
    row = on(judge(known, ledger, jobs=jobs), known, database("orders"))
    assert (row.verdict.name, row.to_json()["by"]) == (expected, by)


def test_without_the_ledger_commvaults_jobs_are_evidence_and_nothing_else_is() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    for jobs, expected in ((None, "unreadable"), (Jobs(is_begun=True), "unreadable"), (shown(1), "protected")):
        row = on(Judge(DENIED, AGES, NOW, jobs), known, database("orders"))
        assert (row.verdict.name, row.to_json()["by"]) == (expected, None)
    assert required_verdicts(judge(known, 1), DENIED, []) == {}


def test_a_backup_with_errors_protects_and_is_marked() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    jobs = shown(1, status="Completed w/ one or more errors")
    assert on(judge(known, None, jobs=jobs), known, database("orders")).verdict.reason == "It completed with errors."


@pytest.mark.parametrize(
    ("document", "inventory", "expected"),
    [
        (text(association("orders")), Inventory({"aws-prod": frozenset()}, frozenset({"aws-prod"})), "uncovered"),
        (text(association("orders")), Inventory({}, frozenset({"aws-test"})), "uncovered"),
        (text(association("orders")), Inventory({}, frozenset({"aws-prod"}), DENIED), "protected"),
        (text(association("x")), Inventory({}, frozenset({"aws-prod"}), DENIED), "unreadable"),
        (text(association("x")), Inventory({}, frozenset({"aws-prod"})), "uncovered"),
    ],
)
def test_what_commvault_does_not_know_is_uncovered_and_what_it_does_not_show_is_unreadable(
    document: str, inventory: Inventory, expected: Literal["uncovered", "protected", "unreadable"]
) -> None:
    known = coverage(OLD, a=document)
    assert on(judge(known, 1), known, database("orders"), inventory).verdict.name == expected


def test_the_row_of_a_database() -> None:
    known = coverage(OLD, orders=text(association("orders")))
    assert on(judge(known, 0), known, database("orders")).to_json() == {
        "arn": "arn:aws:rds:us-east-1:111122223333:db:orders",
        "verdict": "protected",
        "subclient": "aws-prod / orders / default",
        "jobId": "1354",
        "startedAt": "2026-01-31T02:00:04Z",
        "by": "stack",
        "reason": "",
    }
    row = on(judge(known, 0), known, database("crm")).to_json()
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
    row = on(judging, known, database("orders"))
    assert required_verdicts(judging, known, [row]) == {}


def test_several_subclients_are_named_up_to_a_few() -> None:
    known = coverage(OLD, orders=text(*(association("orders", f"s{number}") for number in range(5))))
    reason = on(judge(known, 1), known, database("orders")).verdict.reason
    assert "aws-prod / orders / s2 and 2 more" in reason


def test_the_reason_names_the_last_completed_job() -> None:
    known = coverage(OLD, orders=text())
    assert "(job 1354)" in judge(known, 50).judge(backup(changed_at=OLD)).reason


def test_of_targets_with_the_same_association_the_least_maximum_age_counts() -> None:
    known = coverage(OLD, a=text(maxAgeHours=3), b=text(maxAgeHours=9), c=text(maxAgeHours=6))
    assert [verdict.name for verdict in required_verdicts(judge(known, 5), known, []).values()] == ["stale"]
