"""What was done: the items that make a submission happen once, wherever a run is cut off.

A submission's `status` is `submitting` while a request may be under way, then `deferred` or `unknown` while there is more
to do, and in the end `submitted`, `scheduled`, `joined`, `rejected` or `abandoned` (`states.py`). A run holds the item by
its `owner` and a `lease`; every write after the first is conditional on that owner. Beside it there are the target's
cool-down, the claims of jobs, and `throttle`.

It decides what a run may do next; `attempts.py` starts an attempt, and `records.py` writes what the run did. It makes no
request and sends no message. Times are Unix seconds.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rds_snap_backup.ledger.attempts import Attempts
from rds_snap_backup.ledger.claims import Kept
from rds_snap_backup.ledger.entries import Entry, lease_of, pin_text
from rds_snap_backup.ledger.keys import OPEN, OPEN_INDEX, job_key, submission_key, target_of
from rds_snap_backup.ledger.outbox import IN_PROGRESS, LEASE_SECONDS
from rds_snap_backup.ledger.states import CLOSED
from rds_snap_backup.ledger.steps import (
    Exhausted,
    Lease,
    Pin,
    Publish,
    Reconcile,
    Step,
    Submission,
    Wait,
)
from rds_snap_backup.ledger.table import Conflict, Item, Update, Value
from rds_snap_backup.targets import BackupRequest
from rds_snap_backup.triggers import Trigger

MAX_EXPIRED_LEASES = 5
UNCHANGED = "#owner = :was_owner AND #lease = :was_lease AND #status = :was_status"
NO_PIN = Pin(BackupRequest(()), 0)


class Ledger(Attempts):
    """The ledger in one table. `retry_seconds` is how long a submission is retried, `ttl_seconds` how long it is kept."""

    def look_up(self, submission: Submission) -> Entry | None:
        """Return a submission as it is now, or None where the ledger does not know it."""
        item = self._table.get(submission.key)
        return Entry.from_item(item) if item else None

    def look_up_all(self, submissions: Iterable[Submission]) -> dict[str, Entry]:
        """Return those submissions that the ledger knows, by target."""
        keys = {submission.key: submission.target for submission in submissions}
        found = self._table.get_many(keys, consistent=True)
        return {keys[key]: Entry.from_item(item) for key, item in found.items()}

    def open_targets(self, trigger: Trigger) -> Iterator[str]:
        """Return the targets for which a trigger has a submission that is open or not published.

        The index may be a moment old: what a run wrote that was cut off is in it before its event is delivered again.
        """
        latest = self._clock() + self._ttl_seconds
        for key in self._table.query(OPEN_INDEX, {OPEN: "yes"}, {"wakeAt": latest}):
            target = target_of(key)
            if key == submission_key(target, trigger):
                yield target

    def begin(
        self,
        submission: Submission,
        owner: str,
        document: Pin | None,
        redriven_attempt: int | None = None,
        *,
        is_queued: bool = False,
    ) -> Step:
        """Take a submission up, or resume it, and decide what this run may do with it.

        `document` is what the target's document asks for; None where it is not usable, which a submission that the
        ledger knows does not need. `redriven_attempt` is the number on a dead letter that was redriven: where it is the
        current one, it opens a closed submission again. `is_queued`: only deliveries from the queue read the rate limit.
        """
        if document is not None:
            lease = Lease(submission, owner, attempt=0, created_at=self._clock(), pin=document)
            try:
                return self._start(lease, "attribute_not_exists(#pk)", {}, is_queued=is_queued)
            except Conflict as conflict:
                item = conflict.found[0] or {}
        else:
            item = self._table.get(submission.key) or {}
        return self._resume(lease_of(submission, owner, item), item, document, redriven_attempt, is_queued=is_queued)

    def send_again(self, lease: Lease, document: Pin | None, *, is_queued: bool) -> Step:
        """Go on to the next attempt: the last one was not accepted, so the current document is pinned."""
        try:
            return self._start(
                lease.pinned(document) if document else lease, "#owner = :me", {"me": lease.owner}, is_queued=is_queued
            )
        except Conflict:
            return self._overtaken()

    def reject(self, submission: Submission, owner: str, notification: dict[str, Any]) -> Step:
        """Record the end of a submission whose target is unknown or not valid, unless the ledger knows it."""
        now = self._clock()
        lease = Lease(submission, owner, attempt=0, created_at=now, pin=NO_PIN)
        values: dict[str, Value] = {
            "status": "rejected",
            "attempt": 0,
            "target": submission.target,
            "trigger": json.dumps(submission.trigger.to_json()),
            "createdAt": now,
            "pin": pin_text(NO_PIN),
            **self._outbox.record(notification, owner),
            **self._held(lease),
        }
        try:
            self._table.write(Update(submission.key, values, (), "attribute_not_exists(#pk)"))
        except Conflict as conflict:
            item = conflict.found[0] or {}
            return self._resume(lease_of(submission, owner, item), item, None, None, is_queued=True)
        return Publish(notification, lease)

    def _resume(
        self, lease: Lease, item: Item, document: Pin | None, redriven_attempt: int | None, *, is_queued: bool
    ) -> Step:
        """Take up a submission that the ledger knows, from where its item says it is."""
        now, was = self._clock(), {f"was_{name}": item[name] for name in ("owner", "lease", "status")}
        lease = self._with_own_jobs(lease)
        is_live, is_cut_off = item["lease"] > now, 0 < item["lease"] <= now
        entry = Entry.from_item(item)
        if entry.is_reopened_by(redriven_attempt):
            if document is None:
                return self._overtaken()  # It was published a moment ago: the next delivery asks what is to be done.
            # The time for retrying begins again, and another copy of the dead letter does nothing.
            lease = replace(lease, created_at=now)
            opened: dict[str, Value] = {"published": False, "expiredLeases": 0, "createdAt": now}
            if lease.is_uncertain:
                lease = replace(lease, attempt=lease.attempt + 1)
                return self._take(Reconcile(lease), was, {**opened, "status": "unknown", "attempt": lease.attempt})
            return self._retry(lease, document, was, opened, is_queued=is_queued)
        if entry.status in CLOSED:
            match self._outbox.resume(lease.submission.key, item, lease.owner):
                case Publish(notification):
                    return Publish(notification, lease)
                case step:
                    return step
        if is_live:
            return Wait(item["lease"], IN_PROGRESS, None)
        expired = item.get("expiredLeases", 0) + 1 if is_cut_off else 0
        values: dict[str, Value] = {"expiredLeases": expired}
        if entry.status == "submitting":
            # It was cut off, and may have sent its request until its lease ended.
            lease = replace(lease, is_uncertain=True, attempt_ended_at=item["lease"])
            values |= {"uncertain": True, "attemptEndedAt": item["lease"]}
        if expired >= MAX_EXPIRED_LEASES:
            return self._take(Exhausted(lease), was, {**values, "status": "unknown"})
        if lease.is_uncertain:
            return self._take(Reconcile(lease), was, {**values, "status": "unknown"})
        return self._retry(lease, document, was, values, is_queued=is_queued)

    def _with_own_jobs(self, lease: Lease) -> Lease:
        """Forget jobs that were adopted, and whose IDs were counted again and credited to other submissions since."""
        if not lease.found:
            return lease
        key, claims = lease.submission.key, self._table.get_many(map(job_key, lease.found.values()), consistent=True)
        kept = [Kept(job_id, key) for job_id in lease.found.values()]
        return lease.without({one.job_id for one in kept if not one.update_over(claims.get(job_key(one.job_id), {}))})

    def _take[S: Exhausted | Reconcile](self, step: S, was: Mapping[str, Any], values: Mapping[str, Value]) -> S | Wait:
        """Make the submission this run's, if it still is as it was read."""
        update = Update(step.lease.submission.key, {**values, **self._held(step.lease)}, (), UNCHANGED, was)
        try:
            self._write_mine(update, step.lease.owner)
        except Conflict:
            return self._overtaken()
        return step

    def _retry(
        self,
        lease: Lease,
        document: Pin | None,
        was: Mapping[str, Any],
        values: Mapping[str, Value],
        *,
        is_queued: bool,
    ) -> Step:
        try:
            return self._start(
                lease.pinned(document) if document else lease, UNCHANGED, was, values, is_queued=is_queued
            )
        except Conflict:
            return self._overtaken()

    def _overtaken(self) -> Wait:
        return Wait(self._clock() + LEASE_SECONDS, IN_PROGRESS, None)
