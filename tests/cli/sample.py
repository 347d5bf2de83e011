"""An audit, made up: what the tests of the report and of the history change."""

from typing import Any

from rds_snap_backup_cli.report.content import Verdict

ARN = "arn:aws:rds:eu-central-1:111122223333"
STACK = "arn:aws:cloudformation:eu-central-1:111122223333:stack/prod/1"
HOME = {"account": "111122223333", "region": "eu-central-1"}
OTHER = {"account": "444455556666", "region": "us-east-1"}


def database(name: str, verdict: str, job: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a database of the answer; `job` is the one that made its restore point."""
    row: dict[str, Any] = {"arn": f"{ARN}:db:{name}", "verdict": verdict, "groups": [], "restorePoint": None}
    row |= {"jobId": job, "startedAt": None, "endedAt": None, "by": None}
    if job:
        point = {"name": f"{name}-1", "createdAt": "2026-03-31T02:10:04Z", "snapshot": f"{ARN}:snapshot:{name}-1"}
        row |= {"groups": [f"aws-prod / RDS / {name}"], "restorePoint": point, "by": "stack"}
        row |= {"startedAt": "2026-03-31T02:09:44Z", "endedAt": "2026-03-31T02:19:01Z"}
    return {**row, "reason": f"It is {verdict}.", "lastRead": None, **more}


def finding(code: str, message: str = "Found.", hint: str = "Do it.", **about: str) -> dict[str, Any]:
    places = dict.fromkeys(("target", "database", "account", "region"))
    return {"code": code, **places, **about, "message": message, "hint": hint}


def answer(
    databases: list[dict[str, Any]] | None = None, findings: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    """Return what the Audit function answers."""
    if databases is None:
        old = {"name": "billing-9", "createdAt": "2026-03-28T01:12:00Z", "snapshot": None}
        databases = [
            database("orders", "protected", "2291", arn=f"{ARN}:cluster:orders"),
            database("billing", "stale", "2240", restorePoint=old),
            database("web-sessions", "uncovered", reason="No group."),
            database("scratch", "excluded", "77", by="commvault", arn="arn:aws:rds:us-east-1:444455556666:db:scratch"),
        ]
    if findings is None:
        findings = [
            finding("DATABASE_UNCOVERED", "No group.", "Add it.", database="web-sessions", **HOME),
            finding("BACKUP_STALE", "77 hours old.", "Look for the cause.", target="billing"),
        ]
    verdicts = {str(name): sum(row["verdict"] == name for row in databases) for name in Verdict}
    counts = {"databases": len(databases), **verdicts, "places": 2, "targets": 4, "stuck": 0}
    counts |= {"findings": len(findings), "commvaultCalls": 14}
    since: dict[str, Any] = {"start": "2026-03-30T05:50:00Z", "end": "2026-03-31T05:50:00Z"}
    since |= {"backups": {"submitted": 184, "failed": 1, "lost": 0}}
    since |= {"submissions": {"throttledSeconds": 90}, "events": {"ignored": 0}}
    places = [
        {**HOME, "databases": 3, "role": "own", "undeliveredEvents": 0},
        {**OTHER, "databases": None, "role": "failed", "undeliveredEvents": None},
    ]
    scope = {"accounts": places, "groups": 40, "maxAgeHours": 26, "commvault": "https://cv.example.com/api"}
    report = {"version": "2", "status": "audit", "ok": not findings, "news": False, "findings": findings}
    facts: dict[str, Any] = {
        "time": "2026-03-31T06:00:04Z",
        "askedBy": "arn:schedule|2026-03-31T06:00:00Z",
        "lastRead": None,
    }
    facts |= {"report": None, "scope": {**scope, "stack": STACK, "version": "2.0.0"}}
    return {**report, "counts": counts, "since": since, **facts, "databases": databases, **more}
