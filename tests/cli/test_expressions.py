"""Schedule expressions, valid and not, and times that a day does not have."""

from datetime import UTC, date, datetime

import pytest

from rds_snap_backup_cli.expressions import expression_problem, next_run, skip_warning, timezone_problem
from tests.unit.template import TEMPLATE

DEFAULTS = [TEMPLATE["Parameters"][name]["Default"] for name in ("ScheduleExpression", "AuditScheduleExpression")]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        *((expression, "") for expression in DEFAULTS),
        ("cron(0/15 0,12 ? * MON-FRI 2026-2030)", ""),
        ("cron(5-50/5 23 L JAN,dec ? *)", ""),
        ("cron(0 3 15W */2 ? *)", ""),
        ("cron(0 3 ? * 6#3 *)", ""),
        ("cron(0 3 ? * FRIL *)", ""),
        ("", "is not a schedule"),
        ("cron(0 3 * * *)", "has 5 fields; cron needs 6"),
        ("cron(60 3 * * ? *)", "'60' is not valid for minutes: 0 to 59"),
        ("cron(0 3 * 13 ? *)", "'13' is not valid for month: 1 to 12, JAN …"),
        ("cron(0 3 ? * 0 *)", "'0' is not valid for day of week"),
        ("cron(0 3 ? * MON-SUN *)", "'MON-SUN' is not valid for day of week"),
        ("cron(? 3 * * ? *)", "'?' is not valid for minutes"),
        ("cron(0/0 3 * * ? *)", "'0/0' is not valid for minutes"),
        ("cron(٣ 3 * * ? *)", "is not valid for minutes"),
        ("cron(0 3 * * * *)", "exactly one of day of month and day of week must be ?"),
        ("rate(1 days)", "is not a schedule"),
        ("at(2026-02-30T13:00:00)", "names a time that does not exist"),
    ],
)
def test_an_invalid_expression_names_its_field(expression: str, problem: str) -> None:
    found = expression_problem(expression)
    assert problem in found if found else not problem


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../x", "posix/UTC", "localtime", "Factory"])
def test_only_names_of_the_iana_database_are_time_zones(name: str) -> None:
    assert timezone_problem(name)
    assert timezone_problem("Europe/Berlin") is timezone_problem("UTC") is None


# 18 zones skip 03:00 once a year, most others 02:00, some midnight.
@pytest.mark.parametrize(
    ("expression", "timezone", "day", "use"),
    [
        ("cron(0 2 * * ? *)", "Europe/Berlin", "2026-03-29", "03:00"),
        ("cron(45 3 * * ? *)", "Europe/Kyiv", "2026-03-29", "04:45"),
        ("cron(15 0 * * ? *)", "Africa/Cairo", "2026-04-24", "01:15"),
        ("cron(30 1,2 * * ? *)", "America/New_York", "2026-03-08", "03:30"),
        ("cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-04", "02:45"),  # by half an hour
        ("cron(0 * * * ? *)", "Europe/Berlin", "2026-03-29", "03:00"),
        ("cron(0 2 ? * SUN,WED *)", "Europe/Berlin", "2026-03-29", "03:00"),
        ("cron(0 3 * * ? *)", "Europe/Berlin", "", ""),
        ("cron(0/5 * * * ? *)", "Europe/Berlin", "", ""),  # the next run is a moment later
        ("cron(0 2 ? * MON-FRI *)", "Europe/Berlin", "", ""),
        ("cron(0 2 1-15 * ? *)", "Europe/Berlin", "", ""),
        ("cron(0 2 * JAN,NOV ? *)", "Europe/Berlin", "", ""),
    ],
)
def test_a_time_that_daylight_saving_skips_is_told_with_one_that_exists(
    expression: str, timezone: str, day: str, use: str
) -> None:
    warning = skip_warning(expression, timezone, date(2026, 1, 1)) or ""
    assert (f" on {day} in {timezone}" in warning, warning.endswith(f"Use {use} or later.")) == (bool(day), bool(day))
    hour, minute = map(int, (use or "05:00").split(":"))
    assert skip_warning(f"cron({minute} {hour} * * ? *)", timezone, date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("expression", "timezone", "said"),
    [
        ("cron(0 3 * * ? *)", "UTC", "Next run: 2026-12-01 03:00 UTC."),
        ("cron(0 3 29 2 ? *)", "Europe/Berlin", "Next run: 2028-02-29 03:00 Europe/Berlin (02:00 UTC)."),
        ("cron(0 3 1W 8 ? *)", "UTC", "Next run: 2027-08-02 03:00 UTC."),  # the 1st is a Sunday
        ("cron(0 3 1W 5 ? *)", "UTC", "Next run: 2027-05-03 03:00 UTC."),  # the 1st is a Saturday
        ("cron(0 3 LW 1 ? *)", "UTC", "Next run: 2027-01-29 03:00 UTC."),  # the 31st is a Sunday
        ("cron(0 3 ? 12 6#3 *)", "UTC", "Next run: 2026-12-18 03:00 UTC."),
        ("cron(0 3 ? 12 L *)", "UTC", "Next run: 2026-12-05 03:00 UTC."),
        ("at(2026-12-24T13:00:00)", "Asia/Tokyo", "Next run: 2026-12-24 13:00 Asia/Tokyo (04:00 UTC)."),
        ("at(2026-11-20T13:00:00)", "UTC", "It is over."),
        ("cron(0 0 1 1 ? 2040)", "UTC", "It is not due within four years."),
        ("rate(36 hours)", "UTC", "It runs every 36 hours."),
        ("rate(1 day)", "UTC", "It runs every day."),
    ],
)
def test_the_next_run(expression: str, timezone: str, said: str) -> None:
    assert next_run(expression, timezone, datetime(2026, 12, 1, 2, tzinfo=UTC)) == said
