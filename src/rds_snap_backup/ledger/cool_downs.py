"""The cool-down, an item per target: whose submission RDS events wait for, or whose jobs they join.

`claimer` is the open submission; `jobIds`, `error`, `until`, `submittedAt` and `pin` are of the last closed one. Pure: it
makes the updates that `submissions.py` writes with a submission's own.
"""

import json
from collections.abc import Mapping
from typing import Any

from rds_snap_backup.ledger.entries import pin_of, pin_text
from rds_snap_backup.ledger.keys import cool_down_key
from rds_snap_backup.ledger.states import Closed
from rds_snap_backup.ledger.steps import Join, Lease
from rds_snap_backup.ledger.table import Item, Update, Value
from rds_snap_backup.problems import Problem


def claim(lease: Lease, now: float, expires_at: int, over: Item | None = None) -> Update | None:
    """Return the update that makes a submission the claimer as its attempt starts; None without a cool-down.

    Only RDS events obey the cool-down. `over` is the item as it was read, where it does not hold them up after all: its
    claimer is not open any more, or its jobs have failed.
    """
    if not lease.pin.cool_down_seconds:
        return None
    key = cool_down_key(lease.submission.target)
    values: dict[str, Value] = {"claimer": lease.submission.key, "expiresAt": expires_at}
    if lease.submission.trigger.kind != "rds":
        return Update(key, values)
    if over is None:
        free = (
            "(attribute_not_exists(#claimer) OR #claimer = :key) AND (attribute_not_exists(#until) OR #until <= :now)"
        )
        return Update(key, values, (), free, {"key": lease.submission.key, "now": now})
    read = {name: over[name] for name in ("claimer", "until") if name in over}
    unchanged = " AND ".join(
        f"#{name} = :was_{name}" if name in read else f"attribute_not_exists(#{name})" for name in ("claimer", "until")
    )
    return Update(key, values, (), unchanged, {f"was_{name}": value for name, value in read.items()})


def end(
    lease: Lease, status: Closed, notification: Mapping[str, Any] | None, now: float, expires_at: int
) -> tuple[Update | None, Update | None]:
    """Return what a submission's end does to the cool-down if it is still the claimer, and if it is not.

    A cool-down begins with the jobs of `notification`; None: it starts none. The item also keeps when a schedule last
    started the target, whatever came of it (`history.py`).
    """
    key = cool_down_key(lease.submission.target)
    values: dict[str, Value] = {"expiresAt": expires_at}
    if lease.submission.trigger.kind == "schedule":
        values["scheduledAt"] = now
    if status in {"submitted", "joined"} and notification and notification["jobIds"]:
        until = now + lease.pin.cool_down_seconds
        values |= {"until": until, "submittedAt": now, "pin": pin_text(lease.pin), **_jobs(notification)}
    keep = Update(key, values) if len(values) > len({"expiresAt"}) else None
    # A later attempt may have pinned a document without a cool-down after an earlier one had claimed it.
    if not lease.pin.cool_down_seconds and lease.attempt <= 1:
        return keep, keep
    mine = {"key": lease.submission.key}
    return Update(key, values, ("claimer",), "#claimer = :key", mine), keep


def amend(lease: Lease, was: Mapping[str, Any], now: Mapping[str, Any]) -> Update:
    """Return the update by which those who join a submission join the jobs too that it has got since its end."""
    mine = {"was_job_ids": _jobs(was)["jobIds"]}
    return Update(cool_down_key(lease.submission.target), _jobs(now), (), "#jobIds = :was_job_ids", mine)


def joined(lease: Lease, cool_down: Item) -> Join:
    """Return what a submission joins: jobs, with what went wrong beside them, pinned to what was sent for them."""
    joining = lease.pinned(pin_of(cool_down["pin"])) if "pin" in cool_down else lease
    error = json.loads(cool_down.get("error", "null"))
    return Join(joining, tuple(json.loads(cool_down.get("jobIds", "[]"))), Problem(**error) if error else None)


def _jobs(notification: Mapping[str, Any]) -> dict[str, Value]:
    return {"jobIds": json.dumps(list(notification["jobIds"])), "error": json.dumps(notification.get("error"))}
