"""Schedule expressions of EventBridge: whether they are valid, and whether daylight saving skips their time.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Name, least and most value, their names, and further forms of a value.
FIELDS: tuple[tuple[str, int, int, tuple[str, ...], str], ...] = (
    ("minutes", 0, 59, (), ""),
    ("hours", 0, 23, (), ""),
    ("day of month", 1, 31, (), r"\?|L|LW|(?:[1-9]|[12]\d|3[01])W"),
    ("month", 1, 12, MONTHS, ""),
    ("day of week", 1, 7, DAYS, r"\?|L|(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(?:L|#[1-5])"),
    ("year", 1970, 2199, (), ""),
)
DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR = 2, 3, 4, 5
RATE = re.compile(r"rate\((1 (?:minute|hour|day)|(?!0+ |1 )\d+ (?:minutes|hours|days))\)", re.ASCII)
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", re.ASCII)
CRON = re.compile(r"cron\((.*)\)")
TOKEN = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)
A_YEAR = 366
# A schedule that is due more often misses little.
MAX_TIMES = 24


def expression_problem(expression: str) -> str | None:
    """Return why EventBridge refuses an expression, None if it does not."""
    if RATE.fullmatch(expression):
        return None
    if found := AT.fullmatch(expression):
        try:
            datetime.fromisoformat(found[1])
        except ValueError:
            return f"{expression!r} names a time that does not exist."
        return None
    if not (found := CRON.fullmatch(expression)):
        return f"{expression!r} is not a schedule: cron(…), rate(…) or at(…), such as cron(0 3 * * ? *)."
    fields = found[1].split()
    if len(fields) != len(FIELDS):
        return f"{expression!r} has {len(fields)} fields; cron needs 6: {', '.join(name for name, *_ in FIELDS)}."
    for (name, least, most, names, other), text in zip(FIELDS, fields, strict=True):
        for token in text.split(","):
            if not (other and re.fullmatch(other, token)) and not values(token, least, most, names):
                return f"{expression!r}: {token!r} is not valid for {name}: {least} to {most}{', ' + names[0] + ' …' if names else ''}."
    if (fields[DAY_OF_MONTH] == "?") == (fields[DAY_OF_WEEK] == "?"):
        return f"{expression!r}: exactly one of day of month and day of week must be ?."
    return None


def timezone_problem(name: str) -> str | None:
    """Return why a time zone is none, None if it is one."""
    if name in timezones():
        return None
    meant = get_close_matches(name, timezones(), n=1)
    hint = f"Did you mean {meant[0]}?" if meant else "Use a name of the IANA database, such as Europe/Berlin."
    return f"{name!r} is not a time zone. {hint}"


@cache
def timezones() -> frozenset[str]:
    """Return the names of the IANA database. `ZoneInfo` takes more, such as this machine's `localtime`."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def skip_warning(expression: str, timezone: str, begin: date | None = None) -> str | None:
    """Return a warning if daylight saving skips a time of a valid expression within a year, with a time that exists."""
    if not (skipped := skipped_time(expression, timezone, begin)):
        return None
    moved = skipped.astimezone(UTC).astimezone(skipped.tzinfo)
    return (
        f"daylight saving skips {skipped:%H:%M} on {skipped:%Y-%m-%d} in {timezone}, and Scheduler does not run then. "
        f"Use {moved:%H:%M} or later."
    )


def skipped_day(expression: str, timezone: str, begin: date | None = None) -> date | None:
    """Return the first day of a year on which daylight saving skips a time of a valid cron expression, None if there is none."""
    skipped = skipped_time(expression, timezone, begin)
    return skipped.date() if skipped else None


def skipped_time(expression: str, timezone: str, begin: date | None = None) -> datetime | None:
    """Return the first local time of a year that a valid cron expression names and daylight saving skips, None if there is none."""
    if not (found := CRON.fullmatch(expression)) or timezone_problem(timezone):
        return None
    fields, zone = found[1].split(), ZoneInfo(timezone)
    minutes, hours = (
        {value for token in text.split(",") for value in values(token, least, most, ())}
        for text, (_, least, most, *_) in zip(fields[:2], FIELDS, strict=False)
    )
    times = [(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
    first = begin or datetime.now(UTC).date()
    for number in range(A_YEAR if len(times) <= MAX_TIMES else 0):
        day = first + timedelta(days=number)
        for hour, minute in times if may_be_due(fields, day) else ():
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            if local.astimezone(UTC).astimezone(zone).time() != local.time():
                return local
    return None


def may_be_due(fields: Sequence[str], day: date) -> bool:
    """Tell whether a valid cron expression, by its fields, can be due on a day. Forms with L, W or # count as any day."""
    found = {DAY_OF_MONTH: day.day, MONTH: day.month, DAY_OF_WEEK: day.isoweekday() % 7 + 1, YEAR: day.year}
    for position, value in found.items():
        _, least, most, names, _ = FIELDS[position]
        ranges = [values(token, least, most, names) for token in fields[position].split(",")]
        if all(ranges) and not any(value in numbers for numbers in ranges):
            return False
    return True


def values(token: str, least: int, most: int, names: tuple[str, ...]) -> range:
    """Return the values of one part of a cron field, such as `5`, `MON-FRI`, `*` or `0/15`; an empty range if it is not valid."""
    if not (found := TOKEN.fullmatch(token)):
        return range(0)
    begin, end, step = found.groups()

    def number(text: str) -> int:
        if text.upper() in names:
            return names.index(text.upper()) + least
        return int(text) if text.isdecimal() else -1

    low = least if begin == "*" else number(begin)
    high = number(end) if end else most if begin == "*" or step else low
    if (begin == "*" and end) or not least <= low <= high <= most or (step and not int(step)):
        return range(0)
    return range(low, high + 1, int(step or 1))
