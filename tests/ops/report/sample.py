"""An audit and a month of backups, made up: what the tests of the report change, and what the README's picture shows.

`python -m tests.ops.report.sample FILE` writes the page of it.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.report.audit import Audit
from ops.report.history import End, History
from ops.report.page import Facts, html_of

NOW = datetime(2026, 3, 31, 6, 0, 4, tzinfo=UTC)
ARN = "arn:aws:rds:eu-central-1:111122223333"


def at(days: float, now: datetime = NOW) -> str:
    """Return a time as the product writes it, so many days ago."""
    return (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def completed(days: float, target: str, *jobs: str) -> dict[str, Any]:
    return {"at": at(days), "target": target, "jobIds": list(jobs)}


def snapshot(name: str, days: float) -> dict[str, Any]:
    return {"name": name, "at": at(days)}


def database(
    name: str, verdict: str, *, kind: str = "instance", engine: str = "postgres", **more: Any
) -> dict[str, Any]:
    """Return a database of the answer; `targets` are pairs of name and reason."""
    targets = [{"name": target, "reason": reason} for target, reason in more.pop("targets", ())]
    part = "cluster" if kind == "cluster" else "db"
    one = {"name": name, "arn": f"{ARN}:{part}:{name}", "kind": kind, "engine": engine, "targets": targets}
    return {**one, "lastCompleted": None, "newestSnapshot": None, "verdict": verdict, **more}


def target(
    name: str,
    verdict: str,
    *,
    hours: int | None = 26,
    submitted: float | None = None,
    days: float | None = None,
    job: str = "",
) -> dict[str, Any]:
    """Return a target of the answer, whose last completed backup started so many days ago."""
    last = days if submitted is None else submitted
    return {
        "name": name,
        "enabled": verdict != "disabled",
        "valid": verdict != "invalid",
        "maxAgeHours": hours,
        "lastSubmittedAt": None if last is None else at(last),
        "lastCompletedAt": None if days is None else at(days),
        "jobIds": [job] if job else [],
        "verdict": verdict,
    }


def finding(
    code: str, message: str, hint: str, *, target: str | None = None, database: str | None = None
) -> dict[str, Any]:
    return {"code": code, "target": target, "database": database, "message": message, "hint": hint}


def answer() -> dict[str, Any]:
    """Return what the Audit function answers."""
    databases = [
        database(
            "orders-main",
            "covered",
            kind="cluster",
            engine="aurora-postgresql",
            targets=[("orders", "tag")],
            lastCompleted=completed(0.16, "orders", "2291"),
            newestSnapshot=snapshot("sp-orders-main-2291", 0.15),
        ),
        database(
            "orders-archive",
            "covered",
            targets=[("orders", "pattern")],
            lastCompleted=completed(0.16, "orders", "2291"),
            newestSnapshot=snapshot("sp-orders-archive-2291", 0.15),
        ),
        database(
            "billing",
            "stale",
            engine="oracle-ee",
            targets=[("billing", "association")],
            lastCompleted=completed(3.2, "billing", "2240"),
            newestSnapshot=snapshot("sp-billing-2240", 3.2),
        ),
        database("web-sessions", "uncovered", engine="mysql"),
        database("scratch", "excluded", engine="mariadb", newestSnapshot=snapshot("before-upgrade", 41)),
    ]
    targets = [
        target("default", "fresh", days=0.17, job="2290"),
        target("orders", "fresh", days=0.16, job="2291"),
        target("billing", "stale", submitted=0.17, days=3.2, job="2240"),
        target("restores", "exempt", hours=None, days=12.4, job="2004"),
    ]
    findings = [
        finding(
            "DATABASE_UNCOVERED",
            "No enabled target selects the instance web-sessions.",
            "Tag it rds-snap-backup:target, add it to a target's databases, or except it with the tag rds-snap-backup:exclude = true.",
            database="web-sessions",
        ),
        finding(
            "BACKUP_STALE",
            "The last completed backup of the target billing started 77 hours ago; at most 26 are allowed.",
            "Look for the cause in Commvault's job controller, then start the target manually.",
            target="billing",
        ),
    ]
    counts = {"databases": 5, "covered": 3, "uncovered": 1, "excluded": 1, "targets": 4, "stale": 1, "stuck": 0}
    return {
        "version": "1",
        "status": "audit",
        "ok": False,
        "findings": findings,
        "counts": {**counts, "findings": len(findings)},
        "databases": databases,
        "targets": targets,
    }


def clean() -> dict[str, Any]:
    """Return the answer of an audit that found nothing."""
    found = answer()
    counts = {**found["counts"], "covered": 2, "uncovered": 0, "databases": 2, "excluded": 0, "stale": 0, "findings": 0}
    return {**found, "ok": True, "findings": [], "counts": counts, "databases": found["databases"][:2]}


def item(target: str, status: str, at: datetime, job: str, **more: Any) -> dict[str, Any]:
    """Return an item of the ledger with the end of a job that started at that time, in DynamoDB's notation."""
    started = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    end = {"version": "1", "status": status, "target": target, "jobIds": [job], "startedAt": started, **more}
    return {"end": {"S": json.dumps(end)}, "endRecordedAt": {"N": str(at.timestamp() + 900)}}


def month(now: datetime = NOW) -> list[dict[str, Any]]:
    """Return the ends of the last month."""
    night = now.replace(hour=2, minute=0, second=4)
    items = [
        item(name, "completed", night - timedelta(days=day), str(2290 - 10 * day + number))
        for number, name in enumerate(("default", "orders"))
        for day in range(30)
    ]
    items += [item("billing", "completed", night - timedelta(days=day), str(2285 - 15 * day)) for day in range(3, 30)]
    items += [
        item(
            "billing",
            "failed",
            night - timedelta(days=2),
            "2262",
            reason="The cloud account's role was denied ec2:CreateTags.",
        ),
        item(
            "billing",
            "failed",
            night - timedelta(days=1),
            "2276",
            reason="The cloud account's role was denied ec2:CreateTags.",
        ),
        item(
            "billing",
            "lost",
            night,
            "2292",
            error={"code": "JOB_STILL_RUNNING", "message": "Job 2292 has not ended within 24 h."},
        ),
        item(
            "orders",
            "completed_with_errors",
            night - timedelta(days=9, hours=-7),
            "2203",
            reason="One snapshot could not be tagged.",
        ),
        item("orders", "killed", night - timedelta(days=16), "2132", reason="Killed by the user ops."),
        item("restores", "completed", night - timedelta(days=12, hours=5), "2004"),
        item("restores", "completed", night - timedelta(days=25, hours=9), "1852"),
    ]
    return items


def page() -> str:
    """Return the page of all this."""
    ends = sorted((End.read(one) for one in month()), key=lambda end: end.at)
    facts = Facts("rds-snap-backup", "111122223333", "eu-central-1", "1.1.0", NOW)
    return html_of(facts, Audit.read(answer()), History(tuple(ends)))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
