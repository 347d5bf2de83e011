"""A fleet against a tenant's limits, on a simulated clock."""

from benchmarks.nights import Fleet


def test_600_databases_in_groups_of_25_start_with_24_requests_in_ten_minutes() -> None:
    (night,) = Fleet(600, 25).nights(1)
    assert (night.requests, night.throttled, night.jobs, night.open) == (24, 0, 600, 0)
    assert night.last_job < 600


def test_singles_wait_for_the_rate_limit_and_are_all_started() -> None:
    (night,) = Fleet(250, 1).nights(1)
    assert (night.requests, night.jobs, night.abandoned, night.open) == (250, 250, 0, 0)
    assert 2 * 3600 < night.last_job < 3 * 3600
    # SSM allows 40 a second.
    assert night.ssm_reads <= 40
