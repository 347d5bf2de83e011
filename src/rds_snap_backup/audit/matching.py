"""The inventory, `{"inventory": true}`: Commvault's subclients and the databases of all places, side by side."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, get_args

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import MAX_ANSWER, page_of
from rds_snap_backup.audit.coverage import Coverage, Names
from rds_snap_backup.audit.daily import RESERVE_SECONDS, Auditor
from rds_snap_backup.audit.estate import read_estate
from rds_snap_backup.audit.inventory import Inventory, Match, read_inventory
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.preflight import run_preflight
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database
from rds_snap_backup.targets import Association


def take_inventory(auditor: Auditor, seconds_left: Callable[[], float], page: int) -> dict[str, Any]:
    """Answer `{"ok", "inventory", "counts", "unread"}`; it is `ok` if everything was read."""
    commvault = Metered(auditor.services.commvault)
    services = replace(auditor.services, commvault=commvault)
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    estate = read_estate(services.config, auditor.databases, auditor.members, aws, {})
    preflight = run_preflight(services, aws)
    inventory = read_inventory(preflight.discovery, commvault, (), is_whole=True)
    unread: list[dict[str, str | None]] = [
        {"account": place.account, "region": place.region, "message": listing.resources.message}
        for place, listing in estate.listings.items()
        if isinstance(listing.resources, Problem)
    ]
    problems = [item for item in (inventory.problem, preflight.coverage) if isinstance(item, Problem)]
    unread += [{"account": None, "region": None, "message": problem.message} for problem in problems]
    coverage = Coverage([], estate.home) if isinstance(preflight.coverage, Problem) else preflight.coverage
    rows = list(matched(estate.databases, coverage, inventory))
    counts = Counter(row["match"] for row in rows)
    return {
        "ok": not unread,
        "counts": {**{name: counts[name] for name in get_args(Match.__value__)}, "commvaultCalls": commvault.calls},
        "unread": unread,
        **page_of("inventory", rows, MAX_ANSWER, page),
    }


def matched(databases: Iterable[Database], coverage: Coverage, inventory: Inventory) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair, then for each subclient without a database; what is not certain is `ambiguous`."""
    listed = list(databases)
    names = Names(listed)
    used: set[str] = set()
    for database in listed:
        found = [item.association for item in coverage.find(database, names, inventory)]
        possible = found or inventory.of_instance(database.resource.name)
        match: Match = "exact" if len(found) == 1 else "ambiguous" if possible else "rds-only"
        used.update(item.key for item in possible)
        yield from (_row(match, database, item) for item in possible or (None,))
    for association in inventory.associations:
        if association.key not in used:
            yield _row("commvault-only", None, association)


def _row(match: Match, database: Database | None, association: Association | None) -> dict[str, Any]:
    return {
        "match": match,
        "clientName": association.client_name if association else None,
        "instanceName": association.instance_name if association else None,
        "subclientName": association.subclient_name if association else None,
        "arn": database.resource.arn if database else None,
        "engine": database.resource.engine if database else None,
    }
