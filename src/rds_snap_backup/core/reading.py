"""What is read of Commvault's jobs for a submission, and what such a reading proves. Pure; `applying.py` applies it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from rds_snap_backup.core.backups import Attempt, Backup
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Running, Unlisted, Waiting
from rds_snap_backup.core.policy import Policy
from rds_snap_backup.core.record import Scan, Submission
from rds_snap_backup.problems import Problem


@dataclass(frozen=True)
class JobsWanted:
    """The jobs to read of a submission: these IDs, and for what is in doubt the list of these clients since then.

    `keys` are the associations of the backups that it is for. A list that was read before is good enough if its reading
    began at `fresh` or later. `scan` is where a list that is too long for one run is read on.
    """

    keys: frozenset[str]
    job_ids: tuple[str, ...]
    clients: tuple[str, ...] = ()
    since: float = 0
    fresh: float = 0
    scan: Scan | None = None


@dataclass(frozen=True)
class Listing:
    """A list of jobs: those of `clients` since `since`, as its reading that began at `begun` showed them.

    `scan` is where it is read on, None where it is whole.
    """

    rows: tuple[Job, ...]
    begun: float
    since: float
    clients: Collection[str]
    scan: Scan | None = None
    has_nameless: bool = False

    def proves_absence(self, backup: Backup, attempt: Attempt, policy: Policy) -> bool:
        """Tell whether a job of an attempt would stand in it: it is whole and covers the attempt and its window."""
        return (
            self.scan is None
            and self.begun >= attempt.ended + policy.reconcile_seconds
            and self.since <= attempt.began
            and backup.association.client_name in self.clients
        )


@dataclass(frozen=True)
class JobsRead:
    """What Commvault showed: rows by job ID, IDs that a complete read does not show, and a list for what is in doubt.

    `at` is when reading ended; `problem` why not all could be read.
    """

    at: float
    rows: Mapping[str, Job] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    listing: Listing | None = None
    problem: Problem | None = None

    @property
    def all_rows(self) -> Mapping[str, Job]:
        """The rows by job ID, those of the list too."""
        return {row.id: row for row in (self.listing.rows if self.listing else ())} | dict(self.rows)


def jobs_wanted(submission: Submission, policy: Policy, now: float) -> JobsWanted | None:
    """Return what to read now; None where no job is due.

    All jobs are polled together, and all that is in doubt is looked for together: a long list is read once for all.
    """
    followed = [backup for backup in submission.backups if isinstance(backup.phase, (Named, Running))]
    doubted = [backup for backup in submission.backups if isinstance(backup.phase, Doubted)]
    if not any(_is_due(backup, now) for backup in followed):
        followed = []
    if not any(_is_due(backup, now) for backup in doubted):
        doubted = []
    if not followed and not doubted:
        return None
    job_ids: list[str] = []
    for backup in followed:
        job_ids += [backup.job.id] if backup.job else submission.attempt_of(backup).untold
    attempts = [submission.attempt_of(backup) for backup in doubted or followed]
    believed = (attempt.ended + policy.reconcile_seconds for attempt in attempts if doubted)
    wanted = JobsWanted(
        frozenset(backup.key for backup in (*followed, *doubted)),
        tuple(dict.fromkeys(job_ids)),
        tuple(sorted({backup.association.client_name for backup in doubted})),
        min(attempt.began for attempt in attempts),
        max((time for time in believed if time <= now), default=0),
    )
    scan = submission.scan if doubted else None
    # A list that was begun too early, or for others, would prove nothing once it is whole.
    if scan and scan.begun >= wanted.fresh and scan.since <= wanted.since and {*wanted.clients} <= {*scan.clients}:
        return replace(wanted, scan=scan)
    return wanted


def items_needed(submission: Submission, wanted: JobsWanted, read: JobsRead) -> tuple[str, ...]:
    """Return the keys of the subclient items that `apply_jobs` needs."""
    rows = read.all_rows

    def needs_item(backup: Backup) -> bool:
        if not isinstance(backup.phase, Running):
            return True
        row = rows.get(backup.phase.job.id)
        return row is not None and (row.has_ended or not backup.phase.job.seen)

    return tuple(
        sorted(backup.key for backup in submission.backups if backup.key in wanted.keys and needs_item(backup))
    )


def ids_given_up(before: Submission, after: Submission) -> Mapping[str, tuple[str, ...]]:
    """Return by association the IDs that an answer named for backups whose job is given up without a row.

    They become known to the items, so that nobody adopts these jobs later.
    """
    return {
        backup.key: before.attempt_of(backup).untold
        for backup, now in zip(before.backups, after.backups, strict=True)
        if isinstance(backup.phase, Named) and isinstance(now.phase, Ended)
    }


def _is_due(backup: Backup, now: float) -> bool:
    match backup.phase:
        case Named(due=due) | Running(due=due) | Doubted(due=due):
            return due <= now
        case Waiting() | Out() | Unlisted() | Ended():
            return False
        case never:
            assert_never(never)
