"""Rows of jobs and of restore points: any shape is read, and no value raises."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup.commvault.restore_points import RestorePoint, read_restore_point
from rds_snap_backup.commvault.rows import read_job
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.redaction import REDACTED, remember
from rds_snap_backup.targets import Association

TIMES = {"jobStartTime": "started", "jobEndTime": "ended"}
NAMES = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}
SUMMARY: dict[str, Any] = {"jobId": 1354, "status": "Running", "jobStartTime": 1000, "jobEndTime": 0}
SUMMARY |= {"jobType": "Snap Backup", "backupLevelName": "Full", "opType": 59, "subclient": NAMES}


def read(**fields: Any) -> Job:
    job = read_job({"jobSummary": {**SUMMARY, **fields}})
    assert job is not None
    return job


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
    assert read() == Job("1354", "aws-prod", "RDS", "orders-db", "FULL", True, "Running", 1000, 0)
    job = read(**fields)
    assert job.is_of(Association("aws-prod", "RDS", "orders-db", "Orders")) is is_its_own
    assert (job.names == tuple(NAMES.values())) is ("subclient" not in fields)


NO_IDS: list[Any] = [None, 0, "0", "", "x", [], {}, True]
NO_TIMES: list[Any] = [10**18, 10**400, -1, True, 1.5e9, "soon", None, {}]
NO_NAMES: list[Any] = ["orders\n", "x" * 501, "\x1b[31m", {"name": "orders"}, ["orders"], 7, None]
LEVELS = {"Full": "FULL", "Synthetic Full": "SYNTHETIC_FULL", " incremental ": "INCREMENTAL", "1": "", (): ""}
LEVELS |= {"Snapshot copy": "OTHER"}
# Every documented status that is an end.
ENDS = {
    "completed": ("Completed", "completed"),
    "completed_with_errors": ("Completed w/ one or more errors", "Completed w/ one or more warnings", "Committed"),
    "killed": ("Killed",),
    "failed": ("Failed", "Failed to Start"),
}
GOING_ON = ["Running", "Waiting", "Pending", "Queued", "Suspend Pending", "Suspended", "Kill Pending"]
GOING_ON += ["Interrupt Pending", "Interrupted", "Running (cannot be verified)", "Abnormal Terminated Cleanup"]


@pytest.mark.parametrize(
    "row", [*NO_IDS, {"jobSummary": {}}, *({"jobSummary": {"jobId": it}} for it in NO_IDS)], ids=str
)
def test_a_row_without_an_id_is_none(row: Any) -> None:
    assert read_job(row) is None


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        *(({"opType": operation, "jobType": "x"}, "is_backup", True) for operation in (59, 4, "59")),
        *(({"opType": None, "jobType": kind}, "is_backup", True) for kind in ("Snap Backup", "SNAPBACKUP", "Backup")),
        ({"opType": 5, "jobType": "Restore"}, "is_backup", False),
        *(({"opType": None, "jobType": kind}, "is_backup", False) for kind in (None, "Backup Copy")),
        # Times are seconds within what a date can be, or not known.
        *(
            ({"jobStartTime": time}, "started", 1_769_824_804)
            for time in (1_769_824_804, "1769824804", 1_769_824_804_123)
        ),
        *(({"jobEndTime": time}, "ended", known) for time, known in ((10**11, 10**11), (253402300800, 253402300))),
        *(({name: time}, field, 0) for name, field in TIMES.items() for time in NO_TIMES),
        # No target can have such names.
        *(({"subclient": NAMES | {"clientName": name}}, "names", ("", "RDS", "orders-db")) for name in NO_NAMES),
        *(({"backupLevelName": level}, "level", known) for level, known in LEVELS.items()),
        *(({"backupLevelName": None, "backupLevel": level}, "level", known) for level, known in LEVELS.items()),
        *(({"status": status}, "end", end) for end, some in ENDS.items() for status in some),
        *(({"status": status}, "end", None) for status in (*GOING_ON, "", "Pondering", "Commit pending")),
        *(({"status": status}, "is_known", True) for status in (*GOING_ON, "Killed")),
        *(({"status": status}, "is_known", False) for status in ("", "Pondering", "Commit pending")),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_field(fields: dict[str, Any], name: str, expected: object) -> None:
    job = read(**fields)
    assert getattr(job, name) == expected
    assert job.has_ended is (job.end is not None)
    assert datetime.fromtimestamp(max(job.started, job.ended), UTC)


def test_a_user_that_shows_a_secret_is_masked() -> None:
    remember(["secret-of-rows"])
    assert read(userName={"userName": "admin secret-of-rows"}).user == f"admin {REDACTED}"


# ---- Restore points

ROW = {
    "dbName": "Orders-DB",
    "createTime": 1571087011,
    "snapShotName": "Orders-db-us-east-2-20191014t210331z",
    "rdsAttributes": {"availabilityZone": "us-east-2a,us-east-2b", "dbSubnetGroup": "default"},
}
POINT = RestorePoint("orders-db", "orders-db-us-east-2-20191014t210331z", 1571087011, "us-east-2")
NO_ZONES: list[Any] = [None, [], {"availabilityZone": 7}, {"availabilityZone": "moon-1a"}]
ZONES = {"ap-south-1a": "ap-south-1", "US-East-1-bos-1a": "us-east-1", "us-gov-west-1b,us-gov-west-1c": "us-gov-west-1"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, POINT),
        *(({"createTime": time}, POINT) for time in ("1571087011", 1571087011000)),
        *(({"createTime": time}, replace(POINT, created=0)) for time in (None, -1, 10**19)),
        *(({"snapShotName": name}, replace(POINT, snapshot="")) for name in (None, "a\nb")),
        *(({"rdsAttributes": odd}, replace(POINT, region="")) for odd in NO_ZONES),
        *(
            ({"rdsAttributes": {"availabilityZone": zones}}, replace(POINT, region=region))
            for zones, region in ZONES.items()
        ),
        *(({"dbName": odd}, None) for odd in (None, "", 7, "x" * 501)),
    ],
    ids=str,
)
def test_a_row_of_restore_points(change: dict[str, Any], expected: RestorePoint | None) -> None:
    assert read_restore_point(ROW | change) == expected
    assert read_restore_point([ROW]) is None
    assert not expected or read_restore_point(ROW | change, 120) == replace(
        expected, created=expected.created and expected.created - 120
    )
