"""How long a message waits before it is redelivered."""

import pytest

from rds_snap_backup.messaging.batches import MAX_PAUSE_SECONDS, backoff


@pytest.mark.parametrize(("tries", "seconds"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (7, 900), (5000, 900)])
def test_pauses_double_up_to_15_minutes(tries: int, seconds: float) -> None:
    assert MAX_PAUSE_SECONDS == 900
    assert backoff(30, tries) == seconds


def test_a_long_first_pause_is_the_longest() -> None:
    assert backoff(900, 2) == 900
