"""Requests to Commvault at each hour of a day, and targets that back up the same twice. Pure.

Commvault's SaaS allows a tenant 100 writing calls an hour by default. Following jobs takes fewer of its 1,000 reading calls
than there are jobs: they are read together.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from math import ceil
from zoneinfo import ZoneInfo

from rds_snap_backup.triggers import ALL
from rds_snap_backup_cli.expressions import AT, CRON, DAY_OF_WEEK, DAYS, FIELDS, timezone_problem, values
from rds_snap_backup_cli.fleet.changes import Due, State
from rds_snap_backup_cli.output import counted

WRITES = 100
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
PER_HOUR = {"minute": 60.0, "hour": 1.0, "day": 1 / 24}
A_WEEK = 7


@dataclass(frozen=True)
class Hour:
    """An hour in UTC, and the requests of its busiest day."""

    hour: int
    requests: int

    @property
    def is_too_much(self) -> bool:
        """Tell whether it takes more requests than Commvault's SaaS allows."""
        return self.requests > WRITES

    def __str__(self) -> str:
        return f"{self.hour:02}:00: {counted(self.requests, 'request')} of {WRITES} an hour"


def hours_of(state: State, begin: date) -> list[Hour]:
    """Return the hours of a day in which schedules start something, in the week from `begin` on."""
    enabled = {name for name, target in state.targets.items() if target.enabled}
    requests: Counter[datetime] = Counter()
    starts: dict[tuple[str, str], Counter[datetime]] = {}
    for due in state.schedules.values():
        started = len(enabled) if due.target == ALL else int(due.target in enabled)
        when = (due.expression, due.timezone)
        if when not in starts:
            starts[when] = starts_of(due, begin)
        for hour, number in starts[when].items():
            requests[hour] += number * started
    busiest: dict[int, int] = {}
    for moment, number in requests.items():
        busiest[moment.hour] = max(busiest.get(moment.hour, 0), ceil(number))
    return [Hour(*pair) for pair in sorted(busiest.items()) if pair[1]]


def starts_of(due: Due, begin: date) -> Counter[datetime]:
    """Return how often a schedule starts in each hour of a week.

    Days of a month, months and years are left out: each day counts. A rate is spread evenly.
    """
    # Scheduler knows names that this machine may not know.
    zone = UTC if timezone_problem(due.timezone) else ZoneInfo(due.timezone)
    # One more at each end: the day of a zone is not that of UTC.
    days = [begin + timedelta(days=number) for number in range(-1, A_WEEK + 1)]
    if found := RATE.fullmatch(due.expression):
        share = PER_HOUR[found[2]] / int(found[1])
        return Counter(
            {datetime(day.year, day.month, day.day, hour, tzinfo=UTC): share for day in days for hour in range(24)}
        )
    if found := AT.fullmatch(due.expression):
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=zone)
        return Counter([hour_of(moment)] if moment.date() in days else [])
    if not (found := CRON.fullmatch(due.expression)):
        return Counter()
    fields = found[1].split()
    minutes, hours = (list(numbers(fields, position)) for position in (0, 1))
    weekdays = set(numbers(fields, DAY_OF_WEEK))
    meant = [day for day in days if not weekdays or day.isoweekday() % len(DAYS) + 1 in weekdays]
    return Counter(
        hour_of(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone))
        for day, hour, minute in product(meant, hours, minutes)
    )


def numbers(fields: list[str], position: int) -> Iterator[int]:
    """Yield the values of a field of a cron expression; none for `?` and the forms with L, W and #."""
    _, least, most, names, _ = FIELDS[position]
    for token in fields[position].split(","):
        yield from values(token, least, most, names)


def hour_of(moment: datetime) -> datetime:
    """Return the hour of a time in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0)


def overlaps(state: State, fleet: Collection[str]) -> list[str]:
    """Return a sentence for targets that back up the same: the files' own warnings are about two of the fleet."""
    scheduled = Counter(
        name for due in state.schedules.values() for name in (state.targets if due.target == ALL else (due.target,))
    )
    owners: dict[tuple[str, str, str], list[str]] = {}
    for name, target in state.targets.items():
        for association in target.request.associations if target.enabled and scheduled[name] else ():
            owners.setdefault(association.names, []).append(name)
    shared = Counter(tuple(names) for names in owners.values() if len(names) > 1 and not set(names) <= set(fleet))
    said = [
        f"{' and '.join(names)} are scheduled and share {counted(number, 'association')}."
        for names, number in shared.items()
    ]
    return said + [f"{name} has {number} schedules." for name, number in sorted(scheduled.items()) if number > 1]
