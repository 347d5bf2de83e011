"""Warnings about a valid fleet: what is probably not meant, each with what to do. Pure.

Commvault's SaaS allows a tenant 100 writing calls an hour by default, and each request is one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from itertools import pairwise
from math import ceil
from typing import Any

from rds_snap_backup.fields import FieldPath
from rds_snap_backup.targets import NAMES
from rds_snap_backup_cli.expressions import hours_between, runs, skip_warning
from rds_snap_backup_cli.fleet.files import TARGETS, Entry, Fleet, Remark, Schedule
from rds_snap_backup_cli.output import counted

WRITES = 100
A_WEEK = 7
# Two runs of a yearly schedule.
HORIZON = 2 * 366
# Of the stack's parameter BackupMaxAgeHours.
MAX_AGE_HOURS = 26
# A month. Longer, and longer than two gaps of the schedule, hides for weeks that backups fail.
LENIENT_HOURS = 31 * 24
HOUR = 3600
# The stack's default GatherMinutes.
GATHER_MINUTES = 5
GLOB = frozenset("*?[")
SHOWN = 3
EXPRESSION = ("schedule", "expression")

type Warned = tuple[str, FieldPath, str]
"""The kind of a warning, the field of a target, and the reason."""


def warnings_of(fleet: Fleet, now: datetime) -> list[Remark]:
    """Return the warnings about a fleet's files, alike ones as one. `now` is a time in UTC."""
    alike: dict[str, set[Remark]] = {}
    if not fleet.sources and not fleet.errors:
        folder = fleet.head.file.removesuffix("fleet.yaml") + TARGETS
        alike["empty"] = {Remark(folder, 1, "the directory", "has no target: add NAME.yaml for each")}
    gap_of, skip_of = cache(partial(least_gap, now=now)), cache(skip_warning)
    for entry in fleet.entries.values():
        found = [*about_document(entry)]
        if is_started(entry) and (schedule := entry.schedule):
            found += about_schedule(entry, gap_of(schedule), skip_of(schedule.expression, schedule.timezone))
        for kind, path, reason in found:
            alike.setdefault(kind, set()).add(at(fleet, entry, path, reason))
    alike["repeated"] = set(repeated(fleet))
    alike["crowded"] = set(crowded_hours(fleet, now))
    return sorted(collapsed(sorted(remarks)) for remarks in alike.values() if remarks)


def collapsed(alike: Sequence[Remark]) -> Remark:
    """Return remarks that differ in place and detail as one, which names the places of some others."""
    first, *others = alike
    if not others:
        return first
    places = ", ".join(f"{remark.file}:{remark.line}" for remark in others[:SHOWN])
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return replace(first, reason=f"{first.reason} (alike: {places}{more})")


def at(fleet: Fleet, entry: Entry, path: FieldPath, reason: str) -> Remark:
    """Return a remark about a field of a target, or about the fleet's default if that gives the field."""
    source = fleet.sources[entry.name]
    if path[0] not in source.fields:
        return fleet.head.remark(("defaults", *path), reason)
    return source.remark(path, reason)


def is_started(entry: Entry) -> bool:
    """Tell whether a schedule starts a target."""
    return entry.schedule is not None and bool(entry.document.get("enabled", True))


def about_document(entry: Entry) -> Iterator[Warned]:
    """Yield the warnings about a target's document."""
    document = entry.document
    if not document.get("enabled", True):
        yield "disabled", ("enabled",), "nothing starts this target: remove the file if it is not needed any more"
    if document.get("backupLevel", "FULL") != "FULL":
        reason = "only FULL is meant for snapshots of RDS: leave it out, unless Commvault advises another level"
        yield "level", ("backupLevel",), reason
    sharing = sum("databases" not in association for association in document["associations"])
    if document.get("databases") and sharing > 1:
        reason = f"an event of one of them backs up {sharing} associations: give each association its own databases"
        yield "shared", ("databases",), reason
    minutes = document.get("gatherMinutes", GATHER_MINUTES)
    if minutes < GATHER_MINUTES and any(map(is_of_many, patterns_of(document))):
        reason = f"each event of a group of many starts a job of all after {minutes} min: set {GATHER_MINUTES} or more"
        yield "gather", ("gatherMinutes",), reason


