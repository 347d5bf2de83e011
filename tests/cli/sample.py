"""An audit, made up: what the tests of the report change."""

from datetime import UTC, datetime
from typing import Any

from rds_snap_backup_cli.report.content import VERDICTS

NOW = datetime(2026, 3, 31, 6, 0, 4, tzinfo=UTC)
ARN = "arn:aws:rds:eu-central-1:111122223333"
HOME = {"account": "111122223333", "region": "eu-central-1"}


def database(name: str, verdict: str, job: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a database of the answer; `job` is that of its last completed backup, of its subclient."""
    row = {
        "arn": f"{ARN}:db:{name}",
        "verdict": verdict,
        "subclient": None,
        "jobId": job,
        "startedAt": None,
        "by": None,
    }
    if job:
        row |= {"subclient": f"aws-prod / {name} / default", "startedAt": "2026-03-31T02:09:44Z", "by": "stack"}
    return {**row, "reason": f"It is {verdict}.", **more}


def finding(code: str, message: str = "Found.", hint: str = "Do it.", **about: str) -> dict[str, Any]:
    places = dict.fromkeys(("target", "database", "account", "region"))
    return {"code": code, **places, **about, "message": message, "hint": hint}


def answer(
    databases: list[dict[str, Any]] | None = None, findings: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return what the Audit function answers."""
    if databases is None:
        databases = [
            database("orders", "protected", "2291", arn=f"{ARN}:cluster:orders"),
            database("billing", "stale", "2240", startedAt="2026-03-28T01:12:00Z"),
            database("web-sessions", "uncovered", reason="No association names it."),
            database("scratch", "excluded", "77", by="commvault", arn="arn:aws:rds:us-east-1:444455556666:db:scratch"),
        ]
    if findings is None:
        findings = [
            finding("DATABASE_UNCOVERED", "No association.", "Name it.", database="web-sessions", **HOME),
            finding("BACKUP_STALE", "77 hours old.", "Look for the cause.", target="billing"),
        ]
    verdicts = {name: sum(row["verdict"] == name for row in databases) for name in VERDICTS}
    counts = {"databases": len(databases), **verdicts, "places": 2, "targets": 4, "stuck": 0}
    counts |= {"findings": len(findings), "commvaultCalls": 14}
    since = {
        "time": "2026-03-30T06:00:01Z",
        "submissions": 3,
        "backups": {"waiting": 0, "completed": 2, "failed": 1},
        "jobs": {"running": 0, "completed": 8, "completed_with_errors": 1},
    }
    report = {"version": "2", "status": "audit", "ok": not findings, "news": False, "findings": findings}
    return {**report, "counts": counts, "since": since, "databases": databases}
