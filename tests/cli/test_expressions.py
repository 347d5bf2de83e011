"""Schedule expressions, valid and not, and times that a day does not have."""

from datetime import UTC, date, datetime

import pytest

from rds_snap_backup_cli.expressions import expression_problem, next_run, skip_warning, skipped_time, timezone_problem
from tests.unit.template import TEMPLATE


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 3 * * ? *)",
        "cron(0/15 0,12 ? * MON-FRI 2026-2030)",
        "cron(5-50/5 23 L JAN,dec ? *)",
        "cron(0 3 15W */2 ? *)",
        "cron(0 3 ? * 6#3 *)",
        "cron(0 3 ? * FRIL *)",
        "rate(1 day)",
        "rate(36 hours)",
        "at(2026-11-20T13:00:00)",
        *(TEMPLATE["Parameters"][name]["Default"] for name in ("ScheduleExpression", "AuditScheduleExpression")),
    ],
)
def test_a_valid_expression(expression: str) -> None:
    assert expression_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "is not a schedule"),
        ("0 3 * * ? *", "is not a schedule"),
        ("cron(0 3 * * *)", "has 5 fields; cron needs 6"),
        ("cron(60 3 * * ? *)", "'60' is not valid for minutes: 0 to 59"),
        ("cron(0 24 * * ? *)", "'24' is not valid for hours"),
        ("cron(0 3 32 * ? *)", "'32' is not valid for day of month"),
        ("cron(0 3 * 13 ? *)", "'13' is not valid for month: 1 to 12, JAN …"),
        ("cron(0 3 ? * 0 *)", "'0' is not valid for day of week"),
        ("cron(0 3 ? * MON-SUN *)", "'MON-SUN' is not valid for day of week"),
        ("cron(0 3 * * ? 1969)", "'1969' is not valid for year"),
        ("cron(? 3 * * ? *)", "'?' is not valid for minutes"),
        ("cron(0/0 3 * * ? *)", "'0/0' is not valid for minutes"),
        ("cron(0, 3 * * ? *)", "'' is not valid for minutes"),
        ("cron(0 3 * * * *)", "exactly one of day of month and day of week must be ?"),
        ("cron(0 3 ? * ? *)", "exactly one of"),
        ("rate(1 days)", "is not a schedule"),
        ("rate(5 day)", "is not a schedule"),
        ("rate(0 days)", "is not a schedule"),
        ("rate(٣ days)", "is not a schedule"),
        ("cron(٣ 3 * * ? *)", "is not valid for minutes"),
        ("at(2026-02-30T13:00:00)", "names a time that does not exist"),
    ],
)
def test_an_invalid_expression_names_its_field(expression: str, problem: str) -> None:
    assert problem in (expression_problem(expression) or "")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Europe/Berlin", True),
        ("UTC", True),
        ("Europe/Nowhere", False),
        ("", False),
        ("../x", False),
        ("posix/UTC", False),
        ("localtime", False),
        ("Factory", False),
    ],
)
def test_time_zones(name: str, is_one: bool) -> None:
    assert (timezone_problem(name) is None) is is_one


@pytest.mark.parametrize(
    ("expression", "timezone", "day"),
    [
        ("cron(0 2 * * ? *)", "Europe/Berlin", date(2026, 3, 29)),
        ("cron(30 1,2 * * ? *)", "America/New_York", date(2026, 3, 8)),
        ("cron(15 2 * * ? *)", "Australia/Lord_Howe", date(2026, 10, 4)),  # by half an hour
        ("cron(0 3 * * ? *)", "Europe/Berlin", None),
        ("cron(0 2 * * ? *)", "UTC", None),
        ("cron(0 2 * * ? *)", "Not/Known", None),
        ("cron(0 * * * ? *)", "Europe/Berlin", date(2026, 3, 29)),
        ("cron(0/5 * * * ? *)", "Europe/Berlin", None),  # the next run is a moment later
        ("rate(1 day)", "Europe/Berlin", None),
        ("cron(0 2 ? * MON-FRI *)", "Europe/Berlin", None),
        ("cron(0 2 ? * SUN,WED *)", "Europe/Berlin", date(2026, 3, 29)),
        ("cron(0 2 ? * 1L *)", "Europe/Berlin", date(2026, 3, 29)),
        ("cron(0 2 1-15 * ? *)", "Europe/Berlin", None),
        ("cron(0 2 * JAN,NOV ? *)", "Europe/Berlin", None),
        ("cron(0 2 * * ? 2027)", "Europe/Berlin", None),
    ],
)
def test_times_that_daylight_saving_skips(expression: str, timezone: str, day: date | None) -> None:
    skipped = skipped_time(expression, timezone, date(2026, 1, 1))
    assert (skipped.date() if skipped else None) == day


# 18 zones skip 03:00 once a year, most others 02:00, some midnight.
@pytest.mark.parametrize(
    ("expression", "timezone", "use"),
    [
        ("cron(0 2 * * ? *)", "Europe/Berlin", "03:00"),
        ("cron(30 2 * * ? *)", "Europe/Berlin", "03:30"),
        ("cron(0 3 * * ? *)", "Europe/Athens", "04:00"),
        ("cron(45 3 * * ? *)", "Europe/Kyiv", "04:45"),
        ("cron(15 0 * * ? *)", "Africa/Cairo", "01:15"),
        ("cron(15 2 * * ? *)", "Australia/Lord_Howe", "02:45"),
    ],
)
def test_the_warning_names_a_time_that_exists_on_every_day(expression: str, timezone: str, use: str) -> None:
    warning = skip_warning(expression, timezone, date(2026, 1, 1))
    assert warning is not None
    assert warning.endswith(f"Use {use} or later.")
    hour, minute = map(int, use.split(":"))
    assert skip_warning(f"cron({minute} {hour} * * ? *)", timezone, date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("expression", "timezone", "said"),
    [
        ("cron(0 3 * * ? *)", "UTC", "Next run: 2026-12-01 03:00 UTC."),
        ("cron(0 1 * * ? *)", "UTC", "Next run: 2026-12-02 01:00 UTC."),
        ("cron(0 3 29 2 ? *)", "Europe/Berlin", "Next run: 2028-02-29 03:00 Europe/Berlin (02:00 UTC)."),
        ("at(2026-12-24T13:00:00)", "Asia/Tokyo", "Next run: 2026-12-24 13:00 Asia/Tokyo (04:00 UTC)."),
        ("at(2199-12-31T00:00:00)", "UTC", "Next run: 2199-12-31 00:00 UTC."),
        ("at(2026-11-20T13:00:00)", "UTC", "It is over."),
        ("rate(36 hours)", "UTC", "It runs every 36 hours."),
        ("rate(1 day)", "UTC", "It runs every day."),
    ],
)
def test_the_next_run(expression: str, timezone: str, said: str) -> None:
    assert next_run(expression, timezone, datetime(2026, 12, 1, 2, tzinfo=UTC)) == said
