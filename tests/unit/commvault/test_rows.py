"""Rows of Commvault's job list: any shape is read, and no value raises."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup.commvault.rows import read_job
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.targets import Association

NAMES = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}
SUMMARY: dict[str, Any] = {
    "jobId": 1354,
    "status": "Running",
    "pendingReason": "",
    "jobStartTime": 1000,
    "jobEndTime": 0,
}
SUMMARY |= {"jobType": "Snap Backup", "backupLevelName": "Full", "opType": 59, "subclient": NAMES}


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
        *(({"subclient": {**NAMES, name: "Default"}}, False) for name in NAMES),
        ({"subclient": None}, False),
    ],
)
def test_a_job_is_of_an_association_by_its_exact_names(fields: dict[str, Any], is_its_own: bool) -> None:
    job = read(**fields)
    assert job.is_of(Association("aws-prod", "RDS", "orders-db", "Orders")) is is_its_own
    assert (job.names == tuple(NAMES.values())) is ("subclient" not in fields)


@pytest.mark.parametrize(
    ("operation", "kind", "is_backup"),
    [
        *((operation, "x", True) for operation in (59, 4, "59")),
        *((None, kind, True) for kind in ("Snap Backup", "SNAPBACKUP")),
        ([], "Backup", True),
        (5, "Restore", False),
        *((None, kind, False) for kind in (None, "Backup Copy")),
    ],
)
def test_what_is_a_backup(operation: Any, kind: Any, is_backup: bool) -> None:
    assert read(opType=operation, jobType=kind).is_backup is is_backup


NO_IDS: list[Any] = [None, 0, "0", "", "x", [], {}, True]


@pytest.mark.parametrize(
    "row", [*NO_IDS, {"jobSummary": {}}, *({"jobSummary": {"jobId": it}} for it in NO_IDS)], ids=str
)
def test_a_row_without_an_id_is_none(row: Any) -> None:
    assert read_job(row) is None


NO_TIMES: list[Any] = [10**18, 10**400, -1, True, 1.5e9, "soon", None, {}]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((value, 1_769_824_804) for value in (1_769_824_804, "1769824804", 1_769_824_804_123, "1769824804123")),
        (10**11, 10**11),
        (253402300800, 253402300),
        *((value, 0) for value in NO_TIMES),
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


ENDS = {
    "completed": ("Completed", "completed"),
    "completed_with_errors": ("Completed w/ one or more errors", "Completed w/ one or more warnings", "Committed"),
    "killed": ("Killed",),
    "failed": ("Failed", "Failed to Start"),
    None: ("Running", "Waiting", "Pending", "Queued", "Suspend Pending", "Suspended", "Kill Pending", "Interrupt Pending"),
}  # fmt: skip
GOING_ON = ("Interrupted", "Running (cannot be verified)", "Abnormal Terminated Cleanup")


@pytest.mark.parametrize(
    ("status", "end"),
    [*((status, end) for end, some in ENDS.items() for status in some), *((status, None) for status in GOING_ON)],
)
def test_every_documented_status_is_known_and_an_end_or_not(status: str, end: str | None) -> None:
    job = read(status=status)
    assert (job.end, job.has_ended, job.is_known) == (end, end is not None, True)


@pytest.mark.parametrize("status", ["", "Pondering", "Commit pending"])
def test_any_other_status_goes_on(status: str) -> None:
    assert (read(status=status).has_ended, read(status=status).is_known) == (False, False)


@pytest.mark.parametrize(
    ("level", "read_as"),
    [("Full", "FULL"), ("Synthetic Full", "SYNTHETIC_FULL"), (" incremental ", "INCREMENTAL"), ("1", ""), ([], "")],
)
def test_levels(level: Any, read_as: str) -> None:
    assert read(backupLevelName=level).level == read_as
    assert read(backupLevelName=None, backupLevel=level).level == read_as
