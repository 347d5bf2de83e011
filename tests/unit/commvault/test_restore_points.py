"""Rows of restore points, however strange, and the region that a zone is in."""

from typing import Any

import pytest

from rds_snap_backup.commvault.restore_points import RestorePoint, read_restore_point

ROW = {
    "dbName": "Orders-DB",
    "dbType": "mysql",
    "createTime": 1571087011,
    "snapShotName": "Orders-db-us-east-2-20191014t210331z",
    "status": 0,
    "rdsAttributes": {"availabilityZone": "us-east-2a,us-east-2b", "dbSubnetGroup": "default"},
}
POINT = RestorePoint("orders-db", "orders-db-us-east-2-20191014t210331z", 1571087011, "us-east-2a")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, POINT),
        ({"createTime": "1571087011"}, POINT),
        ({"createTime": 1571087011000}, POINT),
        ({"createTime": None}, RestorePoint(POINT.database, POINT.snapshot, 0, POINT.zone)),
        ({"createTime": -1}, RestorePoint(POINT.database, POINT.snapshot, 0, POINT.zone)),
        ({"createTime": 10**19}, RestorePoint(POINT.database, POINT.snapshot, 0, POINT.zone)),
        ({"snapShotName": None}, RestorePoint(POINT.database, "", POINT.created, POINT.zone)),
        ({"snapShotName": "a\nb"}, RestorePoint(POINT.database, "", POINT.created, POINT.zone)),
        ({"rdsAttributes": None}, RestorePoint(POINT.database, POINT.snapshot, POINT.created)),
        ({"rdsAttributes": []}, RestorePoint(POINT.database, POINT.snapshot, POINT.created)),
        ({"rdsAttributes": {"availabilityZone": 7}}, RestorePoint(POINT.database, POINT.snapshot, POINT.created)),
        *(({"dbName": odd}, None) for odd in (None, "", 7, "x" * 501)),
    ],
    ids=str,
)
def test_a_row(change: dict[str, Any], expected: RestorePoint | None) -> None:
    assert read_restore_point(ROW | change) == expected


@pytest.mark.parametrize("row", [None, [], "x", 7, {}])
def test_what_is_no_row(row: Any) -> None:
    assert read_restore_point(row) is None


def test_a_time_is_on_our_clock() -> None:
    point = read_restore_point(ROW, 120)
    assert point
    assert point.created == POINT.created - 120


@pytest.mark.parametrize(
    ("zone", "region", "is_in"),
    [
        ("us-east-1a", "us-east-1", True),
        ("us-east-1a", "us-east-2", False),
        ("us-east-1-bos-1a", "us-east-1", True),
        # It is in none of the regions that are known, so it may be in any.
        ("ap-south-1a", "us-east-1", True),
        ("", "us-east-1", True),
    ],
)
def test_a_zone_is_in_the_region_that_it_begins_with(zone: str, region: str, is_in: bool) -> None:
    assert RestorePoint("db", "s", 1, zone).is_in(region, {"us-east-1", "us-east-2"}) is is_in
