"""Gathers the evidence of backups: Commvault's restore points, and RDS's snapshots of them by name."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from rds_snap_backup.audit.coverage import Found, Listed, is_excluded
from rds_snap_backup.audit.estate import Estate
from rds_snap_backup.audit.proofs import MAX_AHEAD_SECONDS, MAX_TRIES
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.commvault.inventory import UNREAD, Discovery, Instance
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Kind, Place, Snapshot, Wanted
from rds_snap_backup.rds.members import ALL_SECONDS

# A list that is too long is asked for again from later on, to these parts of its span.
NARROWER = (1, 4, 16)


def gather(
    judge: Judge, discovery: Discovery, estate: Estate, seconds_left: Callable[[], float], since: float | None = None
) -> Judge:
    """Return the judge with restore points and snapshots, as far as the time goes.

    `since` is from when on restore points are asked for, if that is before those that matter to the judge.
    """
    span = max(judge.look_back, judge.now - (since or judge.now))
    judge = replace(judge, listed=_list_points(judge, discovery, span))
    begun = time.monotonic()

    def members_left() -> float:
        return min(seconds_left(), ALL_SECONDS - (time.monotonic() - begun))

    asked: dict[Place, set[tuple[Kind, str]]] = {}
    found: dict[Place, Found | Problem] = {}
    for _ in range(MAX_TRIES):
        names = judge.missing(asked)
        if not names:
            break
        for place, some in names.items():
            asked.setdefault(place, set()).update(some)
        wanted = {place: _by_name(some) for place, some in names.items()}
        for place, snapshots in estate.snapshots(wanted, members_left()).items():
            if isinstance(snapshots, Problem):
                found[place] = snapshots
            elif not isinstance(known := found.get(place, {}), Problem):
                found[place] = {**known, **{(each.kind, each.name): each for each in snapshots}}
        judge = replace(judge, found=dict(found))
    return replace(judge, taken=_taken(judge, estate, members_left()))


def _list_points(judge: Judge, discovery: Discovery, span: float) -> dict[Instance, Listed | Problem]:
    """Ask for the restore points of each instance, first of those whose groups may select a database."""
    needed: dict[Instance, None] = {}
    for database in judge.databases:
        if not is_excluded(database.resource):
            needed.update(dict.fromkeys(judge.coverage(database).instances))
    audited = {None, *(place.account for place in judge.places)}
    others = (group.instance for group in judge.contents.groups)
    needed.update(dict.fromkeys(each for each in others if judge.account_of.get(each.client) in audited))
    return {instance: _points(discovery, instance, judge.now, span) for instance in needed}


def _points(discovery: Discovery, instance: Instance, now: float, span: float) -> Listed | Problem:
    points: Listed | Problem = UNREAD
    for part in NARROWER:
        since = now - span / part
        found = discovery.restore_points(instance, (since, now + MAX_AHEAD_SECONDS))
        points = found if isinstance(found, Problem) else Listed(found, since)
        if isinstance(points, Listed) or points.code != "ANSWER_TOO_LONG":
            break
    return points


def _by_name(names: set[tuple[Kind, str]]) -> list[Wanted]:
    kinds: dict[Kind, set[str]] = {}
    for kind, name in names:
        kinds.setdefault(kind, set()).add(name)
    return [Wanted(kind, "name", frozenset(some)) for kind, some in kinds.items()]


def _taken(judge: Judge, estate: Estate, seconds: float) -> Mapping[Place, list[Snapshot] | Problem]:
    """Read all snapshots of the databases whose restore points Commvault does not list."""
    wanted: dict[Place, dict[Kind, set[str]]] = {}
    for database in judge.databases:
        resource = database.resource
        if not is_excluded(resource) and judge.by_jobs(judge.coverage(database)):
            wanted.setdefault(resource.place, {}).setdefault(resource.kind, set()).add(resource.name)
    asked = {
        place: [Wanted(kind, "database", frozenset(names)) for kind, names in kinds.items()]
        for place, kinds in wanted.items()
    }
    return estate.snapshots(asked, seconds)
