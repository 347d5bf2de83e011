"""The content of an instance group: children of `cloudDbContent`, in the forms that Commvault's pages and SDK show.

A child selects everything, a region, one database, or the databases whose identifier a rule finds. `type` has any case, and
on some pages is a number of unknown meaning; here a number selects the database of that name and region.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

type Child = Mapping[str, Any]

REGION = "us-east-1"
AVAILABLE = ("available", "backing-up")


@dataclass(frozen=True, slots=True)
class Database:
    """A database as RDS lists it: an instance that is no cluster's member, or a cluster."""

    name: str
    region: str = REGION
    is_cluster: bool = False
    status: str = "available"
    engine: str = "mysql"
    zones: tuple[str, ...] = ()
    subnet_group: str = "default"

    @property
    def is_available(self) -> bool:
        """Whether Commvault snapshots it now."""
        return self.status in AVAILABLE


@dataclass(frozen=True, slots=True)
class Content:
    """What a group selects: any of `children`, and none of `filters`."""

    children: Sequence[Child] = ()
    filters: Sequence[Child] = ()

    def selects(self, database: Database) -> bool:
        """Return whether a job of the group is to snapshot a database."""
        return _any(self.children, database) and not _any(self.filters, database)


def everything() -> Child:
    """Return the content of a new instance's default group."""
    return {"displayName": "All instances", "name": "All instances", "path": "", "type": "root", "negation": False}


def region(name: str) -> Child:
    """Return the content of all databases of a region."""
    return {"displayName": name, "name": name, "path": name, "value": name, "type": "REGION", "negation": False}


def instance(name: str, region: str = REGION) -> Child:
    """Return the content of one DB instance."""
    return _named(name, region, "Instance")


def cluster(name: str, region: str = REGION) -> Child:
    """Return the content of one Aurora or Multi-AZ cluster."""
    return _named(name, region, "Cluster")


def rule(pattern: str, *, negation: bool = False) -> Child:
    """Return the content of the databases in whose identifier a regular expression is found, or is not found."""
    return {"displayName": pattern, "name": pattern, "path": "", "type": "instanceRule", "negation": negation}


def _named(name: str, region: str, kind: str | int) -> Child:
    place = {"path": region, "value": f"{region} {name}"}
    return {"displayName": name, "name": name, **place, "type": kind, "allOrAnyChildren": True, "negation": False}


def _any(children: Sequence[Child], database: Database) -> bool:
    return any(_selects(child, database) for child in children)


def _selects(child: Child, database: Database) -> bool:
    name, path = str(child.get("name", "")), str(child.get("path", ""))
    is_named = (name.lower(), path) == (database.name.lower(), database.region)
    match str(child.get("type", "")).lower():
        case "root":
            return True
        case "region":
            return name == database.region
        case "instance":
            return is_named and not database.is_cluster
        case "cluster":
            return is_named and database.is_cluster
        case "instancerule":
            return _is_found(name, database.name) is not bool(child.get("negation"))
        case kind:
            return kind.isdigit() and is_named


def _is_found(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False
