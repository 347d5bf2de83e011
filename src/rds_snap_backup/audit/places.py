"""The accounts and regions of the audit, `{"members": true}`: whether each can be read, and its undelivered events."""

from collections.abc import Callable
from typing import Any

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.daily import RESERVE_SECONDS, Auditor
from rds_snap_backup.audit.estate import read_estate
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import databases_of
from rds_snap_backup.rds.members import Listing


def list_members(auditor: Auditor, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Answer `{"ok", "members"}`, the stack's own place first. It is `ok` if all were read and no event waits."""
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    estate = read_estate(auditor.services.config, auditor.databases, auditor.members, aws, {})
    rows = [
        {"account": place.account, "region": place.region, **_facts(listing, is_home=place == estate.home)}
        for place, listing in estate.listings.items()
    ]
    return {"ok": not any(row["error"] or row["undelivered"] for row in rows), "members": rows}


def _facts(listing: Listing, *, is_home: bool) -> dict[str, Any]:
    """Return `role` (`own`, `assumed` or `failed`), the number of databases and of undelivered events, and an error."""
    resources, waiting = listing.resources, listing.waiting
    error = next((part for part in (resources, waiting) if isinstance(part, Problem)), None)
    is_unread = isinstance(resources, Problem) and isinstance(waiting, Problem)
    return {
        "role": "own" if is_home else "failed" if is_unread else "assumed",
        "databases": None if isinstance(resources, Problem) else len(databases_of(resources)),
        "undelivered": None if isinstance(waiting, Problem) else waiting,
        "error": error.to_json() if error else None,
    }
