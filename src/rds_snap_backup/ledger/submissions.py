"""Submissions and subclient items in the ledger: loaded, and saved whole on condition of the version that was read."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import batched

from rds_snap_backup.core.coordinator import Conflict, Saved, SaveResult, Stale
from rds_snap_backup.core.policy import DAY
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.core.subclients import CompletedJob, Subclient
from rds_snap_backup.ledger import records
from rds_snap_backup.ledger.keys import OPEN, OPEN_INDEX, THROTTLE, subclient_key
from rds_snap_backup.ledger.table import (
    MAX_READ,
    ConditionFailed,
    Contended,
    Item,
    Table,
    Update,
    Value,
)
from rds_snap_backup.observability import logger

# In the year 5138.
FAR = 10**11


class Submissions:
    """The submissions of one table; `ledger_days` is how long an item is kept after its last change."""

    def __init__(self, table: Table, ledger_days: int, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._ttl_seconds = ledger_days * DAY
        self._clock = clock

    def load(self, key: str) -> Submission | None:
        """Return a submission, None where the ledger has none. Raises `records.UnreadableRecordError`."""
        item = self._table.get(key)
        return _submission(item) if item else None

    def load_all(self, keys: Iterable[str]) -> dict[str, Submission]:
        """Return the submissions of these keys that exist and can be read."""
        found = self._read(keys).items()
        return {key: submission for key, submission in found if isinstance(submission, Submission)}

    def subclients(self, association_keys: Iterable[str]) -> dict[str, Subclient]:
        """Return the items of these subclients; one that does not exist has version 0."""
        keys = list(association_keys)
        return _subclients(keys, self._table.get_many(map(subclient_key, keys)))

    def start_inputs(self, submission: Submission, association_keys: Iterable[str]) -> StartInputs:
        """Return what a start of these backups depends on, without the document."""
        keys = list(association_keys)
        items = self._table.get_many([THROTTLE, *map(subclient_key, keys)])
        subclients = _subclients(keys, items)
        claimers = {subclient.claimer for subclient in subclients.values()} - {"", submission.key}
        throttled_until = items.get(THROTTLE, {}).get("until", 0.0)
        return StartInputs(subclients, self._read(sorted(claimers)), throttled_until)

    def save(self, change: Change) -> SaveResult:
        """Save a submission, with the subclient items that changed, if both have the versions that were read."""
        submission = replace(change.submission, version=change.submission.version + 1, write_id=uuid.uuid4().hex)
        expires_at = int(self._clock()) + self._ttl_seconds
        updates = [_submission_update(submission, expires_at)]
        updates += [_subclient_update(item, expires_at) for item in change.subclients]
        try:
            self._table.write(*updates)
        except ConditionFailed as failed:
            found = failed.found[0]
            if found is None:
                return Conflict()
            # Our own write ID: the write succeeded although its answer was lost.
            if found.get("writeId") != submission.write_id:
                return Stale(_submission(found) if found else replace(change.submission, version=0))
        except Contended:
            logger.info("Another transaction holds an item", key=submission.key)
            return Conflict()
        return Saved(submission)

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
        except ConditionFailed:
            return

    def open(self) -> tuple[list[Submission], list[Unreadable]]:
        """Return the submissions that are not over, and those that cannot be read."""
        found: list[Submission] = []
        unreadable: list[Unreadable] = []
        for keys in batched(self._table.query(OPEN_INDEX, {OPEN: "yes"}, {"wakeAt": FAR}), MAX_READ, strict=False):
            # The index may be a moment old, the items are not.
            for record in self._read(keys).values():
                match record:
                    case Unreadable():
                        unreadable.append(record)
                    case Submission() if not record.is_over:
                        found.append(record)
        return found, unreadable

    def _read(self, keys: Iterable[str]) -> dict[str, Submission | Unreadable]:
        read: dict[str, Submission | Unreadable] = {}
        for key, item in self._table.get_many(dict.fromkeys(keys)).items():
            try:
                read[key] = _submission(item)
            except records.UnreadableRecordError as error:
                logger.exception("A record cannot be read", key=key)
                # One that is over needs nobody, and keeps nobody.
                if OPEN in item:
                    read[key] = Unreadable(key, str(error))
        return read


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
    return Subclient(
        key, int(item.get("version", 0)), item.get("claimer", ""), known, completed, item.get("startedBy", "")
    )


def _subclient_update(subclient: Subclient, expires_at: int) -> Update:
    values: dict[str, Value] = {
        "version": subclient.version + 1,
        "claimer": subclient.claimer,
        "knownIds": " ".join(subclient.known_ids),
        "startedBy": subclient.user,
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
