"""The inventory, `{"inventory": true}`: Commvault's instance groups, and the databases of all places that they select."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rds_snap_backup.audit.auditor import Auditor
from rds_snap_backup.audit.aws_calls import RESERVE_SECONDS, aws_calls
from rds_snap_backup.audit.coverage import is_excluded
from rds_snap_backup.audit.documents import Counts, StoredTarget
from rds_snap_backup.audit.estate import judge_of, read_estate
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.pages import Reading
from rds_snap_backup.audit.preflight import run_preflight
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.commvault.inventory import Group
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place
from rds_snap_backup.targets import NAMES


def take_inventory(auditor: Auditor, seconds_left: Callable[[], float]) -> Reading:
    """Answer `{"ok", "inventory", "counts", "unread"}`; it is `ok` if everything was read."""
    commvault = auditor.metered()
    services = replace(auditor.services, commvault=commvault)
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    estate = read_estate(services.config, auditor.databases, auditor.members, aws)
    preflight = run_preflight(services, aws, lambda *_: Counts({}))
    judge = judge_of(services.config, services.clock(), estate, preflight.targets)
    judge = replace(judge, contents=read_groups(preflight.discovery, commvault, judge.named))
    judge = gather(judge, preflight.discovery, estate, aws.seconds_left)
    unread = [_unread(problem, place) for place, problem in estate.unread.items()]
    problems = [*judge.contents.problems, *([preflight.stored] if isinstance(preflight.stored, Problem) else [])]
    unread += [_unread(problem) for problem in dict.fromkeys(problems)]
    rows = list(rows_of(judge, preflight.stored))
    counts = {
        "groups": len(judge.contents.groups),
        "databases": len(judge.databases),
        "selected": len({row["arn"] for row in rows if row["arn"] and row["clientName"]}),
        "commvaultCalls": commvault.calls,
    }
    return Reading({"ok": not unread, "counts": counts, "unread": unread}, "inventory", rows)


def rows_of(judge: Judge, stored: Sequence[StoredTarget] | Problem) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair of a group and a database that it selects, then for groups and databases without any.

    `stored` are the targets, also those that are disabled; a `Problem` if they could not be read.
    """
    naming: defaultdict[str, list[str]] = defaultdict(list)
    for target in (each.target for each in (() if isinstance(stored, Problem) else stored) if each.target):
        for association in target.request.associations:
            naming[association.key].append(target.name)

    def row(group: Group | None, database: Database | None) -> dict[str, Any]:
        targets = [] if group is None else None if isinstance(stored, Problem) else naming[group.key]
        return {**_group(group), "targets": targets, **_database(judge, database)}

    used: set[str] = set()
    for database in judge.databases:
        coverage = judge.coverage(database)
        used.update(group.key for group in coverage.certain)
        pairs: Sequence[tuple[Group | None, str | None]] = coverage.groups or ((None, None),)
        for group, reason in pairs:
            yield row(group, database) | {"selectedBy": reason, "doubt": "; ".join(coverage.doubts) or None}
    for group in judge.contents.groups:
        if group.key not in used:
            yield row(group, None) | {"selectedBy": None, "doubt": None}


def _group(group: Group | None) -> dict[str, Any]:
    names = group.association.names if group else (None, None, None)
    return {**dict(zip(NAMES, names, strict=True)), "content": _content(group) if group else None}


def _database(judge: Judge, database: Database | None) -> dict[str, Any]:
    if database is None:
        return {"arn": None, "engine": None, "excluded": False, "restorePoint": None}
    proof = judge.proof(database.resource)
    return {
        "arn": database.resource.arn,
        "engine": database.resource.engine,
        "excluded": is_excluded(database.resource),
        "restorePoint": proof.to_json() if proof else None,
    }


def _content(group: Group) -> str:
    return f"not read: {group.content.message}" if isinstance(group.content, Problem) else str(group.content)


def _unread(problem: Problem, place: Place | None = None) -> dict[str, str | None]:
    account, region = (place.account, place.region) if place else (None, None)
    return {"account": account, "region": region, "message": problem.message, "hint": problem.hint}
