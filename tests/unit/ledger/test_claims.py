"""Which claim of a job ID stands: another submission's is stale only where it must be of an older job."""

from typing import Any

import pytest

from rds_snap_backup.ledger.claims import CLOCK_SKEW_SECONDS, STALE_SECONDS, Claim
from rds_snap_backup.ledger.table import Check, Update

ATTEMPTED, NOW = 10_000.0, 10_020.0
MINE, THEIRS = "submission#orders#manual#mine", "submission#orders#schedule#theirs"


def claim(job_started: float | None = None) -> Claim:
    return Claim("1354", MINE, "orders", ATTEMPTED, NOW, 99, job_started)


def item(submission: Any = THEIRS, **values: Any) -> dict[str, Any]:
    return {"pk": "job#1354"} | ({} if submission is None else {"submission": submission}) | values


def test_an_id_that_the_ledger_does_not_know_is_claimed() -> None:
    update = claim().update()
    assert (update.key, update.condition) == ("job#1354", "attribute_not_exists(#pk)")
    assert update.values["submission"] == MINE
    assert update.values["attemptedAt"] == ATTEMPTED


@pytest.mark.parametrize(
    ("claimed_at", "started", "is_stale"),
    [
        (ATTEMPTED - 3600, None, True),
        (ATTEMPTED - 0.1, None, True),
        (ATTEMPTED, None, False),
        (ATTEMPTED + 5, None, False),
        # A claim by reconciling may be of the very job that the answer names.
        (ATTEMPTED - 0.1, ATTEMPTED - CLOCK_SKEW_SECONDS, False),
        (ATTEMPTED - 0.1, ATTEMPTED - CLOCK_SKEW_SECONDS - 1, True),
        # Of a version that kept no time of its claims.
        (None, None, False),
    ],
)
def test_an_answer_that_names_the_id_replaces_a_claim_older_than_its_attempt(
    claimed_at: float | None, started: float | None, is_stale: bool
) -> None:
    values = {"claimedAt": claimed_at, "jobStartedAt": started}
    found = item(**{name: value for name, value in values.items() if value is not None})
    assert (claim().update_over(found) is not None) is is_stale


@pytest.mark.parametrize(
    ("claimed_at", "is_stale"),
    [(NOW - STALE_SECONDS - 1, True), (NOW - STALE_SECONDS, False), (NOW - 2, False), (NOW + 2, False)],
)
def test_reconciling_replaces_only_a_claim_older_than_the_job_by_more_than_a_minute(
    claimed_at: float, is_stale: bool
) -> None:
    assert (claim(job_started=NOW).update_over(item(claimedAt=claimed_at)) is not None) is is_stale


def test_our_own_claim_of_the_same_attempt_is_left_as_it_is() -> None:
    over = claim().update_over(item(MINE, attemptedAt=ATTEMPTED, claimedAt=NOW, end="{}", endRecordedAt=NOW))
    assert isinstance(over, Check)


@pytest.mark.parametrize(("recorded_at", "is_removed"), [(ATTEMPTED - 1, True), (ATTEMPTED + 1, False)])
@pytest.mark.parametrize("submission", [None, MINE, THEIRS])
def test_a_new_claim_removes_an_end_that_was_recorded_before_its_attempt(
    submission: str | None, recorded_at: float, is_removed: bool
) -> None:
    over = claim().update_over(item(submission, claimedAt=ATTEMPTED - 100, end="{}", endRecordedAt=recorded_at))
    assert isinstance(over, Update)
    assert ("end" in over.remove) is is_removed


def test_a_claim_is_replaced_only_as_it_was_read() -> None:
    over = claim().update_over(item(claimedAt=ATTEMPTED - 100))
    assert isinstance(over, Update)
    assert over.condition == (
        "#submission = :was_submission AND #claimedAt = :was_claimedAt AND attribute_not_exists(#endRecordedAt)"
    )
    assert over.where == {"was_submission": THEIRS, "was_claimedAt": ATTEMPTED - 100}
