"""Which job a request of ours can have started, and which running job can be joined."""

from typing import Any

import pytest

from rds_snap_backup.commvault.matching import CLOCK_SKEW_SECONDS, adoptable, running
from rds_snap_backup.commvault.rows import Job, read_job
from rds_snap_backup.targets import Association, BackupRequest

ORDERS = Association("aws-prod", "orders-db", "Orders", "default")
BILLING = Association("aws-prod", "billing-db", "Billing", "default")
SUMMARY: dict[str, Any] = {
    "jobId": 1354,
    "status": "Running",
    "pendingReason": "",
    "jobStartTime": 1000,
    "jobEndTime": 0,
    "jobType": "Snap Backup",
    "backupLevelName": "Full",
    "opType": 59,
    "subclient": {"clientName": "aws-prod", "instanceName": "orders-db", "subclientName": "default"},
}


def read(**fields: Any) -> Job:
    job = read_job({"jobSummary": {**SUMMARY, **fields}})
    assert job is not None
    return job


def of(association: Association = ORDERS, **fields: Any) -> Job:
    names = {
        "clientName": association.client_name,
        "instanceName": association.instance_name,
        "subclientName": association.subclient_name,
    }
    return read(subclient=names, **fields)


def find(
    *rows: Job, at: float = 1000.0, took: float = 30.0, ahead: float = 0.0, level: str = "FULL", **given: Any
) -> dict[str, str]:
    associations, excluded = given.get("associations", (ORDERS,)), given.get("excluded", ())
    request = BackupRequest((ORDERS, BILLING), backup_level=level)
    found = adoptable(
        request,
        associations,
        rows,
        clock_ahead=ahead,
        attempted_at=at,
        attempt_ended_at=at + took,
        reconcile_seconds=600,
        excluded=excluded,
    )
    return {association.instance_name: job.id for association, job in found.items()}


def test_a_job_of_the_association_since_the_attempt_is_found() -> None:
    assert find(of(jobId="1354")) == {"orders-db": "1354"}


@pytest.mark.parametrize(
    "other",
    [
        {"clientName": "aws-prod2"},
        {"instanceName": "orders-db-2"},
        {"instanceName": "orders"},
        {"subclientName": "Default"},
        {"subclientName": None},
    ],
)
def test_names_must_be_equal(other: dict[str, Any]) -> None:
    assert find(read(subclient={**SUMMARY["subclient"], **other})) == {}


def test_it_must_be_a_backup_of_the_level() -> None:
    assert find(of(backupLevelName="Incremental")) == {}
    assert find(of(backupLevelName="Incremental"), level="SYNTHETIC_FULL") == {}
    assert find(of(backupLevelName="Incremental"), level="INCREMENTAL") == {"orders-db": "1354"}
    assert find(of(backupLevelName=None)) == {"orders-db": "1354"}
    assert find(of(opType=5, jobType="Restore")) == {}


@pytest.mark.parametrize(
    ("started", "ahead", "is_found"),
    [
        (1000, 0.0, True),
        (995, 0.0, True),
        (994, 0.0, False),
        (0, 0.0, False),
        (4600, 3600.0, True),
        (4595, 3600.0, True),
        (4594, 3600.0, False),
        (1000, 3600.0, False),
        (-2600, -3600.0, True),
        (-2606, -3600.0, False),
    ],
)
def test_it_started_no_earlier_than_the_attempt_on_commvaults_clock(started: int, ahead: float, is_found: bool) -> None:
    assert bool(find(of(jobStartTime=started + 10_000), at=11_000, ahead=ahead)) is is_found


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
@pytest.mark.parametrize(
    ("after", "is_found"), [(0, True), (630 + CLOCK_SKEW_SECONDS, True), (636, False), (86400, False)]
)
def test_it_started_no_later_than_reconcile_seconds_after_the_attempts_end(
    after: int, ahead: float, is_found: bool
) -> None:
    row = of(jobStartTime=int(11_000 + ahead + after))
    assert bool(find(row, at=11_000, took=30, ahead=ahead)) is is_found


@pytest.mark.parametrize(
    ("sent", "matching"),
    [
        ("INCREMENTAL", {"Incremental", "Differential", "Full", ""}),
        ("DIFFERENTIAL", {"Differential", "Full", ""}),
        ("FULL", {"Full", ""}),
        ("SYNTHETIC_FULL", {"Synthetic Full", ""}),
    ],
)
def test_a_level_matches_itself_and_a_fuller_one_that_commvault_made_of_it(sent: str, matching: set[str]) -> None:
    levels = ("", "Incremental", "Differential", "Full", "Synthetic Full", "Transaction Log")
    assert {level for level in levels if find(of(backupLevelName=level), level=sent)} == matching


def test_of_several_levels_the_one_that_was_sent_then_the_earliest() -> None:
    full, exact = of(jobId=7, backupLevelName="Full"), of(jobId=8, backupLevelName="Incremental", jobStartTime=1005)
    assert find(full, exact, level="INCREMENTAL") == {"orders-db": "8"}
    assert find(full, exact, level="INCREMENTAL", excluded={"8"}) == {"orders-db": "7"}


def test_of_several_the_earliest_that_nobody_has_claimed() -> None:
    rows = [of(jobId=job_id, jobStartTime=started) for job_id, started in ((9, 1003), (12, 1001), (11, 1001), (2, 900))]
    assert find(*rows) == {"orders-db": "11"}
    assert find(*rows, excluded={"11"}) == {"orders-db": "12"}
    assert find(*rows, excluded={"11", "12"}) == {"orders-db": "9"}
    assert find(*rows, excluded={"9", "11", "12"}) == {}


def test_ids_are_compared_as_numbers() -> None:
    assert find(of(jobId=1000), of(jobId=999)) == {"orders-db": "999"}


def test_some_of_several_associations() -> None:
    assert find(of(BILLING, jobId=7), associations=(ORDERS, BILLING)) == {"billing-db": "7"}
    both = find(of(BILLING, jobId=7), of(ORDERS, jobId=8), associations=(ORDERS, BILLING))
    assert both == {"orders-db": "8", "billing-db": "7"}


def test_one_job_is_found_for_one_association_only() -> None:
    assert find(of(jobId=7), associations=(ORDERS, ORDERS)) == {"orders-db": "7"}


def test_the_newest_running_job_is_joined_whatever_its_level() -> None:
    rows = (
        of(jobId=5, jobStartTime=900, backupLevelName="Incremental"),
        of(jobId=4, jobStartTime=950, status="Pending"),
        of(jobId=6, jobStartTime=960, status="Completed"),
        of(jobId=7, jobStartTime=970, opType=5, jobType="Restore"),
        of(BILLING, jobId=8, status="Killed"),
    )
    assert running((ORDERS, BILLING), rows) == {ORDERS: rows[1]}
