"""Backup levels."""

import pytest

from rds_snap_backup.core.levels import covers

LEVELS = ("", "INCREMENTAL", "DIFFERENTIAL", "FULL", "SYNTHETIC_FULL", "TRANSACTION_LOG")


@pytest.mark.parametrize(
    ("wanted", "covering"),
    [
        ("INCREMENTAL", {"", "INCREMENTAL", "DIFFERENTIAL", "FULL"}),
        ("DIFFERENTIAL", {"", "DIFFERENTIAL", "FULL"}),
        ("FULL", {"", "FULL"}),
        ("SYNTHETIC_FULL", {"", "SYNTHETIC_FULL"}),
    ],
)
def test_a_level_covers_itself_and_lesser_ones(wanted: str, covering: set[str]) -> None:
    assert {level for level in LEVELS if covers(level, wanted)} == covering
