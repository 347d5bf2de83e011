"""The ledger item `audit`: what the last scheduled audit found, and the notification that it may not have published yet.

Findings are kept as keys, by the question that they answer. What a change of them means is the audit's business.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.ledger.keys import AUDIT
from rds_snap_backup.ledger.outbox import Names, Outbox
from rds_snap_backup.ledger.steps import Done, Publish, Wait
from rds_snap_backup.ledger.table import Conflict, Item, Table, Update, Value

type Keys = Mapping[str, frozenset[str]]

NAMES = Names(wake=None)
UNCHANGED = "#run = :was_run AND #recordedAt = :was_recordedAt"


@dataclass(frozen=True)
class AuditState:
    """What is recorded: the last run, its findings' keys by question, and when a notification was last recorded.

    `new_findings` is how many of the findings in it were new. All is empty or 0 before the first audit.
    """

    run: str = ""
    keys: Keys = field(default_factory=dict)
    notified_at: float = 0
    new_findings: int = 0
    item: Item = field(default_factory=dict, repr=False)

    @property
    def is_pending(self) -> bool:
        """Tell whether its notification may not have been published."""
        return self.item.get("published") is False


@dataclass(frozen=True)
class Audited:
    """What a run found: its findings' keys, and the notification that it is about to publish, if any."""

    run: str
    keys: Keys
    notification: dict[str, Any] | None = None
    new_findings: int = 0


class Audits:
    """The item in one table; `ttl_seconds` is how long it is kept without another audit."""

    def __init__(self, table: Table, ttl_seconds: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._outbox = Outbox(table, clock, NAMES)

    def last(self) -> AuditState:
        """Return what the last scheduled audit recorded."""
        item = self._table.get(AUDIT) or {}
        return AuditState(
            run=item.get("run", ""),
            keys={question: frozenset(keys) for question, keys in json.loads(item.get("keys", "{}")).items()},
            notified_at=item.get("notifiedAt", 0),
            new_findings=int(item.get("newFindings", 0)),
            item=item,
        )

    def resume(self, state: AuditState, owner: str) -> Publish | Done | Wait:
        """Decide what this run may do about a notification that an earlier one recorded and may not have published."""
        return self._outbox.resume(AUDIT, state.item, owner)

    def record(self, before: AuditState, audited: Audited, owner: str) -> bool:
        """Record what a run found, before it publishes it.

        Return False where another run has recorded its own since `before` was read; then nothing is recorded.
        """
        now = self._clock()
        values: dict[str, Value] = {
            "run": audited.run,
            "recordedAt": now,
            "recordedBy": owner,
            "keys": json.dumps({question: sorted(some) for question, some in audited.keys.items()}),
            "expiresAt": int(now) + self._ttl_seconds,
        }
        if audited.notification is not None:
            recorded = self._outbox.record(audited.notification, owner)
            values |= {**recorded, "notifiedAt": now, "newFindings": audited.new_findings}
        condition, where = "attribute_not_exists(#pk)", dict[str, Value]()
        if before.item:
            condition = UNCHANGED
            where = {f"was_{name}": before.item[name] for name in ("run", "recordedAt")}
        try:
            self._table.write(Update(AUDIT, values, (), condition, where))
        except Conflict as conflict:
            # Our own owner ID: the write succeeded although its answer was lost.
            return bool((conflict.found[0] or {}).get("recordedBy") == owner)
        return True

    def mark_published(self, owner: str) -> None:
        """Record that the notification is published. Where another run took over, it is published twice."""
        self._outbox.mark_published(AUDIT, owner)

    def release(self, owner: str) -> None:
        """Release a notification that could not be published, so that the next run need not wait for the lease."""
        self._outbox.release(AUDIT, owner)
