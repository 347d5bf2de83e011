"""The audit's answer: findings, counts, and a row for each database and each target. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.documents import StoredTarget
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.freshness import Freshness
from rds_snap_backup.audit.report import MAX_ANSWER
from rds_snap_backup.ledger.history import TargetHistory
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS
from rds_snap_backup.messaging.notifications import VERSION, iso
from rds_snap_backup.rds.databases import Kind, Snapshot
from rds_snap_backup.untrusted import clean_text

# Of the targets of one database: a pattern can match all databases of a stack with hundreds of targets.
MAX_TARGETS = 20
MAX_JOBS = 100
DETAILS = frozenset({"databases", "targets"})

type Snapshots = Mapping[tuple[Kind, str], Snapshot]


def summary(
    findings: Sequence[Finding],
    coverages: Sequence[Coverage],
    targets: Sequence[StoredTarget],
    freshness: Mapping[str, Freshness],
    snapshots: Snapshots,
) -> dict[str, Any]:
    """Return the answer, within what Lambda answers: databases that are covered give way first. The counts are of all."""
    excluded = sum(one.is_excluded for one in coverages)
    covered = sum(bool(one.covering) and not one.is_excluded for one in coverages)
    report: dict[str, Any] = {
        "version": VERSION,
        "status": "audit",
        "ok": not findings,
        "findings": _fitting([one.to_json() for one in findings], MAX_ANSWER // 2),
        "counts": {
            "databases": len(coverages),
            "covered": covered,
            "uncovered": len(coverages) - covered - excluded,
            "excluded": excluded,
            "targets": len(targets),
            "stale": sum(one.verdict == "stale" for one in freshness.values()),
            "stuck": sum(one.question == "stuck" for one in findings),
            "findings": len(findings),
        },
    }
    report["targets"] = _fitting([_target(one, freshness.get(one.name)) for one in targets], _room(report))
    databases = [_database(one, freshness, snapshots) for one in coverages]
    report["databases"] = _fitting(databases, _room(report))
    return report


def published_form(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what subscribers get of an answer: the counts of all, and the first findings."""
    kept = {name: value for name, value in report.items() if name not in DETAILS}
    return {**kept, "findings": report["findings"][:MAX_FINDINGS]}


def _room(report: Mapping[str, Any]) -> int:
    return MAX_ANSWER - len(json.dumps(report))


def _fitting(rows: Sequence[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """Return as many rows as there is room for, in their order; what is covered gives way first."""
    kept: set[int] = set()
    for index in sorted(range(len(rows)), key=lambda index: rows[index].get("verdict") == "covered"):
        room -= len(json.dumps(rows[index])) + len(", ")
        if room < 0:
            break
        kept.add(index)
    return [one for index, one in enumerate(rows) if index in kept]


def _database(coverage: Coverage, freshness: Mapping[str, Freshness], snapshots: Snapshots) -> dict[str, Any]:
    resource = coverage.database.resource
    snapshot = snapshots.get((resource.kind, resource.name))
    shown = list(coverage.reasons.items())[:MAX_TARGETS]
    return {
        "name": resource.name,
        "arn": resource.arn,
        "kind": resource.kind,
        "engine": resource.engine,
        "targets": [{"name": name, "reason": reason} for name, reason in shown],
        "lastCompleted": _last_completed(coverage, freshness),
        "newestSnapshot": {"name": snapshot.name, "at": iso(snapshot.at)} if snapshot else None,
        "verdict": _verdict(coverage, freshness),
    }


def _last_completed(coverage: Coverage, freshness: Mapping[str, Freshness]) -> dict[str, Any] | None:
    """Return the last completed backup of the targets that are for a database."""
    histories = {name: freshness[name].history for name in coverage.reasons if name in freshness}
    name = max(histories, key=lambda name: histories[name].completed_at, default=None)
    if name is None or not histories[name].completed_at:
        return None
    last = histories[name]
    return {"at": iso(last.completed_at), "target": name, "jobIds": list(last.completed_jobs[:MAX_JOBS])}


def _verdict(coverage: Coverage, freshness: Mapping[str, Freshness]) -> str:
    """Return a database's verdict: it is stale where none of the targets that cover it is fresh, and one is stale."""
    if coverage.is_excluded:
        return "excluded"
    if not coverage.covering:
        return "uncovered"
    verdicts = {freshness[name].verdict for name in coverage.covering if name in freshness}
    return "stale" if "stale" in verdicts and "fresh" not in verdicts else "covered"


def _target(stored: StoredTarget, judged: Freshness | None) -> dict[str, Any]:
    """Return a target's row; without a verdict the ledger could not be read."""
    history = judged.history if judged else TargetHistory()
    enabled = stored.content.enabled if stored.content else True
    return {
        "name": clean_text(stored.name),
        "enabled": enabled,
        "valid": stored.content is not None,
        "maxAgeHours": judged.max_age_hours if judged else None,
        "lastSubmittedAt": iso(history.submitted_at) if history.submitted_at else None,
        "lastCompletedAt": iso(history.completed_at) if history.completed_at else None,
        "jobIds": list(history.completed_jobs[:MAX_JOBS]),
        "verdict": judged.verdict if judged else "exempt",
    }
