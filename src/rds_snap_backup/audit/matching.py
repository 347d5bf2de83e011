"""The inventory, `{"inventory": true}`: Commvault's subclients and the databases of all places, side by side."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import MAX_ANSWER, page_of
from rds_snap_backup.audit.coverage import Candidate, Coverage, DatabaseNames
from rds_snap_backup.audit.daily import RESERVE_SECONDS, Auditor
from rds_snap_backup.audit.estate import read_estate
from rds_snap_backup.audit.inventory import Inventory, Match, read_inventory
from rds_snap_backup.audit.metered import MAX_CALLS, Metered
from rds_snap_backup.audit.preflight import run_preflight
from rds_snap_backup.audit.verdicts import is_exempt
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place
from rds_snap_backup.targets import Association


def take_inventory(auditor: Auditor, seconds_left: Callable[[], float], page: int) -> dict[str, Any]:
    """Answer `{"ok", "inventory", "counts", "unread"}`; it is `ok` if everything was read."""
    commvault = Metered(auditor.services.commvault)
    services = replace(auditor.services, commvault=commvault)
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    estate = read_estate(services.config, auditor.databases, auditor.members, aws, {})
    preflight = run_preflight(services, aws)
    coverage = Coverage([], estate.home) if isinstance(preflight.coverage, Problem) else preflight.coverage
    named = {item.association.client_name for item in coverage.associations}
    inventory = read_inventory(preflight.discovery, commvault, named, is_whole=True, most=MAX_CALLS)
    problems = {
        place: listing.resources for place, listing in estate.listings.items() if isinstance(listing.resources, Problem)
    }
    unread = [_unread(problem, place) for place, problem in problems.items()]
    unread += [_unread(item) for item in (inventory.problem, preflight.coverage) if isinstance(item, Problem)]
    if isinstance(preflight.coverage, Problem):
        inventory = replace(inventory, problem=preflight.coverage)
    rows = list(matched(estate.databases, coverage, inventory, problems))
    counts = Counter(row["match"] for row in rows)
    return {
        "ok": not unread,
        "counts": {**{name: counts[name] for name in get_args(Match.__value__)}, "commvaultCalls": commvault.calls},
        "unread": unread,
        **page_of("inventory", rows, MAX_ANSWER, page),
    }


def matched(
    databases: Iterable[Database], coverage: Coverage, inventory: Inventory, unread: Collection[Place] = ()
) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair, then for each subclient without a database; what is not certain is `ambiguous`.

    A name is no proof while a place or a client that may have it too is `unread`.
    """
    listed = list(databases)
    names = DatabaseNames(listed, unread)
    found = [coverage.find(database, names, inventory) for database in listed]
    uses = Counter(candidate.key for candidates in found for candidate in candidates)
    used: set[str] = set()
    for database, candidates in zip(listed, found, strict=True):
        known = [item for item in candidates if inventory.knows(item.association) is not False]
        is_exact = len(candidates) == 1 and _is_certain(candidates[0], inventory, uses)
        possible = [item.association for item in known] or inventory.of_instance(database.resource.name)
        match: Match = "exact" if is_exact else "ambiguous" if possible else "rds-only"
        used.update(item.key for item in possible)
        excluded = is_exempt(database.resource) and not any(item.target for item in known)
        for association in possible or (None,):
            yield _row(match, database, association) | ({"excluded": True} if excluded else {})
    for association in inventory.associations:
        if association.key not in used:
            yield _row("commvault-only", None, association)


def _is_certain(candidate: Candidate, inventory: Inventory, uses: Mapping[str, int]) -> bool:
    """Tell whether Commvault has a subclient, and a target names the database for it or the name is nowhere else."""
    if not inventory.knows(candidate.association):
        return False
    is_only = uses[candidate.key] == 1 and (candidate.target is not None or inventory.problem is None)
    return bool(candidate.association.databases) or is_only


def _unread(problem: Problem, place: Place | None = None) -> dict[str, str | None]:
    account, region = (place.account, place.region) if place else (None, None)
    return {"account": account, "region": region, "message": problem.message, "hint": problem.hint}


def _row(match: Match, database: Database | None, association: Association | None) -> dict[str, Any]:
    return {
        "match": match,
        "clientName": association.client_name if association else None,
        "instanceName": association.instance_name if association else None,
        "subclientName": association.subclient_name if association else None,
        "arn": database.resource.arn if database else None,
        "engine": database.resource.engine if database else None,
    }
