"""The ends of jobs in the ledger: each is told once, however many messages and runs are about the job.

An end is recorded on the item `job#ID` before it is published, and marked after. The run that recorded it holds it by
its `owner` and a lease; where that run was cut off, the next one publishes what it had recorded. The item also keeps
what earlier looks at a job noted. It does not know how a job is looked at (`looks.py`).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.ledger.submissions import LEASE_SECONDS, TTL_SECONDS
from rds_snap_backup.ledger.table import Conflict, Item, Table, Update, Value


@dataclass(frozen=True, slots=True)
class Tell:
    """This run is to publish it."""

    notification: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """Everybody was told."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another run is publishing it, or is dead when its lease ends."""

    until: float


type Step = Tell | Done | Busy


class Completions:
    """The items `job#ID`."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def find(self, job_ids: Iterable[str]) -> dict[str, Item]:
        """Return the items that there are, by job id, as they lately were."""
        found = self._table.get_many({_key(job_id) for job_id in job_ids})
        return {key.removeprefix("job#"): item for key, item in found.items()}

    def record(self, job_id: str, notification: dict[str, Any], owner: str) -> Step:
        """Record a job's end, unless there is one, and tell what this run may do about it."""
        values: dict[str, Value] = {"end": json.dumps(notification), "endPublished": False, **self._held(owner)}
        try:
            self._table.write(Update(_key(job_id), values, (), "attribute_not_exists(#end)"))
        except Conflict as conflict:
            return self.resume(job_id, conflict.found[0] or {}, owner)
        return Tell(notification)

    def resume(self, job_id: str, item: Item, owner: str) -> Step:
        """Tell what this run may do about an end that is recorded; `item` is as it was read."""
        now = self._clock()
        if item["endPublished"]:
            return Done()
        if item["endOwner"] != owner:
            if item["endLease"] >= now:
                return Busy(item["endLease"])
            was = {"owner": item["endOwner"], "lease": item["endLease"]}
            take = Update(_key(job_id), self._held(owner), (), "#endOwner = :owner AND #endLease = :lease", was)
            try:
                self._table.write(take)
            except Conflict as conflict:
                if (conflict.found[0] or {}).get("endOwner") != owner:
                    return Busy(now + LEASE_SECONDS)
        return Tell(json.loads(item["end"]))

    def mark_published(self, job_id: str, owner: str) -> None:
        """Record that everybody was told. Where another run took over meanwhile, it will be told twice."""
        values: dict[str, Value] = {"endPublished": True, "endLease": 0}
        with suppress(Conflict):
            self._table.write(Update(_key(job_id), values, (), "#endOwner = :me", {"me": owner}))

    def note(self, job_id: str, values: Mapping[str, Value], forget: tuple[str, ...] = ()) -> None:
        """Keep something about a job for later looks, or forget it."""
        self._table.write(Update(_key(job_id), {**values, "expiresAt": int(self._clock()) + TTL_SECONDS}, forget))

    def _held(self, owner: str) -> dict[str, Value]:
        now = self._clock()
        return {"endOwner": owner, "endLease": now + LEASE_SECONDS, "expiresAt": int(now) + TTL_SECONDS}


def _key(job_id: str) -> str:
    return f"job#{job_id}"
