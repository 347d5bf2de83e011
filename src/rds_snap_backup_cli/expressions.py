"""Schedule expressions of EventBridge: whether they are valid, when they are due, and whether daylight saving skips their time.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
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
RATE_UNITS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}
SATURDAY = 7
A_YEAR, FOUR_YEARS = 366, 1462
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


def skipped_time(expression: str, timezone: str, begin: date | None = None) -> datetime | None:
    """Return the first local time of a year that a valid cron expression names and daylight saving skips, None if there is none."""
    if not (found := CRON.fullmatch(expression)) or timezone_problem(timezone):
        return None
    fields, zone = found[1].split(), ZoneInfo(timezone)
    times = times_of(fields)
    first = begin or datetime.now(UTC).date()
    for number in range(A_YEAR if len(times) <= MAX_TIMES else 0):
        day = first + timedelta(days=number)
        for time in times if is_due_on(fields, day) else ():
            if not exists(day, time, zone):
                return datetime(day.year, day.month, day.day, *time, tzinfo=zone)
    return None


def hours_between(expression: str) -> float | None:
    """Return the hours between two runs of a valid rate, None if it is no rate."""
    if not (found := RATE.fullmatch(expression)):
        return None
    number, unit = found[1].split()
    return int(number) * RATE_UNITS[unit.removesuffix("s")]


def runs(expression: str, timezone: str, begin: datetime, days: int) -> Iterator[datetime]:
    """Yield when a valid cron or at expression is due in the days from `begin` (UTC) on, in order; nothing for a rate."""
    zone, end = ZoneInfo(timezone), begin + timedelta(days=days)
    if found := AT.fullmatch(expression):
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=zone).astimezone(UTC)
        yield from [moment] if begin <= moment < end else []
    if not (found := CRON.fullmatch(expression)):
        return
    fields, first = found[1].split(), begin.astimezone(zone).date()
    times = times_of(fields)
    for day in (first + timedelta(days=number) for number in range(days + 2)):
        for time in times if is_due_on(fields, day) else ():
            moment = datetime(day.year, day.month, day.day, *time, tzinfo=zone).astimezone(UTC)
            if begin <= moment < end and exists(day, time, zone):
                yield moment


def next_run(expression: str, timezone: str, now: datetime) -> str:
    """Return in a sentence when a valid expression is due next; of a rate its interval. `now` is in UTC."""
    if found := RATE.fullmatch(expression):
        return f"It runs every {found[1].removeprefix('1 ')}."
    is_cron = CRON.fullmatch(expression)
    days = FOUR_YEARS if is_cron else (datetime.max.replace(tzinfo=UTC) - now).days
    if not (found_run := next(runs(expression, timezone, now, days), None)):
        return "It is not due within four years." if is_cron else "It is over."
    local = found_run.astimezone(ZoneInfo(timezone))
    return f"Next run: {local:%Y-%m-%d %H:%M} {timezone}{'' if timezone == 'UTC' else f' ({found_run:%H:%M} UTC)'}."


def exists(day: date, time: tuple[int, int], zone: tzinfo) -> bool:
    """Tell whether a zone's clocks show a time on a day. EventBridge Scheduler skips one that they do not show."""
    local = datetime(day.year, day.month, day.day, *time, tzinfo=zone)
    return local.astimezone(UTC).astimezone(zone).time() == local.time()


def times_of(fields: Sequence[str]) -> list[tuple[int, int]]:
    """Return hours and minutes of a valid cron expression, by its fields."""
    minutes, hours = (
        {value for token in text.split(",") for value in values(token, least, most, ())}
        for text, (_, least, most, *_) in zip(fields[:2], FIELDS, strict=False)
    )
    return [(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]


def is_due_on(fields: Sequence[str], day: date) -> bool:
    """Tell whether a valid cron expression, by its fields, is due on a day."""
    found = {DAY_OF_MONTH: day.day, MONTH: day.month, DAY_OF_WEEK: day.isoweekday() % 7 + 1, YEAR: day.year}
    for position, value in found.items():
        _, least, most, names, _ = FIELDS[position]
        tokens = fields[position].split(",")
        if not any(is_other(token, position, day) or value in values(token, least, most, names) for token in tokens):
            return False
    return True


def is_other(part: str, position: int, day: date) -> bool:
    """Tell whether a part in one of the forms `?`, L, LW, 15W, 6L or 6#3 means a day."""
    last = monthrange(day.year, day.month)[1]
    weekday = day.isoweekday() % 7 + 1
    if position not in {DAY_OF_MONTH, DAY_OF_WEEK} or part == "?":
        return part == "?"
    if position == DAY_OF_MONTH and part.endswith("W"):
        return day.day == weekday_near(last if part == "LW" else int(part[:-1]), day)
    if part == "L":
        return day.day == last if position == DAY_OF_MONTH else weekday == SATURDAY
    if not (part.endswith("L") or "#" in part):
        return False
    name, _, number = part.removesuffix("L").partition("#")
    is_its_week = (day.day - 1) // 7 + 1 == int(number) if number else day.day > last - 7
    return is_its_week and weekday in values(name, *FIELDS[DAY_OF_WEEK][1:4])


def weekday_near(number: int, day: date) -> int:
    """Return the weekday that is nearest to a day of the month of `day`, in the same month; 0 if there is no such day."""
    last = monthrange(day.year, day.month)[1]
    if number > last:
        return 0
    match day.replace(day=number).isoweekday():
        case 6:
            return number - 1 if number > 1 else number + 2
        case 7:
            return number + 1 if number < last else number - 2
    return number


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
