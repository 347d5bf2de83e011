"""Claims: the item `job#ID` credits a job to one submission, so that no job is counted for two triggers.

Commvault counts job IDs again after its database was restored or replaced, so a claim can be stale: it is of an older
job with the same ID. Pure but for the type of an update; `records.py` writes claims with what they belong to.
"""

from dataclasses import dataclass

from rds_snap_backup.ledger.keys import job_key
from rds_snap_backup.ledger.table import Check, Item, Update, Value

# The clocks of two sandboxes, and Commvault's as an HTTP date tells it, may differ by this much.
CLOCK_SKEW_SECONDS = 5
# In reconciling a claim must be this much older than the job itself to be another job's.
STALE_SECONDS = 60
# What Follow has recorded on the item, about the job that had the ID before.
END = ("end", "endPublished", "endOwner", "endLease", "endRecordedAt", "missingSince", "unknownStatus")


@dataclass(frozen=True)
class Claim:
    """A job ID for the submission whose attempt began at `attempted_at`.

    `job_started` is the start of a job that reconciling found, on our clock; None where Commvault's answer to the
    attempt named the ID. All times are Unix seconds.
    """

    job_id: str
    submission: str
    target: str
    attempted_at: float
    claimed_at: float
    expires_at: int
    job_started: float | None = None

    def update(self) -> Update:
        """Claim an ID that the ledger does not know."""
        return Update(job_key(self.job_id), self._values(), (), "attribute_not_exists(#pk)")

    def update_over(self, item: Item) -> Update | Check | None:
        """Claim an ID whose item was found; None where it is credited to another submission."""
        is_ours = item.get("submission") == self.submission
        if is_ours and item.get("attemptedAt") == round(self.attempted_at, 3):
            return Check(job_key(self.job_id), "#submission = :submission", {"submission": self.submission})
        if "submission" in item and not is_ours and not self._is_stale(item):
            return None
        is_of_another_job = item.get("endRecordedAt", 0) < self.attempted_at
        where = {name: item[name] for name in ("submission", "claimedAt", "endRecordedAt") if name in item}
        condition = " AND ".join(
            f"#{name} = :was_{name}" if name in where else f"attribute_not_exists(#{name})"
            for name in ("submission", "claimedAt", "endRecordedAt")
        )
        stale = ("jobStartedAt",) if self.job_started is None else ()
        return Update(
            job_key(self.job_id),
            self._values(),
            (*(END if is_of_another_job else ()), *stale),
            condition,
            {f"was_{name}": value for name, value in where.items()},
        )

    def _is_stale(self, item: Item) -> bool:
        """Tell whether another submission's claim is of an older job with this ID."""
        claimed_at = item.get("claimedAt", float("inf"))
        if self.job_started is not None:
            return bool(claimed_at < self.job_started - STALE_SECONDS)
        # The answer itself names the ID, so its job is ours. Only a claim by reconciling can be of that very job.
        started = item.get("jobStartedAt", 0)
        return bool(claimed_at < self.attempted_at and started < self.attempted_at - CLOCK_SKEW_SECONDS)

    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {
            "submission": self.submission,
            "target": self.target,
            "attemptedAt": self.attempted_at,
            "claimedAt": self.claimed_at,
            "expiresAt": self.expires_at,
        }
        return values if self.job_started is None else {**values, "jobStartedAt": self.job_started}


@dataclass(frozen=True)
class Kept:
    """A job ID that was credited to the submission before: it is the job's as long as no other has claimed it since."""

    job_id: str
    submission: str

    def update(self) -> Check:
        """Check that nobody else has claimed it. An item that has expired is nobody's."""
        where: dict[str, Value] = {"submission": self.submission}
        return Check(job_key(self.job_id), "attribute_not_exists(#submission) OR #submission = :submission", where)

    def update_over(self, item: Item) -> Check | None:
        """Return the check once more; None where another submission has claimed it."""
        return self.update() if item.get("submission", self.submission) == self.submission else None
