"""The start of an attempt: `submitting` is recorded before the request leaves, or why it may not leave now.

A start claims the target's cool-down with the submission's own item, and reads the rate limit.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rds_snap_backup.ledger import cool_downs
from rds_snap_backup.ledger.entries import open_values
from rds_snap_backup.ledger.keys import THROTTLE, job_key
from rds_snap_backup.ledger.outbox import LEASE_SECONDS
from rds_snap_backup.ledger.records import MAX_WRITES, Records
from rds_snap_backup.ledger.states import CLOSED
from rds_snap_backup.ledger.steps import Complete, Join, Lease, Send, Step, Wait
from rds_snap_backup.ledger.table import Conflict, Item, Table, Update, Value
from rds_snap_backup.problems import Problem

# A claimer that is still open this long after its time for retrying ended has no message left that could resume it.
STUCK_SECONDS = 3600
FAILED = {"failed", "killed"}
RATE_LIMITED = Problem("RATE_LIMITED", "Commvault's rate limit was reached.", "It is sent when the limit ends.")
COOL_DOWN_BUSY = Problem("COOL_DOWN", "The target's cool-down keeps changing.", "No action is needed.")


class Attempts(Records):
    """Starts attempts. `retry_seconds` is how long a submission is retried, `ttl_seconds` how long it is kept."""

    def __init__(self, table: Table, retry_seconds: int, ttl_seconds: int, clock: Callable[[], float]) -> None:
        super().__init__(table, ttl_seconds, clock)
        self._retry_seconds = retry_seconds

    def _start(
        self,
        lease: Lease,
        condition: str,
        where: Mapping[str, Any],
        beside: Mapping[str, Value] | None = None,
        *,
        is_queued: bool,
    ) -> Step:
        """Write `submitting`, before the request leaves. Raises `Conflict` for the submission's own condition."""
        beside, lease = beside or {}, replace(lease, is_uncertain=False, scan=None, claimed=())
        # What waits made no attempt; opened again, it takes the next number all the same, so that no copy of its dead
        # letter has the current one.
        waiting = lease if "createdAt" not in beside else replace(lease, attempt=lease.attempt + 1)

        def held(status: str, held: Lease) -> Update:
            values = {**beside, **open_values(held, status), **self._held(held)}
            if status == "submitting":
                values["attemptedAt"] = held.attempted_at
            return Update(lease.submission.key, values, ("claimed",), condition, where)

        def keep() -> None:
            self._write_mine(held("deferred", waiting), lease.owner)

        if not lease.missing:
            keep()
            return Complete(waiting)
        if (until := self._read_throttle(is_queued=is_queued)) > self._clock():
            keep()
            return Wait(until, RATE_LIMITED, waiting)
        now = self._clock()
        attempt = replace(lease, attempt=lease.attempt + 1, attempted_at=now)
        over: Item | None = None
        for _ in range(MAX_WRITES):
            cool_down = cool_downs.claim(attempt, now, self._expires_at(), over)
            try:
                self._table.write(*filter(None, (held("submitting", attempt), cool_down)))
            except Conflict as conflict:
                item, *rest = conflict.found
                if item is not None:
                    if item.get("owner") == lease.owner and item.get("status") == "submitting":
                        return Send(attempt)  # Our own write, which succeeded although its answer was lost.
                    raise
                over = rest[0] or {}
                held_up = self._held_up(waiting, over, now)
                if held_up:
                    keep()
                    return held_up
            else:
                return Send(attempt)
        keep()
        return Wait(0, COOL_DOWN_BUSY, waiting)

    def _held_up(self, lease: Lease, cool_down: Item, now: float) -> Wait | Join | None:
        """Return what an RDS event does inside a cool-down, as it was read; None where that does not hold it up."""
        claimer = cool_down.get("claimer", lease.submission.key)
        if claimer != lease.submission.key and self._is_open(claimer):
            message = f"A submission of {lease.submission.target} is open, and this one will join its jobs."
            return Wait(0, Problem("COOL_DOWN", message, "No action is needed."), lease)
        join = cool_downs.joined(lease, cool_down)
        return None if cool_down.get("until", 0) <= now or self._has_failed(join.job_ids) else join

    def _is_open(self, key: str) -> bool:
        item = self._table.get(key)
        if item is None or item["status"] in CLOSED:
            return False
        return bool(self._clock() < item["createdAt"] + self._retry_seconds + LEASE_SECONDS + STUCK_SECONDS)

    def _has_failed(self, job_ids: Iterable[str]) -> bool:
        """Tell whether one of these jobs has ended without a backup, so that joining it would back up nothing."""
        ends = [item["end"] for item in self._table.get_many(map(job_key, job_ids)).values() if "end" in item]
        return any(json.loads(end)["status"] in FAILED for end in ends)

    def _read_throttle(self, *, is_queued: bool) -> float:
        """Return until when Commvault refuses requests. It is read, not checked: starts must not conflict on it."""
        if is_queued:
            item = self._table.get(THROTTLE, consistent=False) or {}
            self._throttled_until = max(self._throttled_until, item.get("until", 0))
        return self._throttled_until
