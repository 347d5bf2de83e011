"""The ends of jobs: each is recorded on the item `job#ID` and published once, however many messages are about the job.

The item also keeps what earlier polls of a job noted. It does not know how a job is polled.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rds_snap_backup.ledger.keys import JOB, job_key, own_end
from rds_snap_backup.ledger.outbox import Names, Outbox
from rds_snap_backup.ledger.steps import Done, Publish, Wait
from rds_snap_backup.ledger.table import Conflict, Item, Table, Update, Value
from rds_snap_backup.problems import Problem

CLAIMED = Problem("CLAIMED_MEANWHILE", "The job's ID has been claimed meanwhile.", "No action is needed.")
NAMES = Names(notification="end", published="endPublished", owner="endOwner", lease="endLease", wake=None)


class Completions:
    """The items `job#ID`. `ttl_seconds` is how long they are kept."""

    def __init__(self, table: Table, ttl_seconds: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._outbox = Outbox(table, clock, NAMES)

    def find(self, job_ids: Iterable[str]) -> dict[str, Item]:
        """Return the items that exist, by job ID; they may be a moment old."""
        found = self._table.get_many({job_key(job_id) for job_id in job_ids})
        return {key.removeprefix(JOB): item for key, item in found.items()}

    def ends(self, job_ids: Sequence[str], key: str) -> dict[str, str]:
        """Return how the jobs of the submission `key` have ended, for those whose end is recorded.

        Where a job's ID is another one's by now, the submission's own end is kept under an ID of its own.
        """
        items = self.find((*job_ids, *(own_end(job_id, key) for job_id in job_ids)))
        found = {job_id: items.get(own_end(job_id, key)) or items.get(job_id) or {} for job_id in job_ids}
        return {job_id: json.loads(item["end"])["status"] for job_id, item in found.items() if "end" in item}

    def record(self, job_id: str, item: Item, notification: dict[str, Any], owner: str) -> Publish | Done | Wait:
        """Record a job's end, unless one is recorded, and decide what this run may do about it.

        `item` is as it was read: an end is not recorded for an ID that has been claimed for another job meanwhile.
        """
        now, key = self._clock(), job_key(job_id)
        condition, where = "attribute_not_exists(#end) AND attribute_not_exists(#claimedAt)", dict[str, Value]()
        if "claimedAt" in item:
            condition, where = "attribute_not_exists(#end) AND #claimedAt = :was", {"was": item["claimedAt"]}
        values = {**self._outbox.record(notification, owner), "endRecordedAt": now, "expiresAt": self._expires_at()}
        try:
            self._table.write(Update(key, values, (), condition, where))
        except Conflict as conflict:
            found = conflict.found[0] or {}
            return self._outbox.resume(key, found, owner) if NAMES.notification in found else Wait(now, CLAIMED, None)
        return Publish(notification)

    def resume(self, job_id: str, item: Item, owner: str) -> Publish | Done | Wait:
        """Decide what this run may do about an end that is recorded; `item` is as it was read."""
        return self._outbox.resume(job_key(job_id), item, owner)

    def mark_published(self, job_id: str, owner: str) -> None:
        """Record that the end is published. Where another run took over, it is published twice."""
        self._outbox.mark_published(job_key(job_id), owner)

    def note(self, job_id: str, values: Mapping[str, Value], forget: tuple[str, ...] = ()) -> None:
        """Keep something about a job for later polls, or forget it."""
        self._table.write(Update(job_key(job_id), {**values, "expiresAt": self._expires_at()}, forget))

    def _expires_at(self) -> int:
        return int(self._clock()) + self._ttl_seconds
