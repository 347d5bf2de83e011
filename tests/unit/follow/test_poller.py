"""How much of the job list a window of the poller has left to read."""

import pytest

from rds_snap_backup.commvault.jobs import PAGE
from rds_snap_backup.follow.poller import Window


@pytest.mark.parametrize(
    ("end", "total", "pages"), [(0, 1, 1), (PAGE, PAGE, 0), (PAGE, PAGE + 1, 1), (PAGE, 3 * PAGE, 2), (5, 3, 0)]
)
def test_a_window_knows_how_much_of_the_list_is_left(end: int, total: int, pages: int) -> None:
    assert Window(0, 0, end, total).pages_left == pages
