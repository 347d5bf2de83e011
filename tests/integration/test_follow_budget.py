"""What following costs in reading calls, of which Commvault's SaaS allows a tenant 1,000 an hour by default."""

import random

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.follow.batches import Follower
from tests.integration.follow_support import Following

HOUR = 3600
JOBS = 200
# The README's number: two calls for each 100 jobs, every minute, by each sandbox.
BUDGET = 480
SANDBOXES = 2  # The event source's MaximumConcurrency.


def follow_until(following: Following, end: float, batch: int, sandboxes: list[Follower]) -> None:
    """Let time go by; each batch goes to the sandbox whose turn it is."""
    while following.messages and (at := min(one.visible_at for one in following.messages.values())) <= end:
        following.commserve.advance(max(0.0, at - following.clock()))
        sandboxes.append(sandboxes.pop(0))
        following.receive(sandboxes[0], most=batch)
    following.commserve.advance(max(0.0, end - following.clock()))


@pytest.mark.parametrize(("spread", "batch"), [(0, 10), (900, 1)])
def test_two_hundred_running_jobs_cost_less_than_the_budget(
    aws: Emulator, commserve: CommServe, spread: int, batch: int
) -> None:
    commserve.job_seconds = 4 * HOUR
    following = Following(aws, commserve)
    sandboxes = [following.sandbox() for _ in range(SANDBOXES)]
    begin = following.clock()
    chance = random.Random(1)
    for offset in sorted(chance.uniform(0, spread) for _ in range(JOBS)):
        follow_until(following, begin + offset, batch, sandboxes)
        following.put_job()
    follow_until(following, begin + 2 * HOUR, batch, sandboxes)

    hours = [following.polls_between(begin + hour * HOUR, begin + (hour + 1) * HOUR) for hour in range(2)]
    assert max(hours) <= BUDGET, f"reading calls in each hour: {hours}"
    assert min(hours) > 0
    assert len(following.messages) == JOBS


@pytest.mark.parametrize("batch", [1, 10])
def test_a_tenant_of_many_other_jobs_makes_polls_no_dearer_than_one_by_one(
    aws: Emulator, commserve: CommServe, batch: int
) -> None:
    commserve.job_seconds = 4 * HOUR
    following = Following(aws, commserve)
    for _ in range(10):
        following.put_job()
    for _ in range(3000):
        commserve.add_job("aws-test", "sandbox-db")
    following.commserve.advance(60)
    while following.due():
        following.receive(most=batch)
    assert following.polls() <= 2 * 10


def test_one_job_is_read_alone_and_several_from_one_list(aws: Emulator, commserve: CommServe) -> None:
    following = Following(aws, commserve)
    job_id = following.put_job()
    following.run(60)
    assert [request.path for request in commserve.requests] == [f"/Job/{job_id}"]
    commserve.clear()
    following.messages.clear()
    for _ in range(9):
        following.put_job()
    following.run(120)
    assert {request.path for request in commserve.requests} == {"/Job"}
    assert "clientId" not in commserve.requests[0].query
    assert commserve.requests[0].header("limit") == "100"
