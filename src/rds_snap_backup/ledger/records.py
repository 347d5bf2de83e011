"""What a run records of a submission that it holds: its end, jobs found, or why it waits. The writing half of the ledger.

Every write is conditional on the run's owner ID, and jobs are claimed in the transaction that records them.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import batched
from typing import Any

from rds_snap_backup.ledger import cool_downs
from rds_snap_backup.ledger.claims import END, Claim, Kept
from rds_snap_backup.ledger.entries import scan_text
from rds_snap_backup.ledger.keys import OPEN, THROTTLE, job_key
from rds_snap_backup.ledger.outbox import LEASE_SECONDS, Names, Outbox
from rds_snap_backup.ledger.states import Closed
from rds_snap_backup.ledger.steps import Claimed, FoundJob, Lease, LostLease
from rds_snap_backup.ledger.table import MAX_TRANSACTION, Check, Conflict, Table, Update, Value
from rds_snap_backup.problems import Problem

MAX_WRITES = 6


class Records:
    """Records in one table; `ttl_seconds` is how long they are kept."""

    def __init__(self, table: Table, ttl_seconds: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._outbox = Outbox(table, clock, Names())
        self._throttled_until = 0.0  # As this sandbox knows it.

    def close(
        self,
        lease: Lease,
        status: Closed,
        notification: dict[str, Any],
        claims: Iterable[str | FoundJob] = (),
        *,
        starts_cool_down: bool = True,
    ) -> None:
        """Record the end of a submission, with the jobs that are credited to it alone.

        `claims` are the IDs that Commvault's answer named, and jobs that reconciling found. `starts_cool_down` is false
        where it joined jobs because of a cool-down: otherwise a stream of events would prolong that one, and postpone
        the next backup, for ever.
        Raises `Claimed` when a job is credited to another, be it one that was adopted before, and `LostLease`; then
        nothing is recorded.
        """
        now = self._clock()
        is_uncertain = status == "abandoned" and lease.is_uncertain
        values: dict[str, Value] = {
            "status": status,
            **self._outbox.record(notification, lease.owner),
            "uncertain": is_uncertain,
            "scan": "",
            "expiresAt": self._expires_at(),
        }
        if is_uncertain:
            values["attemptEndedAt"] = lease.attempt_ended_at  # Opened again, it is reconciled from there.
        starting = notification if starts_cool_down else None
        kept = [Kept(job_id, lease.submission.key) for job_id in lease.found.values()]
        self._record(lease, values, claims, cool_downs.end(lease, status, starting, now, self._expires_at()), kept)

    def amend(
        self, lease: Lease, was: dict[str, Any], notification: dict[str, Any], claims: Iterable[FoundJob]
    ) -> None:
        """Replace a recorded notification that is not published yet by one with more jobs; raises like `close`."""
        cool_down = cool_downs.amend(lease, was, notification)
        self._record(lease, {"notification": json.dumps(notification)}, claims, (cool_down, None))

    def adopt(self, lease: Lease, found: Mapping[str, FoundJob]) -> Lease:
        """Record jobs found for some of a submission's associations, by association; raises like `close`."""
        lease = replace(lease, found={**lease.found, **{key: job.id for key, job in found.items()}})
        self._record(lease, {"found": json.dumps(lease.found)}, found.values())
        return lease

    def defer(self, lease: Lease, problem: Problem, wake_at: float, throttled_until: float = 0) -> None:
        """Record that the attempt was not accepted, and release the submission; raises `LostLease`."""
        beside = []
        if throttled_until:
            self._throttled_until = throttled_until
            beside = [Update(THROTTLE, {"until": throttled_until, "expiresAt": self._expires_at()})]
        self._release(lease, problem, wake_at, {"status": "deferred", "uncertain": False}, *beside)

    def unknown(self, lease: Lease, problem: Problem, wake_at: float) -> None:
        """Record that the attempt may have been accepted, and release the submission; raises `LostLease`."""
        doubt: dict[str, Value] = {"uncertain": True, "attemptEndedAt": lease.attempt_ended_at}
        self._release(lease, problem, wake_at, {"status": "unknown", **doubt, "scan": scan_text(lease.scan)})

    def forget_ends(self, running: Iterable[FoundJob]) -> None:
        """Forget ends that were recorded before these jobs began: they are of older jobs with the same IDs."""
        for job in running:
            values: dict[str, Value] = {"expiresAt": self._expires_at()}
            with suppress(Conflict):
                began = {"began": job.started}
                self._table.write(Update(job_key(job.id), values, END, "#endRecordedAt < :began", began))

    def mark_published(self, lease: Lease) -> None:
        """Record that the notification is published. Where another run took over, it is published twice."""
        self._outbox.mark_published(lease.submission.key, lease.owner)

    def release_unpublished(self, lease: Lease) -> None:
        """Release an ended submission that could not be published, so that the next run need not wait for the lease."""
        self._outbox.release(lease.submission.key, lease.owner)

    def _record(
        self,
        lease: Lease,
        values: Mapping[str, Value],
        claims: Iterable[str | FoundJob],
        cool_down: tuple[Update | None, Update | None] = (None, None),
        kept: Iterable[Kept] = (),
    ) -> None:
        """Write a submission's item with the claims of its jobs, and its cool-down's end in one of its two forms."""
        mine = {"me": lease.owner}
        wanted: list[Claim | Kept] = [*kept, *(self._claim(lease, one) for one in claims)]
        last = wanted[: MAX_TRANSACTION - 2]
        # A target of very many associations: the claims that do not fit go first, and are noted for the next run.
        for batch in batched(wanted[len(last) :], MAX_TRANSACTION - 1, strict=False):
            noted: dict[str, Value] = {"claimed": json.dumps([claim.job_id for claim in wanted[len(last) :]])}
            self._write_claims(Update(lease.submission.key, noted, (), "#owner = :me", mine), batch)
        update = Update(lease.submission.key, values, (), "#owner = :me", mine)
        self._write_claims(update, last, *cool_down)

    def _write_claims(
        self,
        first: Update | Check,
        claims: Sequence[Claim | Kept],
        cool_down: Update | None = None,
        other: Update | None = None,
    ) -> None:
        """Write claims, each over what is found of it; raise `Claimed` for those of others, and `LostLease`."""
        writes: list[Update | Check] = [claim.update() for claim in claims]
        for _ in range(MAX_WRITES):
            try:
                self._table.write(first, *writes, *filter(None, (cool_down,)))
            except Conflict as conflict:
                owned, *found = conflict.found
                if owned is not None:
                    raise LostLease from None
                taken = set[str]()
                for index, (claim, item) in enumerate(zip(claims, found, strict=False)):
                    if item is not None:
                        over = claim.update_over(item)
                        writes[index] = over or writes[index]
                        taken |= set() if over else {claim.job_id}
                if taken:
                    raise Claimed(taken) from None
                if any(item is not None for item in found[len(claims) :]):
                    # A schedule or a manual request has set the cool-down since: it is theirs to release.
                    cool_down = other
            else:
                return
        raise LostLease

    def _write_mine(self, update: Update, owner: str) -> None:
        """Make a submission this owner's; where it is already, the write succeeded although its answer was lost."""
        try:
            self._table.write(update)
        except Conflict as conflict:
            if (conflict.found[0] or {}).get("owner") != owner:
                raise

    def _release(
        self, lease: Lease, problem: Problem, wake_at: float, values: Mapping[str, Value], *beside: Update
    ) -> None:
        """Release the lease; raises `LostLease`."""
        released: dict[str, Value] = {"lease": 0, "wakeAt": wake_at, **values}
        released["error"] = json.dumps(problem.to_json())
        update = Update(lease.submission.key, released, (), "#owner = :me", {"me": lease.owner})
        try:
            self._table.write(update, *beside)
        except Conflict:
            raise LostLease from None

    def _held(self, lease: Lease) -> dict[str, Value]:
        until = self._clock() + LEASE_SECONDS
        return {
            "owner": lease.owner,
            "lease": until,
            OPEN: "yes",
            "wakeAt": until,  # Where this run is cut off; a release says when instead.
            "expiresAt": self._expires_at(),
        }

    def _claim(self, lease: Lease, job: str | FoundJob) -> Claim:
        return Claim(
            job_id=job if isinstance(job, str) else job.id,
            submission=lease.submission.key,
            target=lease.submission.target,
            attempted_at=lease.attempted_at,
            claimed_at=self._clock(),
            expires_at=self._expires_at(),
            job_started=None if isinstance(job, str) else job.started,
        )

    def _expires_at(self) -> int:
        return int(self._clock()) + self._ttl_seconds
