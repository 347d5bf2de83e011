"""The ledger item `token`: the lease on renewing the token pair, and the record of the last renewal.

It holds fingerprints and version IDs, never a token. A run that is killed leaves its record to the next one.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rds_snap_backup.ledger.keys import TOKEN
from rds_snap_backup.ledger.table import ConditionFailed, Item, Table, Update, Value

# Fingerprints of renewed pairs are kept for this long.
KEPT_SECONDS = 24 * 3600
PRESENTED = ("presented", "versionId", "newVersionId")


@dataclass(frozen=True)
class RenewalState:
    """The record of earlier renewals; an empty text stands for nothing.

    `presented` is the fingerprint of the pair that was about to be presented, read as `version_id`, its successor to be
    stored as `new_version_id`. `renewed` has the fingerprints of the pairs that were renewed in the last day, and their
    times; the last successor is stored as `stored_version_id`.
    """

    presented: str
    version_id: str
    new_version_id: str
    renewed: Mapping[str, float]
    renewed_at: float
    stored_version_id: str
    refused: str
    refused_at: float


class HeldLease:
    """The lease, held by one run. `record` and `release` write, and only while the lease is held."""

    def __init__(self, table: Table, clock: Callable[[], float], owner: str, state: RenewalState) -> None:
        self._table = table
        self._clock = clock
        self._owner = owner
        self._state = state
        self._values: dict[str, Value] = {}
        self._ended: tuple[str, ...] = ()

    @property
    def state(self) -> RenewalState:
        """The record, with what `release` will write."""
        return self._state

    def record(self, fingerprint: str, version_id: str, new_version_id: str) -> bool:
        """Record which pair is about to be presented, before it is; return whether the lease still holds."""
        presented = dict(zip(PRESENTED, (fingerprint, version_id, new_version_id), strict=True))
        return self._write({**self._values, **presented}, ())

    def mark_renewed(self, fingerprint: str, stored_version_id: str) -> None:
        """Let `release` record that a pair was renewed and the new one is stored: the old one is never presented again."""
        now = self._clock()
        earlier = {old: at for old, at in self._state.renewed.items() if at > now - KEPT_SECONDS}
        kept = earlier | {fingerprint: now}
        entries = " ".join(f"{renewed}:{at:.0f}" for renewed, at in kept.items())
        self._values |= {"renewed": entries, "renewedAt": now, "storedVersionId": stored_version_id}
        self._ended = PRESENTED
        self._state = replace(
            self._state,
            presented="",
            version_id="",
            new_version_id="",
            renewed=kept,
            renewed_at=now,
            stored_version_id=stored_version_id,
        )

    def mark_refused(self, fingerprint: str) -> None:
        """Let `release` record that Commvault refused to renew a pair."""
        self._values |= {"refused": fingerprint, "refusedAt": self._clock()}
        self._ended = PRESENTED

    def release(self) -> None:
        """Let the next run take the lease at once."""
        self._write({**self._values, "lease": 0}, self._ended)

    def _write(self, values: Mapping[str, Value], remove: tuple[str, ...]) -> bool:
        try:
            self._table.write(Update(TOKEN, values, remove, "#owner = :owner", {"owner": self._owner}))
        except ConditionFailed:
            return False
        return True


class TokenLease:
    """The one lease of all runs of a stack."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def take(self, seconds: float) -> HeldLease | None:
        """Take the lease for a number of seconds; None while another run holds it."""
        now, owner = self._clock(), uuid.uuid4().hex
        is_free = "attribute_not_exists(#lease) OR #lease <= :now"
        values: dict[str, Value] = {"owner": owner, "lease": now + seconds}
        try:
            self._table.write(Update(TOKEN, values, (), is_free, {"now": now}))
        except ConditionFailed as conflict:
            # Our own owner ID: the write succeeded although its answer was lost.
            if (conflict.found[0] or {}).get("owner") != owner:
                return None
        # A throttled table may leave the item out. Renewing without its record would end the token's chain.
        item = self._table.get(TOKEN)
        return HeldLease(self._table, self._clock, owner, _state(item)) if item else None


def _state(item: Item) -> RenewalState:
    return RenewalState(
        presented=item.get("presented", ""),
        version_id=item.get("versionId", ""),
        new_version_id=item.get("newVersionId", ""),
        renewed=_renewed(item),
        renewed_at=item.get("renewedAt", 0.0),
        stored_version_id=item.get("storedVersionId", ""),
        refused=item.get("refused", ""),
        refused_at=item.get("refusedAt", 0.0),
    )


def _renewed(item: Item) -> dict[str, float]:
    entries = (entry.partition(":") for entry in item.get("renewed", "").split())
    return {fingerprint: float(at) for fingerprint, _, at in entries}
