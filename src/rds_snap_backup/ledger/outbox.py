"""The handshake by which each recorded notification is published: recorded, published, marked.

A run holds the notification by its owner ID and a lease; where that run was cut off, the next one publishes what it had
recorded. So a subscriber can see a notification twice, but never zero times.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.ledger.keys import OPEN
from rds_snap_backup.ledger.steps import Done, Publish, Wait
from rds_snap_backup.ledger.table import Conflict, Item, Table, Update, Value
from rds_snap_backup.problems import Problem

# The function's timeout (50 s) and 30 s: a run whose lease is over is dead.
LEASE_SECONDS = 80
IN_PROGRESS = Problem("IN_PROGRESS", "Another run holds this submission.", "No action is needed.")


@dataclass(frozen=True)
class Names:
    """The names of the attributes that hold the handshake; `wake` is when another run should take it up, where one looks."""

    notification: str = "notification"
    published: str = "published"
    owner: str = "owner"
    lease: str = "lease"
    wake: str | None = "wakeAt"


class Outbox:
    """Recorded notifications, one per item."""

    def __init__(self, table: Table, clock: Callable[[], float], names: Names) -> None:
        self._table = table
        self._clock = clock
        self._names = names

    def record(self, notification: dict[str, Any], owner: str) -> dict[str, Value]:
        """Return the attributes that record a notification, held by `owner`."""
        recorded: dict[str, Value] = {self._names.notification: json.dumps(notification), self._names.published: False}
        return {**recorded, **self._held(owner)}

    def resume(self, key: str, item: Item, owner: str) -> Publish | Done | Wait:
        """Decide what this run may do about a notification that is recorded; `item` is as it was read."""
        now, names = self._clock(), self._names
        notification = json.loads(item[names.notification])
        if item[names.published]:
            return Done(notification)
        if item[names.owner] == owner:
            return Publish(notification)
        if item[names.lease] > now:
            return Wait(item[names.lease], IN_PROGRESS, None)
        was = {"owner": item[names.owner], "lease": item[names.lease]}
        condition = f"#{names.owner} = :owner AND #{names.lease} = :lease"
        try:
            self._table.write(Update(key, self._held(owner), (), condition, was))
        except Conflict as conflict:
            # Our own owner ID: the write succeeded although its answer was lost.
            if (conflict.found[0] or {}).get(names.owner) != owner:
                return Wait(now + LEASE_SECONDS, IN_PROGRESS, None)
        return Publish(notification)

    def mark_published(self, key: str, owner: str) -> None:
        """Record that the notification is published. Where another run took over, it is published twice."""
        self._let_go(key, owner, {self._names.published: True, self._names.lease: 0}, (OPEN,))

    def release(self, key: str, owner: str) -> None:
        """Release a notification that could not be published, so that the next run need not wait for the lease."""
        self._let_go(key, owner, {self._names.lease: 0})

    def _let_go(self, key: str, owner: str, values: dict[str, Value], remove: tuple[str, ...] = ()) -> None:
        with suppress(Conflict):
            self._table.write(Update(key, values, remove, f"#{self._names.owner} = :me", {"me": owner}))

    def _held(self, owner: str) -> dict[str, Value]:
        until = self._clock() + LEASE_SECONDS
        held: dict[str, Value] = {self._names.owner: owner, self._names.lease: until}
        return {**held, self._names.wake: until} if self._names.wake else held
