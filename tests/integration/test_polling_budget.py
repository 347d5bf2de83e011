"""What polling costs in reading calls, of which Commvault's SaaS allows a tenant 1,000 an hour by default."""

from heapq import heappop, heappush
from itertools import cycle
from random import Random

import pytest

from local.commserve import CommServe
from rds_snap_backup.backup.deliveries import MAX_JITTER_SECONDS
from rds_snap_backup.backup.polling import JobReader
from rds_snap_backup.bootstrap import policy_of
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.config import Config
from rds_snap_backup.core.applying import apply_jobs
from rds_snap_backup.core.backups import Attempt, Backup, Tried
from rds_snap_backup.core.phases import JobRef, Running
from rds_snap_backup.core.reading import jobs_wanted
from rds_snap_backup.core.record import Submission
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.auth import FixedToken
from tests.integration.timeline import BATCH, HOUR, PAUSES
from tests.support import ENVIRONMENT

POLICY = policy_of(Config.from_env(ENVIRONMENT | PAUSES))


def followed(commserve: CommServe, number: int) -> Submission:
    """Return a submission whose job has just started."""
    association = Association("aws-prod", "RDS", f"group-{number:03}", "aws-prod")
    job, now = commserve.add_job("aws-prod", association.subclient_name), commserve.clock.now()
    attempt = Attempt(1, "FULL", "IMMEDIATE", now, now, (job.id,))
    running = Running(1, JobRef(job.id, "FULL", now), now, now + POLICY.first_poll_seconds)
    trigger, backups = Trigger("manual", str(number)), (Backup(association, now, running, Tried(now)),)
    return Submission(trigger, f"t-{number}", now, now, backups=backups, attempts=(attempt,)).woken(POLICY)


class Hub:
    """The messages of all submissions, and the sandboxes that take turns with batches of them."""

    def __init__(self, commserve: CommServe, sandboxes: int) -> None:
        self.commserve, self.submissions = commserve, dict[str, Submission]()
        auth = FixedToken(commserve.token)
        clients = [Commvault(commserve.url, lambda: commserve.ca_pem, auth) for _ in range(sandboxes)]
        self._readers = cycle([JobReader(client, POLICY.first_poll_seconds, commserve.clock.now) for client in clients])
        self._due: list[tuple[float, str]] = []
        self._chance = Random(1)

    def put(self, submission: Submission) -> None:
        self.submissions[submission.key] = submission
        rest = submission.wake_at - self.commserve.clock.now()
        jitter = self._chance.uniform(0, min(rest / 10, MAX_JITTER_SECONDS))
        heappush(self._due, (submission.wake_at + jitter, submission.key))

    def poll_until(self, end: float) -> None:
        """Hand what is due to one sandbox after the other, up to ten messages at a time."""
        clock = self.commserve.clock
        while self._due and self._due[0][0] <= end:
            clock.advance(max(0, self._due[0][0] - clock.now()))
            batch = [heappop(self._due)[1] for _ in range(BATCH) if self._due and self._due[0][0] <= clock.now()]
            found = [(self.submissions[key], jobs_wanted(self.submissions[key], POLICY, clock.now())) for key in batch]
            asked = [(submission, wanted) for submission, wanted in found if wanted]
            assert len(asked) == len(batch)
            read = next(self._readers).read([wanted for _, wanted in asked], 38)
            for (submission, wanted), jobs in zip(asked, read, strict=True):
                self.put(apply_jobs(submission, wanted, jobs, {}, POLICY).submission.woken(POLICY))
        clock.advance(end - clock.now())


@pytest.mark.usefixtures("timelines")
@pytest.mark.parametrize(("jobs", "spread"), [(200, 0.0), (600, HOUR)])
def test_jobs_with_as_many_others_cost_one_reading_call_an_hour_each_at_most(
    commserve: CommServe, jobs: int, spread: float
) -> None:
    commserve.clock.freeze()
    commserve.job_seconds = 9 * HOUR
    for _ in range(jobs):
        commserve.add_job("aws-test", "sandbox-db")
    hub, began = Hub(commserve, sandboxes=5), commserve.clock.now()
    for number in range(jobs):
        hub.poll_until(began + number * spread / jobs)
        hub.put(followed(commserve, number))
    hub.poll_until(began + HOUR)
    assert 0 < len(commserve.requests) <= jobs
    first_hour = len(commserve.requests)
    hub.poll_until(began + 2 * HOUR)
    assert 0 < len(commserve.requests) - first_hour <= jobs


@pytest.mark.usefixtures("timelines")
def test_jobs_that_begin_while_many_are_polled_are_read_from_one_page(commserve: CommServe) -> None:
    commserve.clock.freeze()
    commserve.job_seconds = 9 * HOUR
    hub, began = Hub(commserve, sandboxes=1), commserve.clock.now()
    for number in range(300):
        hub.put(followed(commserve, number))
    hub.poll_until(began + 70)
    before = len(commserve.requests)
    for number in range(300, 310):
        hub.put(followed(commserve, number))
        hub.poll_until(commserve.clock.now() + 1)
    hub.poll_until(began + 170)
    assert [request.path for request in commserve.requests[before:]] == ["/Job"]
