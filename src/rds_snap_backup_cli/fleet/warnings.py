"""Warnings about a valid fleet: what is probably not meant, each with what to do. Pure.

Commvault's SaaS allows a tenant 100 writing calls an hour by default, and each request is one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import pairwise
from math import ceil

from rds_snap_backup.targets import NAMES, FieldPath
from rds_snap_backup_cli.expressions import hours_between, runs, skipped_day
from rds_snap_backup_cli.fleet.files import GROUP, TARGETS, Entry, Fleet, Remark, Schedule
from rds_snap_backup_cli.output import counted

WRITES = 100
A_WEEK = 7
# Two runs of a yearly schedule.
HORIZON = 2 * 366
# Of the stack's parameter BackupMaxAgeHours.
MAX_AGE_HOURS = 26
HOUR = 3600
SHOWN = 3


def warnings_of(fleet: Fleet, now: datetime) -> list[Remark]:
    """Return the warnings about a fleet's files, alike ones as one. `now` is a time in UTC."""
    groups: list[Iterable[Remark]] = [
        disabled(fleet),
        levels(fleet),
        large_groups(fleet),
        shared_databases(fleet),
        repeated(fleet),
        skipped(fleet),
        stale(fleet, now),
        crowded_hours(fleet, now),
    ]
    found = [collapsed(sorted(set(group))) for group in groups]
    if not fleet.sources and not fleet.errors:
        folder = fleet.head.file.removesuffix("fleet.yaml") + TARGETS
        found.append([Remark(folder, 1, "the directory", "has no target: add NAME.yaml for each")])
    return sorted(remark for group in found for remark in group)


def collapsed(alike: Sequence[Remark]) -> list[Remark]:
    """Return remarks that differ in place and detail as one, which names the places of some others."""
    if len(alike) <= 1:
        return list(alike)
    first, *others = alike
    places = ", ".join(f"{remark.file}:{remark.line}" for remark in others[:SHOWN])
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return [replace(first, reason=f"{first.reason} (alike: {places}{more})")]


def at(fleet: Fleet, entry: Entry, path: FieldPath, reason: str) -> Remark:
    """Return a remark about a field of a target, or about the fleet's default if that gives the field."""
    source = fleet.sources[entry.name]
    if path[0] not in source.fields:
        return fleet.head.remark(("defaults", *path), reason)
    return source.remark(path, reason)


def started(fleet: Fleet) -> Iterator[tuple[Entry, Schedule]]:
    """Yield the targets that are started by a schedule."""
    for entry in fleet.entries.values():
        if entry.schedule and entry.document.get("enabled", True):
            yield entry, entry.schedule


def disabled(fleet: Fleet) -> Iterator[Remark]:
    """Yield the targets that no trigger starts."""
    for entry in fleet.entries.values():
        if not entry.document.get("enabled", True):
            yield at(
                fleet, entry, ("enabled",), "nothing starts this target: remove the file if it is not needed any more"
            )


def levels(fleet: Fleet) -> Iterator[Remark]:
    """Yield the targets with another level than FULL."""
    for entry in fleet.entries.values():
        if entry.document.get("backupLevel", "FULL") != "FULL":
            yield at(
                fleet,
                entry,
                ("backupLevel",),
                "only FULL is meant for snapshots of RDS: leave it out, unless Commvault advises another level",
            )


def large_groups(fleet: Fleet) -> Iterator[Remark]:
    """Yield the targets with many associations."""
    for entry in fleet.entries.values():
        if (number := len(entry.document["associations"])) > GROUP:
            yield at(
                fleet,
                entry,
                ("associations",),
                f"has {number} associations, and one request starts them all: use groups of {GROUP} or fewer",
            )


def shared_databases(fleet: Fleet) -> Iterator[Remark]:
    """Yield the targets whose `databases` are those of several associations."""
    for entry in fleet.entries.values():
        number = sum("databases" not in association for association in entry.document["associations"])
        if entry.document.get("databases") and number > 1:
            yield at(
                fleet,
                entry,
                ("databases",),
                f"an event of one of them backs up {number} associations: give each association its own databases",
            )


def repeated(fleet: Fleet) -> Iterator[Remark]:
    """Yield the scheduled targets that repeat associations of another one."""
    first: dict[tuple[str, ...], str] = {}
    for entry, _ in started(fleet):
        others: dict[str, list[int]] = {}
        for index, association in enumerate(entry.document["associations"]):
            owner = first.setdefault(tuple(association[name] for name in NAMES), entry.name)
            if owner != entry.name:
                others.setdefault(owner, []).append(index)
        for owner, indexes in others.items():
            more = f", and {len(indexes) - 1} more," if len(indexes) > 1 else ""
            reason = f"the scheduled target {owner} has it{more} too, and each is backed up twice: remove it from one"
            yield at(fleet, entry, ("associations", indexes[0]), reason)


def skipped(fleet: Fleet) -> Iterator[Remark]:
    """Yield the schedules whose time daylight saving skips."""
    day_of = cache(skipped_day)
    for entry, schedule in started(fleet):
        if day := day_of(schedule.expression, schedule.timezone):
            yield at(
                fleet,
                entry,
                ("schedule", "expression"),
                f"daylight saving skips this time on {day}, and Scheduler does not run then: use 03:00 or later",
            )


# ---- When schedules come


def stale(fleet: Fleet, now: datetime) -> Iterator[Remark]:
    """Yield the schedules that never come within the maximum age of their target's backups."""
    gap_of = cache(partial(least_gap, now=now))
    for entry, schedule in started(fleet):
        age = entry.document.get("maxAgeHours", MAX_AGE_HOURS)
        gap = gap_of(schedule)
        if gap is not None and gap <= age:
            continue
        comes = "does not come twice in two years" if gap is None else f"comes every {ceil(gap)} hours at most"
        default = "" if "maxAgeHours" in entry.document else ", the stack's default"
        reason = f"it {comes}, and maxAgeHours is {age}{default}: let it come more often, or raise maxAgeHours"
        yield at(fleet, entry, ("schedule", "expression"), reason)


def least_gap(schedule: Schedule, now: datetime) -> float | None:
    """Return the least hours between two runs of a schedule in two years, None if it does not come twice."""
    if (hours := hours_between(schedule.expression)) is not None:
        return hours
    pairs = pairwise(runs(schedule.expression, schedule.timezone, now, HORIZON))
    gaps = ((after - before).total_seconds() / HOUR for before, after in pairs)
    least: float | None = None
    for gap in gaps:
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
    for _, schedule in started(fleet):
        hours = hours_between(schedule.expression)
        spread += 1 / hours if hours else 0
        requests.update(starts(schedule))
    busiest = dict.fromkeys(range(24), ceil(spread)) if spread else {}
    for moment, number in requests.items():
        busiest[moment.hour] = max(busiest.get(moment.hour, 0), ceil(number + spread))
    return dict(sorted(busiest.items()))


def starts_of(schedule: Schedule, now: datetime) -> Counter[datetime]:
    """Return how often a schedule starts in each hour of a week."""
    moments = runs(schedule.expression, schedule.timezone, now.astimezone(UTC), A_WEEK)
    return Counter(moment.replace(minute=0, second=0) for moment in moments)