def patterns_of(document: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the patterns of each association: its own, or those of the target."""
    shared = document.get("databases", ())
    return [association.get("databases", shared) for association in document["associations"]]


def is_of_many(patterns: Sequence[str]) -> bool:
    """Tell whether patterns can match several databases: their group then has several."""
    return len(patterns) > 1 or any(GLOB & set(pattern) for pattern in patterns)


def repeated(fleet: Fleet) -> Iterator[Remark]:
    """Yield the scheduled targets that repeat associations of another one."""
    first: dict[tuple[str, ...], str] = {}
    for entry in filter(is_started, fleet.entries.values()):
        others: dict[str, list[int]] = {}
        for index, association in enumerate(entry.document["associations"]):
            owner = first.setdefault(tuple(association[name] for name in NAMES), entry.name)
            if owner != entry.name:
                others.setdefault(owner, []).append(index)
        for owner, indexes in others.items():
            more = f", and {len(indexes) - 1} more," if len(indexes) > 1 else ""
            reason = f"the scheduled target {owner} has it{more} too, and each is backed up twice: remove it from one"
            yield at(fleet, entry, ("associations", indexes[0]), reason)


# ---- When schedules come


def about_schedule(entry: Entry, gap: float | None, skipped: str | None) -> Iterator[Warned]:
    """Yield the warnings about a schedule with this least gap in hours; `skipped` names a time that does not exist."""
    if skipped:
        yield "skipped", EXPRESSION, skipped
    age = entry.document.get("maxAgeHours", MAX_AGE_HOURS)
    if gap is None or gap > age:
        comes = "does not come twice in two years" if gap is None else f"comes every {ceil(gap)} hours at most"
        default = "" if "maxAgeHours" in entry.document else ", the stack's default"
        reason = f"it {comes}, and maxAgeHours is {age}{default}: let it come more often, or raise maxAgeHours"
        yield "stale", EXPRESSION, reason
    elif age > max(LENIENT_HOURS, 2 * gap):
        reason = f"the audit finds a missing backup after {age // 24} days only: lower it to some gaps of the schedule"
        yield "lenient", ("maxAgeHours",), reason


def least_gap(schedule: Schedule, now: datetime) -> float | None:
    """Return the least hours between two runs of a schedule in two years, None if it does not come twice."""
    if (hours := hours_between(schedule.expression)) is not None:
        return hours
    least: float | None = None
    for before, after in pairwise(runs(schedule.expression, schedule.timezone, now, HORIZON)):
        gap = (after - before).total_seconds() / HOUR
        least = gap if least is None else min(least, gap)
        if least <= 1:  # the least maximum age: the rest of a schedule with thousands of runs tells nothing more
            break
    return least


def crowded_hours(fleet: Fleet, now: datetime) -> Iterator[Remark]:
    """Yield the hours of the day that take more requests than Commvault's SaaS allows."""
    for hour, number in requests_by_hour(fleet, now).items():
        if number > WRITES:
            reason = (
                f"{counted(number, 'request')} come at {hour:02}:00 UTC, and Commvault's SaaS admits {WRITES} an hour: use "
                "groups, or spread the schedules"
            )
            yield Remark(fleet.head.file, 1, "the schedules", reason)


def requests_by_hour(fleet: Fleet, now: datetime) -> Mapping[int, int]:
    """Return the requests of each hour (UTC) of a day, on its busiest day of a week from `now` on. A rate is spread evenly."""
    starts = cache(partial(starts_of, now=now))
    requests: Counter[datetime] = Counter()
    spread = 0.0
    for schedule in (entry.schedule for entry in fleet.entries.values() if is_started(entry)):
        if schedule:
            hours = hours_between(schedule.expression)
            spread += 1 / hours if hours else 0
            requests.update(starts(schedule))
    busiest = dict.fromkeys(range(24), ceil(spread)) if spread else {}
    for moment, number in requests.items():
        busiest[moment.hour] = max(busiest.get(moment.hour, 0), ceil(number + spread))
    return dict(sorted(busiest.items()))


def starts_of(schedule: Schedule, now: datetime) -> Counter[datetime]:
    """Return how often a schedule starts in each hour of a week."""
    moments = runs(schedule.expression, schedule.timezone, now, A_WEEK)
    return Counter(moment.replace(minute=0, second=0) for moment in moments)
