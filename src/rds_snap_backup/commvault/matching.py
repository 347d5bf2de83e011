"""Which job belongs to an association: one that a request of ours can have started, or one that runs already. Pure."""

from collections.abc import Collection, Iterable

from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.targets import Association, BackupRequest

# Two sandboxes' clocks, one that sent and one that asks, may differ by this much.
CLOCK_SKEW_SECONDS = 5
# Commvault turns a backup into a fuller one where it must. SYNTHETIC_FULL, a backup of another kind, matches itself.
FULLNESS = {"INCREMENTAL": 0, "DIFFERENTIAL": 1, "FULL": 2}


def adoptable(  # noqa: PLR0917 - what is a time is passed by name
    request: BackupRequest,
    associations: Iterable[Association],
    jobs: Iterable[Job],
    clock_ahead: float,
    attempted_at: float,
    attempt_ended_at: float,
    reconcile_seconds: float,
    excluded: Collection[str],
) -> dict[Association, Job]:
    """Return, for each association that has one, the job that an attempt to send `request` can have started.

    The attempt's times are on our clock, a job's on Commvault's. Of several jobs the one of the exact level comes first,
    then the earliest: triggers of one target find their jobs in the order of their attempts. No job is returned twice.
    """
    earliest = int(attempted_at + clock_ahead - CLOCK_SKEW_SECONDS)
    latest = attempt_ended_at + reconcile_seconds + clock_ahead + CLOCK_SKEW_SECONDS
    candidates = sorted(
        (
            job
            for job in jobs
            if earliest <= job.started <= latest and _can_be(job.level, request.backup_level) and job.id not in excluded
        ),
        key=lambda job: (job.level != request.backup_level, job.started, int(job.id)),
    )
    found: dict[Association, Job] = {}
    taken: set[str] = set()
    for association in associations:
        job = next((job for job in candidates if job.is_of(association) and job.id not in taken), None)
        if job:
            found[association] = job
            taken.add(job.id)
    return found


def running(associations: Iterable[Association], jobs: Iterable[Job]) -> dict[Association, Job]:
    """Return the newest running job of each association that has one, whatever its level."""
    active = sorted((job for job in jobs if not job.has_ended), key=lambda job: job.started, reverse=True)
    found = (
        (association, next((job for job in active if job.is_of(association)), None)) for association in associations
    )
    return {association: job for association, job in found if job}


def _can_be(level: str, sent: str) -> bool:
    """Return whether a job of `level` can come of a request for `sent`; a level that is not shown can be any."""
    if level in {"", sent}:
        return True
    return level in FULLNESS and sent in FULLNESS and FULLNESS[level] > FULLNESS[sent]
