"""Reading calls an hour for jobs that are followed, counted on a clock that the benchmark moves."""

import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from types import SimpleNamespace
from unittest.mock import patch

from benchmarks.figures import Goal, Spread, table
from local.commserve import CommServe
from rds_snap_backup.backup.polling import JobReader
from rds_snap_backup.commvault import connection
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
from tests.support import ENVIRONMENT

PAUSES = {"FIRST_RETRY_SECONDS": "30", "FIRST_POLL_SECONDS": "60", "RECONCILE_SECONDS": "600"}
POLICY = Config.from_env(ENVIRONMENT | PAUSES).policy
JOBS = (200, 600)
FOREIGN = 600
SANDBOXES = 5
BATCH = 10
HOUR = 3600
# Of a tenant's 1,000 reading calls an hour.
BUDGET = 600


def measure(jobs: int, hours: int) -> list[int]:
    """Return the reading calls of each hour in which this number of jobs runs together with foreign ones."""
    with CommServe(job_seconds=24 * HOUR) as commserve:
        commserve.clock.freeze()
        # Commvault's clock is compared with the function's, which is this one.
        clock = SimpleNamespace(time=commserve.clock.now, monotonic=time.monotonic)
        with patch.object(connection, "time", clock):
            return list(_reads(commserve, jobs, hours))


def _reads(commserve: CommServe, jobs: int, hours: int) -> Iterator[int]:
    for _ in range(FOREIGN):
        commserve.add_job("aws-test", "sandbox-db")
    readers = cycle([_reader(commserve) for _ in range(SANDBOXES)])
    followed = [_followed(commserve, number) for number in range(jobs)]
    for _ in range(hours):
        before, end = len(commserve.requests), commserve.clock.now() + HOUR
        while (due := min(submission.wake_at for submission in followed)) <= end:
            commserve.advance(max(0, due - commserve.clock.now()))
            _deliver(followed, next(readers), commserve.clock.now())
        commserve.advance(end - commserve.clock.now())
        yield len(commserve.requests) - before


def _reader(commserve: CommServe) -> JobReader:
    client = Commvault(commserve.url, lambda: commserve.ca_pem, FixedToken(commserve.token))
    return JobReader(client, POLICY.first_poll_seconds, commserve.clock.now)


def _followed(commserve: CommServe, number: int) -> Submission:
    """Return a submission whose job has just started."""
    association = Association("aws-prod", "RDS", f"group-{number:03}", "aws-prod")
    job, now = commserve.add_job("aws-prod", association.subclient_name), commserve.clock.now()
    attempt = Attempt(1, "FULL", "IMMEDIATE", 0, now, now, (job.id,))
    running = Running(1, JobRef(job.id, "FULL", now), now, now + POLICY.first_poll_seconds)
    trigger, backups = Trigger("manual", str(number)), (Backup(association, now, running, Tried(now)),)
    return Submission(trigger, f"t-{number}", now, now, backups=backups, attempts=(attempt,)).woken(POLICY)


def _deliver(followed: list[Submission], reader: JobReader, now: float) -> None:
    """Hand a batch of what is due to a sandbox."""
    due = [number for number, submission in enumerate(followed) if submission.wake_at <= now][:BATCH]
    asked = [wanted for number in due if (wanted := jobs_wanted(followed[number], POLICY, now))]
    for number, wanted, read in zip(due, asked, reader.read(asked, 38), strict=True):
        followed[number] = apply_jobs(followed[number], wanted, read, {}, POLICY).submission.woken(POLICY)


def goals(reads: Sequence[Sequence[int]]) -> list[Goal]:
    """Return how many reading calls are to be made."""
    rows = zip(JOBS, reads, strict=True)
    return [Goal(f"reading calls an hour for {jobs} jobs", Spread.of([max(hours)]), BUDGET) for jobs, hours in rows]


def section(reads: Sequence[Sequence[int]]) -> list[str]:
    """Return the section of the results."""
    head = ["jobs", *(f"hour {number}" for number in range(1, len(reads[0]) + 1))]
    return [
        "## Reading calls an hour",
        (
            f"Jobs that all started at one moment and run throughout, polled by {SANDBOXES} sandboxes in turn, with {FOREIGN} "
            f"jobs of others in Commvault's list. A SaaS tenant has 1,000 calls an hour; {BUDGET} of them are for polling."
        ),
        table(head, [[jobs, *hours] for jobs, hours in zip(JOBS, reads, strict=True)]),
    ]
