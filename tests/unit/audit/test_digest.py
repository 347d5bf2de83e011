"""The day's digest, and the rate limit."""

from dataclasses import replace

import pytest

from rds_snap_backup.audit.digest import Day
from rds_snap_backup.core.backups import Tried
from rds_snap_backup.core.opening import Defaults, begin
from rds_snap_backup.core.phases import Ended, JobRef, Running, Waiting
from rds_snap_backup.core.record import Submission
from rds_snap_backup.messaging.audit_messages import VERDICTS, title
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger
from tests.unit.audit.support import association, text

NOW = 1769824804.0
HOUR = 3600


def submission(hours_ago: float = 1, *states: str, waited: float = 0, held: float = 0) -> Submission:
    """Return one whose backups have these states, and waited for Commvault."""
    target = parse_target("orders", "", text(*(association(f"db-{number}") for number, _ in enumerate(states))))
    trigger = Trigger("schedule", f"{hours_ago}")
    begun = begin(trigger, target, target.request.associations, Defaults(5, 1), NOW - hours_ago * HOUR)
    phases = {"waiting": Waiting(NOW, "busy"), "running": Running(1, JobRef("1", "FULL", 0), 0, 0)}
    backups = tuple(
        replace(
            backup,
            phase=phases.get(state) or Ended(state),  # type: ignore[arg-type]
            tried=Tried(NOW - held, uncounted=waited),
        )
        for backup, state in zip(begun.backups, states, strict=True)
    )
    return replace(begun, backups=backups)


def test_the_digest_has_the_states_of_the_days_backups_and_jobs() -> None:
    submissions = [submission(1, "completed", "failed"), submission(2, "running"), submission(25, "lost")]
    since = Day.of(NOW - 24 * HOUR, submissions, 0).to_json({"completed": 2, "failed": 3})
    assert (since["time"], since["submissions"]) == ("2026-01-30T02:00:04Z", 2)
    assert {state for state, number in since["backups"].items() if number} == {"completed", "failed", "running"}
    assert since["jobs"] == {"running": 0, "completed": 2, "completed_with_errors": 0, "failed": 3, "killed": 0}
    counts = dict.fromkeys(VERDICTS, 0)
    counts |= {"databases": 600, "protected": 588, "stale": 9, "uncovered": 3, "findings": 12}
    assert title({"counts": counts, "since": since}) == (
        "audit: 588 of 600 databases protected, 3 jobs failed, 9 stale, 3 uncovered, 12 findings"
    )


@pytest.mark.parametrize(
    ("throttled_until", "submissions", "expected"),
    [
        (NOW - 25 * HOUR, [submission(1, "completed", waited=HOUR)], None),
        (NOW - HOUR, [submission(1, "completed")], None),
        (
            NOW - HOUR,
            [submission(1, "completed", waited=HOUR), submission(2, "completed")],
            "1 of 2 submissions waited",
        ),
        (NOW + HOUR, [submission(1, "waiting", held=2 * HOUR)], "the longest 2.0 h"),
    ],
)
def test_submissions_that_waited_for_the_rate_limit(
    throttled_until: float, submissions: list[Submission], expected: str | None
) -> None:
    found = Day.of(NOW - 24 * HOUR, submissions, throttled_until).rate_findings(NOW)
    assert [finding.code for finding in found] == ["RATE_LIMITED"] * bool(expected)
    assert all(expected in finding.message for finding in found if expected)


def test_the_grouping_that_fits_the_rate_limit_is_named() -> None:
    many = [submission(1, *["completed"] * 50, waited=60)] * 13
    (finding,) = Day.of(NOW - 24 * HOUR, many, NOW).rate_findings(NOW)
    assert "Put 7 or more associations into each target" in finding.hint
