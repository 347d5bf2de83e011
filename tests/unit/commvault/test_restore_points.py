"""Rows of restore points, however strange, and the region that a zone is in."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.commvault.restore_points import RestorePoint, read_restore_point

ROW = {
    "dbName": "Orders-DB",
    "createTime": 1571087011,
    "snapShotName": "Orders-db-us-east-2-20191014t210331z",
    "rdsAttributes": {"availabilityZone": "us-east-2a,us-east-2b", "dbSubnetGroup": "default"},
}
POINT = RestorePoint("orders-db", "orders-db-us-east-2-20191014t210331z", 1571087011, "us-east-2a")
NO_ATTRIBUTES: list[Any] = [None, [], {"availabilityZone": 7}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, POINT),
        *(({"createTime": time}, POINT) for time in ("1571087011", 1571087011000)),
        *(({"createTime": time}, replace(POINT, created=0)) for time in (None, -1, 10**19)),
        *(({"snapShotName": name}, replace(POINT, snapshot="")) for name in (None, "a\nb")),
        *(({"rdsAttributes": odd}, replace(POINT, zone="")) for odd in NO_ATTRIBUTES),
        *(({"dbName": odd}, None) for odd in (None, "", 7, "x" * 501)),
    ],
    ids=str,
)
def test_a_row(change: dict[str, Any], expected: RestorePoint | None) -> None:
    assert read_restore_point(ROW | change) == expected
    assert read_restore_point([ROW]) is None
    assert not expected or read_restore_point(ROW | change, 120) == replace(
        expected, created=expected.created and expected.created - 120
    )


@pytest.mark.parametrize(
    ("zone", "region", "is_in"),
    [
        ("us-east-1a", "us-east-1", True),
        ("us-east-1a", "us-east-2", False),
        ("us-east-1-bos-1a", "us-east-1", True),
        # It is in none of the regions that are known, so it may be in any.
        *((zone, "us-east-1", True) for zone in ("ap-south-1a", "")),
    ],
)
def test_a_zone_is_in_the_region_that_it_begins_with(zone: str, region: str, is_in: bool) -> None:
    assert RestorePoint("db", "s", 1, zone).is_in(region, {"us-east-1", "us-east-2"}) is is_in
