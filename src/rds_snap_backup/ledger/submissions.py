"""Submissions and subclient items in the ledger: loaded, and saved whole on condition of the version that was read."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import batched

from rds_snap_backup.ledger import records
from rds_snap_backup.ledger.keys import OPEN, OPEN_INDEX, THROTTLE, subclient_key
from rds_snap_backup.ledger.table import MAX_READ, Conflict, Item, Table, Update, Value
from rds_snap_backup.record import Change, CompletedJob, Subclient, Submission
from rds_snap_backup.submission import Surroundings

DAY = 86400
# In the year 5138.
FAR = 10**11


class Stale(Exception):
    """The submission has changed since it was read; nothing was saved."""


class SubclientChanged(Exception):
    """The item of a subclient has changed since it was read; nothing was saved."""


class Submissions:
    """The submissions of one table; `ledger_days` is how long an item is kept after its last change."""

    def __init__(self, table: Table, ledger_days: int, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._ttl_seconds = ledger_days * DAY
        self._clock = clock

    def load(self, key: str) -> Submission | None:
        """Return a submission, None where the ledger has none."""
        return self.load_all([key]).get(key)

    def load_all(self, keys: Iterable[str]) -> dict[str, Submission]:
        """Return the submissions of these keys that exist."""
        items = self._table.get_many(dict.fromkeys(keys))
        return {key: _submission(item) for key, item in items.items()}

    def subclients(self, association_keys: Iterable[str]) -> dict[str, Subclient]:
        """Return the items of these subclients; one that does not exist has version 0."""
        keys = list(association_keys)
        return _subclients(keys, self._table.get_many(map(subclient_key, keys)))

    def surroundings(self, submission: Submission, association_keys: Iterable[str]) -> Surroundings:
        """Return what a start of these backups depends on."""
        keys = list(association_keys)
        items = self._table.get_many([THROTTLE, *map(subclient_key, keys)])
        subclients = _subclients(keys, items)
        claimers = {subclient.claimer for subclient in subclients.values()} - {"", submission.key}
        throttled_until = items.get(THROTTLE, {}).get("until", 0.0)
        return Surroundings(subclients, self.load_all(sorted(claimers)), throttled_until)

    def save(self, change: Change) -> Submission:
        """Save a submission, with the subclient items that changed, and return it with its new version.

        Raises `Stale` or `SubclientChanged` where a version is not the one that was read, `Contended` where other
        transactions held an item for too long.
        """
        submission = replace(change.submission, version=change.submission.version + 1, write_id=uuid.uuid4().hex)
        expires_at = int(self._clock()) + self._ttl_seconds
        updates = [_submission_update(submission, expires_at)]
        updates += [_subclient_update(item, expires_at) for item in change.subclients]
        try:
            self._table.write(*updates)
        except Conflict as conflict:
            found = conflict.found[0]
            if found is None:
                raise SubclientChanged from None
            # Our own write ID: the write succeeded although its answer was lost.
            if found.get("writeId") != submission.write_id:
                raise Stale from None
        return submission

    def note_throttle(self, until: float) -> None:
        """Record until when Commvault refuses requests."""
        try:
            self._table.write(
                Update(
                    THROTTLE,
                    {"until": until, "expiresAt": int(until) + DAY},
                    (),
                    "attribute_not_exists(#until) OR #until < :until",
                    {"until": until},
                )
            )
        except Conflict:
            return

    def open(self) -> list[Submission]:
        """Return the submissions that are not over."""
        found: list[Submission] = []
        for keys in batched(self._table.query(OPEN_INDEX, {OPEN: "yes"}, {"wakeAt": FAR}), MAX_READ, strict=False):
            # The index may be a moment old, the items are not.
            found += [submission for submission in self.load_all(keys).values() if not submission.is_over]
        return found


def _submission(item: Item) -> Submission:
    return records.from_text(item["record"], int(item["version"]), item["writeId"])


def _submission_update(submission: Submission, expires_at: int) -> Update:
    values: dict[str, Value] = {
        "record": records.to_text(submission),
        "version": submission.version,
        "writeId": submission.write_id,
        "target": submission.target,
        "expiresAt": expires_at,
    }
    condition, where = _is_version(submission.version - 1)
    if submission.is_over:
        return Update(submission.key, values, (OPEN, "wakeAt"), condition, where)
    return Update(submission.key, {**values, OPEN: "yes", "wakeAt": submission.wake_at}, (), condition, where)


def _subclients(keys: Iterable[str], items: Mapping[str, Item]) -> dict[str, Subclient]:
    return {key: _subclient(key, items.get(subclient_key(key), {})) for key in keys}


def _subclient(key: str, item: Item) -> Subclient:
    completed = None
    if "completedId" in item:
        completed = CompletedJob(
            item["completedId"], item["completedStart"], item["completedLevel"], item["completedSubmission"]
        )
    known = tuple(item.get("knownIds", "").split())
    return Subclient(key, int(item.get("version", 0)), item.get("claimer", ""), known, completed)


def _subclient_update(subclient: Subclient, expires_at: int) -> Update:
    values: dict[str, Value] = {
        "version": subclient.version + 1,
        "claimer": subclient.claimer,
        "knownIds": " ".join(subclient.known_ids),
        "expiresAt": expires_at,
    }
    if completed := subclient.completed:
        values |= {
            "completedId": completed.id,
            "completedStart": completed.started,
            "completedLevel": completed.level,
            "completedSubmission": completed.submission,
        }
    condition, where = _is_version(subclient.version)
    return Update(subclient_key(subclient.key), values, (), condition, where)


def _is_version(version: int) -> tuple[str, dict[str, Value]]:
    if not version:
        return "attribute_not_exists(#pk)", {}
    return "#version = :was_version", {"was_version": version}
