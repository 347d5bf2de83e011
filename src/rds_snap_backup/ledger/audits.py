"""The ledger item `audit`: the state of the scheduled audits, saved on condition of the version that was read.

Findings are kept as keys, by the question that they answer and the place in which it was asked.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rds_snap_backup.core.policy import DAY
from rds_snap_backup.ledger.keys import AUDIT
from rds_snap_backup.ledger.table import ConditionFailed, Table, Update, Value

type Keys = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class ReportLink:
    """A report in the bucket: its key, and the SHA-256 of its bytes in hexadecimal."""

    key: str
    sha256: str


@dataclass(frozen=True)
class AuditState:
    """The last scheduled run and its findings' keys; all is empty before the first one.

    `told_at` is when findings were last published as new. `places` has the number of databases of
    each place, with the time at which it was last read, and `groups` how many databases each group selects, by its key.
    `pending` is a notification that may not have been published, `pending_new` the number of new findings in it.
    `digest_end` is the end of the last digest's span. `report` is the last report in the bucket. `read_at` is when all
    databases could last be judged, and `read_report` the key of that run's report, empty if it has none.
    `version` is 0 where there is no item.
    """

    run: str = ""
    keys: Keys = field(default_factory=dict)
    places: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    told_at: float = 0
    pending: Mapping[str, Any] | None = None
    pending_new: int = 0
    digest_end: float = 0
    report: ReportLink | None = None
    read_at: float = 0
    read_report: str = ""
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
        report = ReportLink(**linked) if (linked := record.pop("report")) else None
        return AuditState(keys=keys, places=places, report=report, version=int(item["version"]), **record)

    def save(self, state: AuditState) -> AuditState:
        """Save a state and return it with its new version; raise `AuditChangedError` if another run has saved its own."""
        write_id = uuid.uuid4().hex
        record = {
            "run": state.run,
            "keys": {question: sorted(keys) for question, keys in state.keys.items()},
            "places": state.places,
            "groups": state.groups,
            "told_at": state.told_at,
            "pending": state.pending,
            "pending_new": state.pending_new,
            "digest_end": state.digest_end,
            "report": asdict(state.report) if state.report else None,
            "read_at": state.read_at,
            "read_report": state.read_report,
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
