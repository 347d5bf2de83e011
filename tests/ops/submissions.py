"""What the Submit function answers to a manual trigger: its notification, and what a repeated call reports."""

from typing import Any

ERROR = {"code": "UNREACHABLE", "message": "Commvault cannot be reached.", "hint": "It is retried."}
MISSING = {"code": "JOBS_MISSING", "message": "No job for billing-db.", "hint": "Look for it."}
DEFERRED = {"status": "deferred", "target": "orders", "error": ERROR, "jobs": []}


def submission(status: str = "submitted", *jobs: str, **more: Any) -> dict[str, Any]:
    """A submission as a repeated call reports it, with jobs in these states."""
    listed = [{"id": str(1354 + number), "status": job} for number, job in enumerate(jobs)]
    return {"status": status, "target": "orders", "jobIds": [one["id"] for one in listed], "jobs": listed, **more}


def first(status: str = "submitted") -> dict[str, Any]:
    """The notification, as the first call returns it."""
    return {"status": status, "target": "orders", "jobIds": ["1354"]}
