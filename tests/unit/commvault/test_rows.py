"""Rows of Commvault's job list: any shape is read, and no value raises."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup.commvault.rows import read_job
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.targets import Association

SUMMARY: dict[str, Any] = {
    "jobId": 1354,
    "status": "Running",
    "pendingReason": "",
    "jobStartTime": 1000,
    "jobEndTime": 0,
    "jobType": "Snap Backup",
    "backupLevelName": "Full",
    "opType": 59,
    "subclient": {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"},
}


def read(**fields: Any) -> Job:
    job = read_job({"jobSummary": {**SUMMARY, **fields}})
    assert job is not None
    return job


def test_a_row_is_read() -> None:
    assert read() == Job("1354", "aws-prod", "RDS", "orders-db", "FULL", True, "Running", 1000, 0)


@pytest.mark.parametrize(
    ("fields", "is_its_own"),
    [
        ({}, True),
        ({"opType": 5, "jobType": "Restore"}, False),
        *(({"subclient": {**SUMMARY["subclient"], name: "Default"}}, False) for name in SUMMARY["subclient"]),
        ({"subclient": None}, False),
    ],
)
def test_a_job_is_of_an_association_by_its_exact_names(fields: dict[str, Any], is_its_own: bool) -> None:
    job = read(**fields)
    assert (
        job.is_of(
            Association(client_name="aws-prod", instance_name="RDS", display_name="Orders", subclient_name="orders-db")
        )
        is is_its_own
    )
    assert (job.names == ("aws-prod", "RDS", "orders-db")) is ("subclient" not in fields)


@pytest.mark.parametrize(
    ("fields", "is_backup"),
    [
        ({"opType": 59, "jobType": "x"}, True),
        ({"opType": 4, "jobType": "x"}, True),
        ({"opType": "59", "jobType": "x"}, True),
        ({"opType": None, "jobType": "Snap Backup"}, True),
        ({"opType": None, "jobType": "SNAPBACKUP"}, True),
        ({"opType": [], "jobType": "Backup"}, True),
        ({"opType": 5, "jobType": "Restore"}, False),
        ({"opType": None, "jobType": None}, False),
        ({"opType": None, "jobType": "Backup Copy"}, False),
    ],
)
def test_what_is_a_backup(fields: dict[str, Any], is_backup: bool) -> None:
    assert read(**fields).is_backup is is_backup


NO_IDS: list[Any] = [None, 0, "0", "", "x", [], {}, True]


@pytest.mark.parametrize(
    "row", [*NO_IDS, {"jobSummary": {}}, *({"jobSummary": {"jobId": value}} for value in NO_IDS)], ids=str
)
def test_a_row_without_an_id_is_none(row: Any) -> None:
    assert read_job(row) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_769_824_804, 1_769_824_804),
        ("1769824804", 1_769_824_804),
        (1_769_824_804_123, 1_769_824_804),
        ("1769824804123", 1_769_824_804),
        (10**11, 10**11),
        (253402300800, 253402300),
        (10**18, 0),
        (10**400, 0),
        (-1, 0),
        (True, 0),
        (1.5e9, 0),
        ("soon", 0),
        (None, 0),
        ({}, 0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_time_is_in_seconds_within_what_a_date_can_be_or_not_known(value: Any, seconds: int) -> None:
    job = read(jobStartTime=value, jobEndTime=value)
    assert (job.started, job.ended) == (seconds, seconds)
    assert datetime.fromtimestamp(job.started, UTC)


@pytest.mark.parametrize("name", ["orders\n", "x" * 501, "\x1b[31m", {"name": "orders"}, ["orders"], 7, None])
def test_a_name_that_no_target_can_have_is_missing(name: Any) -> None:
    assert read(subclient={"clientName": name, "instanceName": "orders-db"}).names == ("", "orders-db", "")


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("Completed", "completed"),
        ("completed", "completed"),
        ("Completed w/ one or more errors", "completed_with_errors"),
        ("Completed w/ one or more warnings", "completed_with_errors"),
        ("Committed", "completed_with_errors"),
        ("Killed", "killed"),
        ("Failed", "failed"),
        ("Failed to Start", "failed"),
        ("Running", None),
        ("Waiting", None),
        ("Pending", None),
        ("Queued", None),
        ("Suspend Pending", None),
        ("Suspended", None),
        ("Kill Pending", None),
        ("Interrupt Pending", None),
        ("Interrupted", None),
        ("Running (cannot be verified)", None),
        ("Abnormal Terminated Cleanup", None),
    ],
)
def test_every_documented_status_is_known_and_an_end_or_not(status: str, end: str | None) -> None:
    assert read(status=status).end == end
    assert read(status=status).has_ended == (end is not None)
    assert read(status=status).is_known


@pytest.mark.parametrize("status", ["", "Pondering", "Commit pending"])
def test_any_other_status_goes_on(status: str) -> None:
    assert not read(status=status).has_ended
    assert not read(status=status).is_known


@pytest.mark.parametrize(
    ("level", "read_as"),
    [
        ("Full", "FULL"),
        ("Synthetic Full", "SYNTHETIC_FULL"),
        (" incremental ", "INCREMENTAL"),
        ("1", ""),
        ([], ""),
    ],
)
def test_levels(level: Any, read_as: str) -> None:
    assert read(backupLevelName=level).level == read_as
    assert read(backupLevelName=None, backupLevel=level).level == read_as
