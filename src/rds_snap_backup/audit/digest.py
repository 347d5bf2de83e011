"""The digest: the results of triggers and jobs since the last digest, as sums of the stack's own metrics. Pure.

A metric is written when its message is published, so a message that was published twice counts twice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rds_snap_backup.audit.findings import Finding, Unasked
from rds_snap_backup.core.policy import DAY, HOUR, MINUTE
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.observability import MetricName
from rds_snap_backup.problems import Problem

# Writing calls an hour, for a whole tenant of Commvault's SaaS.
WRITES_AN_HOUR = 100
# CloudWatch may show a metric that late.
SETTLING_SECONDS = 10 * MINUTE
# CloudWatch keeps the sums of single minutes for 15 days.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
MAX_SECONDS = 14 * DAY
SUMS: Mapping[str, Mapping[str, MetricName]] = {
    "backups": {
        "submitted": "BackupSubmitted",
        "joined": "BackupJoined",
        "completed": "BackupCompleted",
        "retried": "BackupRetried",
        "failed": "BackupFailed",
        "lost": "JobLost",
        "rejected": "BackupRejected",
    },
    "submissions": {
        "deferred": "SubmissionDeferred",
        "reconciled": "SubmissionReconciled",
        "abandoned": "SubmissionAbandoned",
        "throttled": "SubmissionThrottled",
        "throttledSeconds": "ThrottledSeconds",
    },
    "events": {"ignored": "EventIgnored", "refused": "EventRefused"},
}


@dataclass(frozen=True)
class Span:
    """Whole minutes, in Unix seconds; the minute that begins at `end` is not in it."""

    start: float
    end: float

    @classmethod
    def since(cls, last_end: float, now: float) -> Self:
        """Return the span from the last digest's end, 0 if there is none, to ten minutes ago: then a day."""
        end = (now - SETTLING_SECONDS) // MINUTE * MINUTE
        return cls(min(max(last_end or end - DAY, end - MAX_SECONDS), end), end)


@dataclass(frozen=True)
class Digest:
    """The sums of a span by the metrics' names; a problem if they could not be read."""

    span: Span
    sums: Mapping[MetricName, int] | Problem

    def to_json(self) -> dict[str, Any]:
        """Return `since`; sums that could not be read are null."""
        sums = self.sums
        counted = {
            group: {name: None if isinstance(sums, Problem) else sums.get(metric, 0) for name, metric in names.items()}
            for group, names in SUMS.items()
        }
        return {"start": iso(self.span.start), "end": iso(self.span.end), **counted}

    @property
    def unasked(self) -> list[Unasked]:
        """The question that could not be asked, if the sums could not be read."""
        return [Unasked("rate", self.sums)] if isinstance(self.sums, Problem) else []

    def rate_findings(self) -> list[Finding]:
        """Return the finding that submissions waited for the rate limit, with the grouping that would fit."""
        if isinstance(self.sums, Problem) or not (throttled := self.sums.get("SubmissionThrottled", 0)):
            return []
        waited, backups = self.sums.get("ThrottledSeconds", 0), self.sums.get("BackupSubmitted", 0)
        size = max(2, math.ceil(backups / WRITES_AN_HOUR))
        message = (
            f"Commvault's rate limit was reached: submissions were deferred for it {throttled} "
            f"time{'' if throttled == 1 else 's'}, {waited / HOUR:.1f} h in all. {backups} backups started."
        )
        hint = (
            f"Put {size} or more associations into each target: one request starts them together, and "
            f"{WRITES_AN_HOUR} requests an hour then are enough. Or spread the schedules over more hours."
        )
        return [Finding("rate", "RATE_LIMITED", message, hint)]
