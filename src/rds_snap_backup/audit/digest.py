"""The digest: the results of the triggers and jobs since the last daily audit, and whether they met the rate limit. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.core.backups import HOUR
from rds_snap_backup.core.jobs import JobEnd
from rds_snap_backup.core.phases import End
from rds_snap_backup.core.record import Submission
from rds_snap_backup.messaging.notifications import iso

# Writing calls an hour, for a whole tenant of Commvault's SaaS.
WRITES_AN_HOUR = 100
STATES: tuple[str, ...] = ("waiting", "requested", "running", *get_args(End.__value__))
JOB_STATES: tuple[str, ...] = ("running", *get_args(JobEnd.__value__))


@dataclass(frozen=True)
class Day:
    """What the ledger knows of the time since the last daily audit.

    `submissions` are those that are open and the last one of each subclient; `throttled_until` is when Commvault's last
    known rate limit ended.
    """

    since: float
    submissions: tuple[Submission, ...] = ()
    throttled_until: float = 0

    @classmethod
    def of(cls, since: float, submissions: Iterable[Submission], throttled_until: float) -> "Day":
        """Choose the submissions that were created or opened again since then."""
        return cls(
            since, tuple(submission for submission in submissions if submission.opened >= since), throttled_until
        )

    def to_json(self, job_ends: Mapping[str, int]) -> dict[str, Any]:
        """Return `since`: the states of the submissions' backups, and of Commvault's jobs, whoever started them."""
        states: Counter[str] = Counter(
            submission.state_of(backup) for submission in self.submissions for backup in submission.backups
        )
        return {
            "time": iso(self.since),
            "submissions": len(self.submissions),
            "backups": {state: states[state] for state in STATES},
            "jobs": {state: job_ends.get(state, 0) for state in JOB_STATES},
        }

    def rate_findings(self, now: float) -> list[Finding]:
        """Return the finding that submissions waited for the rate limit, with the grouping that would fit."""
        if self.throttled_until <= self.since:
            return []
        waits = [wait for submission in self.submissions if (wait := _waited(submission, now)) > 0]
        if not waits:
            return []
        backups = sum(len(submission.backups) for submission in self.submissions)
        size = max(2, math.ceil(backups / WRITES_AN_HOUR))
        message = (
            f"Commvault's rate limit was reached: {len(waits)} of {len(self.submissions)} submissions waited, the longest "
            f"{max(waits) / HOUR:.1f} h. They had {backups} backups."
        )
        hint = (
            f"Put {size} or more associations into each target: one request starts them together, and "
            f"{WRITES_AN_HOUR} requests an hour then are enough. Or spread the schedules over more hours."
        )
        return [Finding("rate", "RATE_LIMITED", message, hint)]


def _waited(submission: Submission, now: float) -> float:
    """Return how long a submission waited for Commvault or for a busy subclient."""
    return max(
        (backup.tried.until(now, backup.phase).uncounted for backup in submission.backups),
        default=0,
    )
