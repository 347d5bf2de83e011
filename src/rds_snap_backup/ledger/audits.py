"""The ledger item `audit`: the state of the scheduled audits, saved on condition of the version that was read.

Findings are kept as keys, by the question that they answer and the place in which it was asked.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.ledger.keys import AUDIT, THROTTLE
from rds_snap_backup.ledger.submissions import DAY
from rds_snap_backup.ledger.table import ConditionFailed, Table, Update, Value

type Keys = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class AuditState:
    """The last scheduled run and its findings' keys; all is empty before the first one.

    `ran_at` is when it ran, `told_at` when findings were last published as new. `places` has the number of databases of
    each place, with the time at which it was last read, and `groups` how many databases each group selects, by its key.
    `pending` is a notification that may not have been published, `pending_new` the number of new findings in it.
    `version` is 0 where there is no item.
    """

    run: str = ""
    ran_at: float = 0
    keys: Keys = field(default_factory=dict)
    places: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    told_at: float = 0
    pending: Mapping[str, Any] | None = None
    pending_new: int = 0
    version: int = 0


class AuditChangedError(Exception):
    """Another run has saved the audit's state since it was read; nothing was saved."""


class Audits:
    """The item in one table, kept for `ledger_days` after the last audit."""

    def __init__(self, table: Table, ledger_days: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._ttl_seconds = ledger_days * DAY
        self._clock = clock

    def load(self) -> AuditState:
        """Return the state of the last scheduled audit."""
        item = self._table.get(AUDIT)
        if item is None:
            return AuditState()
        record = json.loads(item["record"])
        keys = {question: frozenset(keys) for question, keys in record.pop("keys").items()}
        places = {place: (count, read_at) for place, (count, read_at) in record.pop("places").items()}
        return AuditState(keys=keys, places=places, version=int(item["version"]), **record)

    def throttled_until(self) -> float:
        """Return when Commvault's last rate limit that was met ended, 0 if none is known."""
        return float((self._table.get(THROTTLE) or {}).get("until", 0))

    def save(self, state: AuditState) -> AuditState:
        """Save a state and return it with its new version; raise `AuditChangedError` if another run has saved its own."""
        write_id = uuid.uuid4().hex
        record = {
            "run": state.run,
            "keys": {question: sorted(keys) for question, keys in state.keys.items()},
            "ran_at": state.ran_at,
            "places": state.places,
            "groups": state.groups,
            "told_at": state.told_at,
            "pending": state.pending,
            "pending_new": state.pending_new,
        }
        values: dict[str, Value] = {
            "record": json.dumps(record, separators=(",", ":")),
            "version": state.version + 1,
            "writeId": write_id,
            "expiresAt": int(self._clock()) + self._ttl_seconds,
        }
        is_unchanged = "#version = :was_version" if state.version else "attribute_not_exists(#pk)"
        where: dict[str, Value] = {"was_version": state.version} if state.version else {}
        try:
            self._table.write(Update(AUDIT, values, (), is_unchanged, where))
        except ConditionFailed as conflict:
            # Our own write ID: the write succeeded although its answer was lost.
            if (conflict.found[0] or {}).get("writeId") != write_id:
                raise AuditChangedError from None
        return replace(state, version=state.version + 1)
