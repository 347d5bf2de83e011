"""Whose last backup is asked for its age, what that may be, and what is said of it."""

from dataclasses import replace

import pytest

from rds_snap_backup.audit.freshness import Ages, Freshness, judge, last_backup_row
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.history import TargetHistory
from tests.support import ENVIRONMENT
from tests.unit.audit.support import stored, text

NOW = 1769824804.0
HOUR = 3600.0
AGES = Ages(default_hours=26, is_default_scheduled=True, are_jobs_followed=True, kept_days=90)
NEVER = TargetHistory()
SCHEDULED = TargetHistory(submitted_at=NOW - HOUR, scheduled_at=NOW - HOUR)


def judged(
    name: str, history: TargetHistory, ages: Ages = AGES, document: str = "", changed_at: float = 0
) -> Freshness:
    return judge(stored(name, document or text(), changed_at), history, ages, NOW)


def completed(hours: float) -> TargetHistory:
    at = NOW - hours * HOUR
    return replace(SCHEDULED, completed_at=at, completed_jobs=("1354", "1355"))


@pytest.mark.parametrize(
    ("name", "history", "ages", "document", "expected"),
    [
        # Targets that a schedule ever started.
        ("orders", SCHEDULED, AGES, text(), ("stale", 26)),
        ("orders", NEVER, AGES, text(), ("exempt", None)),
        ("orders", TargetHistory(submitted_at=NOW), AGES, text(), ("exempt", None)),
        # `default`, while its schedule is enabled.
        ("default", NEVER, AGES, text(), ("stale", 26)),
        ("default", NEVER, replace(AGES, is_default_scheduled=False), text(), ("exempt", None)),
        ("default", SCHEDULED, replace(AGES, is_default_scheduled=False), text(), ("stale", 26)),
        # Those that say how old their backups may be.
        ("orders", NEVER, AGES, text(maxAgeHours=3), ("stale", 3)),
        ("default", NEVER, AGES, text(maxAgeHours=3), ("stale", 3)),
        ("orders", SCHEDULED, replace(AGES, default_hours=0), text(), ("exempt", None)),
        ("orders", SCHEDULED, replace(AGES, default_hours=0), text(maxAgeHours=3), ("stale", 3)),
        # Nobody else is asked.
        ("default", SCHEDULED, AGES, text(enabled=False, maxAgeHours=3), ("disabled", None)),
        ("default", SCHEDULED, AGES, "{", ("invalid", None)),
        ("default", SCHEDULED, AGES, text(taskType="SCHEDULE", maxAgeHours=3), ("exempt", None)),
    ],
)
def test_who_is_asked(
    name: str, history: TargetHistory, ages: Ages, document: str, expected: tuple[str, int | None]
) -> None:
    found = judged(name, history, ages, document)
    assert (found.verdict, found.max_age_hours) == expected


@pytest.mark.parametrize(("hours", "verdict"), [(0, "fresh"), (26, "fresh"), (26.01, "stale"), (1000, "stale")])
def test_a_backup_is_fresh_for_its_age(hours: float, verdict: str) -> None:
    assert judged("orders", completed(hours)).verdict == verdict


@pytest.mark.parametrize(("hours", "verdict"), [(25.9, "fresh"), (26.1, "stale")])
def test_a_changed_document_has_one_age_of_grace(hours: float, verdict: str) -> None:
    assert judged("default", NEVER, changed_at=NOW - hours * HOUR).verdict == verdict
    assert judged("orders", completed(100), changed_at=NOW - hours * HOUR).verdict == verdict


def test_where_jobs_are_not_followed_submissions_count() -> None:
    ages = replace(AGES, are_jobs_followed=False)
    assert judged("orders", SCHEDULED, ages).verdict == "fresh"
    assert judged("orders", replace(SCHEDULED, submitted_at=NOW - 27 * HOUR), ages).verdict == "stale"
    assert judged("orders", replace(completed(1), submitted_at=NOW - 27 * HOUR), ages).verdict == "stale"


def test_the_settings_are_the_environments() -> None:
    own = {"BACKUP_MAX_AGE_HOURS": "30", "SCHEDULE_STATE": "ENABLED"}
    config = Config.from_env({**ENVIRONMENT, **own, "FOLLOW_HOURS": "0"})
    ages = Ages.of(config)
    assert (ages.default_hours, ages.is_default_scheduled, ages.are_jobs_followed) == (30, True, False)
    assert Ages.of(replace(config, follow_hours=1)).are_jobs_followed


@pytest.mark.parametrize(
    ("history", "ages", "ok", "detail"),
    [
        (NEVER, replace(AGES, is_default_scheduled=False), True, "Never submitted, or more than 90 days ago."),
        (
            completed(2),
            AGES,
            True,
            (
                "Last submitted at 2026-01-31T01:00:04Z. "
                "The last one that completed began at 2026-01-31T00:00:04Z (job 1354, 1355)."
            ),
        ),
        (completed(2), replace(AGES, are_jobs_followed=False), True, "Last submitted at 2026-01-31T01:00:04Z."),
        (
            NEVER,
            AGES,
            False,
            "No backup of it completed within the 90 days that the ledger keeps. At most 26 h are allowed.",
        ),
        (
            NEVER,
            replace(AGES, are_jobs_followed=False),
            False,
            "No backup of it was submitted within the 90 days that the ledger keeps. At most 26 h are allowed.",
        ),
        (
            completed(50),
            AGES,
            False,
            (
                "The last one that completed began at 2026-01-29T00:00:04Z (job 1354, 1355). That is 50 h ago. "
                "It was last submitted at 2026-01-31T01:00:04Z. At most 26 h are allowed."
            ),
        ),
        (
            replace(SCHEDULED, submitted_at=NOW - 50 * HOUR),
            replace(AGES, are_jobs_followed=False),
            False,
            "It was last submitted at 2026-01-29T00:00:04Z. That is 50 h ago. At most 26 h are allowed.",
        ),
    ],
)
def test_the_row_says_when_and_how_old_it_may_be(history: TargetHistory, ages: Ages, ok: bool, detail: str) -> None:
    row = last_backup_row("default", judged("default", history, ages), ages, NOW)
    assert (row.name, row.target, row.ok, row.detail) == ("last_backup", "default", ok, detail)
    assert row.code == (None if ok else "BACKUP_STALE")
    assert ("maxAgeHours" in (row.hint or "")) is not ok


def test_of_very_many_jobs_a_few_are_named() -> None:
    history = replace(completed(1), completed_jobs=tuple(map(str, range(1, 101))))
    row = last_backup_row("default", judged("default", history), AGES, NOW)
    assert "(job 1, 2, 3, 4, 5, …)" in row.detail
