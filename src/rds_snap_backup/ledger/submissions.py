"""What was done: DynamoDB items that make a submission happen once, wherever a run is cut off.

One item per trigger identity and target. Its `status` is `submitting` while a request may be under way, then `deferred`
or `unknown` while there is more to do, and in the end `submitted`, `scheduled`, `joined`, `rejected` or `abandoned`.
A run holds the item by its `owner` and a `lease`; every write after the first is conditional on that owner. Beside it:
`cooldown#TARGET`, whose `claimer` is the open submission and whose `jobIds` and `until` are those of the last closed
one; `job#ID`, claimed by the one submission that the job is credited to; and `throttle`.

It decides what a run may do next. It makes no request and sends no message. Times are Unix seconds.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import batched
from typing import Any, Literal

from rds_snap_backup.ledger.steps import (
    Claimed,
    Done,
    Exhausted,
    Join,
    Lease,
    LostLease,
    Reconcile,
    Send,
    Step,
    Submission,
    Undelivered,
    Wait,
)
from rds_snap_backup.ledger.table import MAX_TRANSACTION, Check, Conflict, Item, Table, Update, Value
from rds_snap_backup.problems import Problem

type Closed = Literal["submitted", "scheduled", "joined", "rejected", "abandoned"]

CLOSED = frozenset({"submitted", "scheduled", "joined", "rejected", "abandoned"})
# The function's timeout (50 s) and 30 s: a run whose lease is over is surely dead.
LEASE_SECONDS = 80
MAX_EXPIRED_LEASES = 5
TTL_SECONDS = 90 * 86400
THROTTLE = "throttle"
UNCHANGED = "#owner = :was_owner AND #lease = :was_lease AND #status = :was_status"
IN_PROGRESS = Problem("IN_PROGRESS", "Another run is at this submission.", "Nothing is to be done.")


class Ledger:
    """The ledger in one table. `retry_seconds` is how long a submission is tried, and holds its cool-down."""

    def __init__(self, table: Table, retry_seconds: int, clock: Callable[[], float]) -> None:
        self._table = table
        self._retry_seconds = retry_seconds
        self._clock = clock

    def begin(self, submission: Submission, owner: str, redriven_attempt: int | None = None) -> Step:
        """Take a submission up, and tell what this run may do with it.

        `redriven_attempt` is the number on a dead letter that was sent back: where it is the current one, it opens a
        closed submission again.
        """
        lease = Lease(submission, owner, attempt=0, created_at=self._clock())
        try:
            return self._start(lease, "attribute_not_exists(#pk)", {})
        except Conflict as conflict:
            return self._go_on(submission, owner, conflict.found[0] or {}, redriven_attempt)

    def send_again(self, lease: Lease) -> Step:
        """Go on to the next attempt, the last one surely not having been accepted."""
        try:
            return self._start(lease, "#owner = :me", {"me": lease.owner})
        except Conflict:
            return self._overtaken()

    def close(
        self,
        lease: Lease,
        status: Closed,
        notification: dict[str, Any],
        claims: Collection[str] = (),
        *,
        starts_cool_down: bool = True,
    ) -> None:
        """Record the end of a submission, with the jobs that are credited to it alone.

        `starts_cool_down` is false where it joined jobs because of a cool-down: else a stream of events would prolong
        that one, and put off the next backup, for ever.
        Raises `Claimed` when a job is credited to another, and `LostLease`; then nothing is recorded.
        """
        now, key = self._clock(), lease.submission.key
        values: dict[str, Value] = {
            "status": status,
            "published": False,
            "notification": json.dumps(notification),
            "lease": now + LEASE_SECONDS,
            "uncertain": status == "abandoned" and lease.is_uncertain,
            "expiresAt": int(now) + TTL_SECONDS,
        }
        if values["uncertain"]:
            values["attemptEndedAt"] = lease.attempt_ended_at  # Opened again, it is reconciled from there.
        end = Update(key, values, condition="#owner = :me", where={"me": lease.owner})
        # A target of very many associations: the claims that do not fit go first, and are ours when it is tried again.
        claimed = [self._claim(lease, job_id) for job_id in claims]
        last = claimed[: MAX_TRANSACTION - 2]
        for batch in batched(claimed[len(last) :], MAX_TRANSACTION, strict=False):
            self._write(batch)
        job_ids = notification["jobIds"] if starts_cool_down else []
        in_turn, out_of_turn = self._cool_down_end(lease, status, job_ids, now)
        try:
            self._write((end, *last, *in_turn))
        except Conflict:
            # A schedule or a manual request has set the cool-down since: it is theirs to release.
            self._write((end, *last, *out_of_turn))

    def adopt(self, lease: Lease, found: Mapping[str, str]) -> Lease:
        """Record jobs found for some of a submission's associations; raises like `close`."""
        lease = replace(lease, found={**lease.found, **found})
        keep = Update(lease.submission.key, {"found": json.dumps(lease.found)}, (), "#owner = :me", {"me": lease.owner})
        for batch in batched(
            (self._claim(lease, job_id) for job_id in found.values()), MAX_TRANSACTION - 1, strict=False
        ):
            self._write((keep, *batch))
        return lease

    def defer(self, lease: Lease, problem: Problem, throttle_seconds: int = 0) -> None:
        """Record that the attempt was surely not accepted, and let the submission go; raises `LostLease`."""
        throttle = []
        if throttle_seconds:
            until = self._clock() + throttle_seconds
            throttle = [Update(THROTTLE, {"until": until, "expiresAt": int(until) + TTL_SECONDS})]
        self._let_go(lease, problem, {"status": "deferred", "uncertain": False}, *throttle)

    def unknown(self, lease: Lease, problem: Problem, *, attempt_ended: bool) -> None:
        """Record that the attempt may have been accepted, and let the submission go; raises `LostLease`."""
        ended = {"attemptEndedAt": self._clock()} if attempt_ended else {}
        self._let_go(lease, problem, {"status": "unknown", "uncertain": True, **ended})

    def last_submitted(self, targets: Iterable[str]) -> dict[str, float]:
        """Return when a backup of each target was last submitted, for those that have one."""
        items = self._table.get_many(f"cooldown#{target}" for target in targets)
        return {
            key.removeprefix("cooldown#"): item["submittedAt"] for key, item in items.items() if "submittedAt" in item
        }

    def mark_published(self, lease: Lease) -> None:
        """Record that everybody was told. Where another run took over meanwhile, it will be told twice."""
        values = {"published": True, "lease": 0}
        with suppress(Conflict):
            self._table.write(Update(lease.submission.key, values, (), "#owner = :me", {"me": lease.owner}))

    def release(self, lease: Lease) -> None:
        """Let an ended submission go that could not be told, so that the next run need not wait for the lease."""
        with suppress(Conflict):
            self._table.write(Update(lease.submission.key, {"lease": 0}, (), "#owner = :me", {"me": lease.owner}))

    def _start(
        self, lease: Lease, condition: str, where: Mapping[str, Any], beside: Mapping[str, Any] | None = None
    ) -> Step:
        """Write `submitting`, before the request leaves. Raises `Conflict` for the submission's own condition."""
        now, submission = self._clock(), lease.submission
        lease = replace(lease, attempt=lease.attempt + 1, attempted_at=now, is_uncertain=False)
        values: dict[str, Value] = {**(beside or {}), **self._held(lease, "submitting"), "attemptedAt": now}
        operations: list[Update | Check] = [
            Update(submission.key, values, (), condition, where),
            Check(THROTTLE, "attribute_not_exists(#until) OR #until <= :now", {"now": now}),
        ]
        if submission.cool_down_seconds:
            # A claimer that was never heard of again does not hold the cool-down for ever.
            deadline = lease.created_at + self._retry_seconds + LEASE_SECONDS
            claim: dict[str, Value] = {
                "claimer": submission.key,
                "claimerDeadline": deadline,
                "expiresAt": int(now) + TTL_SECONDS,
            }
            free = (
                "(attribute_not_exists(#claimer) OR #claimer = :key OR #claimerDeadline <= :now)"
                " AND (attribute_not_exists(#until) OR #until <= :now)"
            )
            obeys = submission.trigger.kind == "rds"
            operations.append(
                Update(submission.cool_down_key, claim, (), free, {"key": submission.key, "now": now})
                if obeys
                else Update(submission.cool_down_key, claim)
            )
        try:
            self._table.write(*operations)
        except Conflict as conflict:
            item, throttle, *cool_down = conflict.found
            if item is not None:
                if item.get("owner") == lease.owner and item.get("status") == "submitting":
                    return Send(lease)  # Our own write, which got through although its answer did not.
                raise
            # What waits made no attempt; opened again, it takes the next number all the same, so that no copy of its
            # dead letter has the current one.
            is_opened = "createdAt" in (beside or {})
            held = lease if is_opened else replace(lease, attempt=lease.attempt - 1)
            values = {**(beside or {}), **self._held(held, "deferred")}
            self._write_mine(Update(submission.key, values, (), condition, where), lease.owner)
            return self._held_up(held, throttle, next(iter(cool_down), None), now)
        return Send(lease)

    def _held_up(self, lease: Lease, throttle: Item | None, cool_down: Item | None, now: float) -> Wait | Join:
        """The cool-down or the rate limit is in the way, as it was at `now`, when the conditions were tried."""
        if cool_down is None:
            problem = Problem("RATE_LIMITED", "Commvault's rate limit was reached.", "It is sent when the limit ends.")
            return Wait(float((throttle or {})["until"]), problem, lease)
        claimer = cool_down.get("claimer", lease.submission.key)
        if claimer != lease.submission.key and cool_down["claimerDeadline"] > now:
            message = f"A submission of {lease.submission.target} is open, and this one will join its jobs."
            return Wait(0, Problem("COOL_DOWN", message, "Nothing is to be done."), lease)
        return Join(lease, tuple(json.loads(cool_down["jobIds"])))

    def _go_on(self, submission: Submission, owner: str, item: Item, redriven_attempt: int | None) -> Step:
        """Take up a submission that was taken up before, from where its item says it is."""
        now, was = self._clock(), {f"was_{name}": item[name] for name in ("owner", "lease", "status")}
        lease = _lease(submission, owner, item)
        is_live, is_cut_off = item["lease"] > now, 0 < item["lease"] <= now
        is_told = bool(item.get("published"))
        expired = item.get("expiredLeases", 0) + is_cut_off
        cut_offs: dict[str, Value] = {"expiredLeases": expired}
        match item["status"]:
            case "rejected" | "abandoned" if is_told and redriven_attempt == lease.attempt:
                # Open again: the time for trying begins anew, and another copy of the dead letter does nothing.
                lease = replace(lease, created_at=now)
                opened = {"published": False, "expiredLeases": 0, "createdAt": now}
                if lease.is_uncertain:
                    lease = replace(lease, attempt=lease.attempt + 1)
                    return self._take(Reconcile(lease), was, {**opened, "status": "unknown", "attempt": lease.attempt})
                return self._retry(lease, was, opened)
            case status if status in CLOSED and is_told:
                return Done(json.loads(item["notification"]))
            case _ if is_live:
                return Wait(item["lease"], IN_PROGRESS, None)
            case status if status in CLOSED:
                return self._take(Undelivered(lease, json.loads(item["notification"])), was, {})
            case "submitting":
                # It was cut off, and may have sent its request until its lease ended.
                lease = replace(lease, is_uncertain=True, attempt_ended_at=item["lease"])
                cut_offs |= {"uncertain": True, "attemptEndedAt": item["lease"]}
        if is_cut_off and expired >= MAX_EXPIRED_LEASES:
            return self._take(Exhausted(lease), was, {**cut_offs, "status": "unknown"})
        if lease.is_uncertain:
            return self._take(Reconcile(lease), was, {**cut_offs, "status": "unknown"})
        return self._retry(lease, was, cut_offs)

    def _take[S: Exhausted | Reconcile | Undelivered](
        self, step: S, was: Mapping[str, Any], values: Mapping[str, Any]
    ) -> S | Wait:
        """Make the submission this run's, if it still is as it was read."""
        mine: dict[str, Value] = {"owner": step.lease.owner, "lease": self._clock() + LEASE_SECONDS}
        try:
            self._write_mine(
                Update(step.lease.submission.key, {**values, **mine}, (), UNCHANGED, was), step.lease.owner
            )
        except Conflict:
            return self._overtaken()
        return step

    def _write_mine(self, update: Update, owner: str) -> None:
        """Make a submission this owner's; where it is already, the write got through although its answer did not."""
        try:
            self._table.write(update)
        except Conflict as conflict:
            if (conflict.found[0] or {}).get("owner") != owner:
                raise

    def _retry(self, lease: Lease, was: Mapping[str, Any], values: Mapping[str, Any]) -> Step:
        try:
            return self._start(lease, UNCHANGED, was, values)
        except Conflict:
            return self._overtaken()

    def _overtaken(self) -> Wait:
        return Wait(self._clock() + LEASE_SECONDS, IN_PROGRESS, None)

    def _held(self, lease: Lease, status: str) -> dict[str, Value]:
        now = self._clock()
        return {
            "status": status,
            "owner": lease.owner,
            "lease": now + LEASE_SECONDS,
            "attempt": lease.attempt,
            "target": lease.submission.target,
            "trigger": json.dumps(lease.submission.trigger.to_json()),
            "createdAt": lease.created_at,
            "uncertain": False,
            "expiresAt": int(now) + TTL_SECONDS,
        }

    def _let_go(self, lease: Lease, problem: Problem, values: Mapping[str, Value], *beside: Update) -> None:
        """Release the lease; raises `LostLease`."""
        released = {**values, "lease": 0, "error": json.dumps(problem.to_json())}
        self._write((Update(lease.submission.key, released, (), "#owner = :me", {"me": lease.owner}), *beside))

    def _claim(self, lease: Lease, job_id: str) -> Update:
        key = lease.submission.key
        values: dict[str, Value] = {
            "submission": key,
            "target": lease.submission.target,
            "expiresAt": int(self._clock()) + TTL_SECONDS,
        }
        free = "attribute_not_exists(#submission) OR #submission = :key"
        return Update(f"job#{job_id}", values, (), free, {"key": key})

    def _cool_down_end(
        self, lease: Lease, status: Closed, job_ids: list[str], now: float
    ) -> tuple[tuple[Update, ...], tuple[Update, ...]]:
        """Return what a submission's end does to the cool-down if it is still the claimer, and if it is not."""
        submission = lease.submission
        values: dict[str, Value] = {"expiresAt": int(now) + TTL_SECONDS}
        if status in {"submitted", "joined"} and job_ids:
            until = now + submission.cool_down_seconds
            values |= {"until": until, "jobIds": json.dumps(job_ids), "submittedAt": now}
        claim = ("claimer", "claimerDeadline")
        release = Update(submission.cool_down_key, values, claim, "#claimer = :key", {"key": submission.key})
        keep = (Update(submission.cool_down_key, values),) if "until" in values else ()
        return ((release,) if submission.cool_down_seconds else keep), keep

    def _write(self, operations: Sequence[Update]) -> None:
        """Write, and tell what a condition that did not hold means; raise `Conflict` for the cool-down's."""
        try:
            self._table.write(*operations)
        except Conflict as conflict:
            failed = [one.key for one, found in zip(operations, conflict.found, strict=True) if found is not None]
            if any(key.startswith("submission#") for key in failed):
                raise LostLease from None
            if claimed := [key.removeprefix("job#") for key in failed if key.startswith("job#")]:
                raise Claimed(claimed) from None
            raise


def _lease(submission: Submission, owner: str, item: Item) -> Lease:
    return Lease(
        submission=submission,
        owner=owner,
        attempt=int(item.get("attempt", 0)),
        created_at=item["createdAt"],
        attempted_at=item.get("attemptedAt", 0),
        attempt_ended_at=item.get("attemptEndedAt", 0),
        is_uncertain=bool(item.get("uncertain")),
        found=json.loads(item.get("found", "{}")),
    )
