"""What a target's backups came to: when one was last submitted, started by a schedule, and completed.

It is kept on the target's cool-down item, so that many targets are read with few calls. Times are Unix seconds. How old
a backup may be is the audit's business.
"""

import json
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from rds_snap_backup.ledger.keys import COOL_DOWN, cool_down_key
from rds_snap_backup.ledger.table import Conflict, Table, Update, Value

NEWER = "attribute_not_exists(#completedAt) OR #completedAt < :at"


@dataclass(frozen=True)
class TargetHistory:
    """A target's last times, each 0 where there was none within `LedgerDays`.

    `submitted_at` is when a submission of it last got jobs, `scheduled_at` when one that a schedule started last ended,
    whatever came of it. `completed_at` is when the last submission began all of whose jobs completed, `completed_jobs`.
    """

    submitted_at: float = 0
    scheduled_at: float = 0
    completed_at: float = 0
    completed_jobs: tuple[str, ...] = ()


class History:
    """The histories of all targets. `ttl_seconds` is how long they are kept."""

    def __init__(self, table: Table, ttl_seconds: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds
        self._clock = clock

    def find(self, targets: Iterable[str]) -> dict[str, TargetHistory]:
        """Return the histories of these targets, of those that have one; they may be a moment old."""
        items = self._table.get_many(cool_down_key(target) for target in targets)
        return {
            key.removeprefix(COOL_DOWN): TargetHistory(
                submitted_at=item.get("submittedAt", 0),
                scheduled_at=item.get("scheduledAt", 0),
                completed_at=item.get("completedAt", 0),
                completed_jobs=tuple(json.loads(item.get("completedJobs", "[]"))),
            )
            for key, item in items.items()
        }

    def record_completion(self, target: str, began_at: float, job_ids: Collection[str]) -> None:
        """Record that all jobs of a submission completed; one that began earlier than what is recorded changes nothing."""
        values: dict[str, Value] = {
            "completedAt": began_at,
            "completedJobs": json.dumps(list(job_ids)),
            "expiresAt": int(self._clock()) + self._ttl_seconds,
        }
        with suppress(Conflict):
            self._table.write(Update(cool_down_key(target), values, (), NEWER, {"at": began_at}))
