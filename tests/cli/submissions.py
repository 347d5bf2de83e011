"""What the Backup function answers to a manual trigger, at first and when it is repeated."""

from typing import Any

ERROR = {"code": "UNREACHABLE", "message": "Commvault cannot be reached.", "hint": "It is retried."}
MOMENT = "2026-01-31T02:00:00Z"
QUEUED = {"target": "orders", "status": "queued", "backups": []}


def backup(state: str, job: str | None = "1354", error: dict[str, str] | None = None) -> dict[str, Any]:
    names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "nightly"}
    return {**names, "state": state, "jobId": job, "moment": MOMENT, "error": error}


def submission(status: str, *backups: dict[str, Any], target: str = "orders") -> dict[str, Any]:
    return {"target": target, "status": status, "backups": list(backups)}


DEFERRED = submission("open", backup("waiting", None, ERROR))
RUNNING = submission("open", backup("running"))
SUCCEEDED = submission("succeeded", backup("completed"))
FAILED = submission("failed", backup("failed", error=ERROR))
