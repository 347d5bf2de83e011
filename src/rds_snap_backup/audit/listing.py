"""The inventory, `{"inventory": true}`: Commvault's instance groups, and the databases of all places that they select."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.daily import RESERVE_SECONDS, Auditor
from rds_snap_backup.audit.estate import judge_of, read_estate
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.pages import Reading
from rds_snap_backup.audit.preflight import run_preflight
from rds_snap_backup.audit.verdicts import Judge, is_excluded
from rds_snap_backup.commvault.inventory import Group
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place


def take_inventory(auditor: Auditor, seconds_left: Callable[[], float]) -> Reading:
    """Answer `{"ok", "inventory", "counts", "unread"}`; it is `ok` if everything was read."""
    commvault = auditor.metered()
    services = replace(auditor.services, commvault=commvault)
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    estate = read_estate(services.config, auditor.databases, auditor.members, aws)
    preflight = run_preflight(services, aws, {})
    judge = judge_of(services.config, services.clock(), estate, preflight.targets)
    judge = replace(judge, contents=read_groups(preflight.discovery, commvault, judge.named))
    judge = gather(judge, preflight.discovery, estate, aws.seconds_left)
    unread = [_unread(problem, place) for place, problem in estate.unread.items()]
    problems = [*judge.contents.problems, *([preflight.stored] if isinstance(preflight.stored, Problem) else [])]
    unread += [_unread(problem) for problem in dict.fromkeys(problems)]
    rows = list(rows_of(judge))
    counts = {
        "groups": len(judge.contents.groups),
        "databases": len(judge.databases),
        "selected": len({row["arn"] for row in rows if row["arn"] and row["clientName"]}),
        "commvaultCalls": commvault.calls,
    }
    return Reading({"ok": not unread, "counts": counts, "unread": unread}, "inventory", rows)


def rows_of(judge: Judge) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair of a group and a database that it selects, then for groups and databases without any."""
    coverages = [(database, judge.coverage(database)) for database in judge.databases]
    used: set[str] = set()
    for database, coverage in coverages:
        used.update(group.key for group in coverage.certain)
        pairs: Sequence[tuple[Group | None, str | None]] = coverage.groups or ((None, None),)
        for group, reason in pairs:
            row = _row(judge, group, database) | {"selectedBy": reason}
            yield row | {"doubt": "; ".join(coverage.doubts) or None}
    for group in judge.contents.groups:
        if group.key not in used:
            yield _row(judge, group, None) | {"selectedBy": None, "doubt": None}


def _row(judge: Judge, group: Group | None, database: Database | None) -> dict[str, Any]:
    association = group.association if group else None
    proof = judge.proof(database) if database else None
    return {
        "clientName": association.client_name if association else None,
        "instanceName": association.instance_name if association else None,
        "subclientName": association.subclient_name if association else None,
        "content": _content(group) if group else None,
        "targets": [target.name for target in judge.ages.naming.get(group.key, ())] if group else [],
        "arn": database.resource.arn if database else None,
        "engine": database.resource.engine if database else None,
        "excluded": is_excluded(database.resource) if database else False,
        "restorePoint": proof.to_json() if proof else None,
    }


def _content(group: Group) -> str:
    return f"not read: {group.content.message}" if isinstance(group.content, Problem) else str(group.content)


def _unread(problem: Problem, place: Place | None = None) -> dict[str, str | None]:
    account, region = (place.account, place.region) if place else (None, None)
    return {"account": account, "region": region, "message": problem.message, "hint": problem.hint}
