"""Deadlines, pauses and receives: rule 7, and what a submission costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rds_snap_backup.core.backups import MAX_OPEN_SECONDS, Tried
from rds_snap_backup.core.outcomes import AlreadyRunning, Failed, Rejected, Throttled, Unauthorized
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Phase, Unlisted, Waiting, WaitReason
from tests.unit.core.world import (
    BEGIN,
    DAY,
    DOWN,
    HOUR,
    LOST,
    MINUTE,
    POLICY,
    REFUSED,
    WHY,
    Answer,
    Killed,
    World,
    X,
    Y,
    Z,
    jobs,
)

if TYPE_CHECKING:
    from rds_snap_backup.core.record import Submission

BUSY = AlreadyRunning(WHY)


def waiting(reason: WaitReason) -> Waiting:
    return Waiting(BEGIN + HOUR, reason)


# ---- How a time counts


@pytest.mark.parametrize(
    ("phase", "counts"),
    [
        *((waiting(reason), False) for reason in ("gathering", "settling", "busy", "throttled")),
        *((phase, False) for phase in (Named(1, BEGIN), Doubted(1, "refused", BEGIN), Unlisted(1, BEGIN))),
        *((phase, True) for phase in (waiting("trying"), Out(1))),
    ],
)
def test_a_phase_counts_as_trying_or_not(phase: Phase, counts: bool) -> None:
    tried = Tried(BEGIN).until(BEGIN + HOUR, phase)
    assert tried == (Tried(BEGIN + HOUR, HOUR, 0) if counts else Tried(BEGIN + HOUR, 0, HOUR))
    assert tried.over_at(phase, POLICY) - BEGIN == (12 * HOUR if counts else 84 * HOUR)


@pytest.mark.parametrize(
    ("counted", "uncounted", "left"),
    [(0, 0, 84), (2, 0, 82), (0, 70, 14), (0, 73, 11), (5, 73, 6), (13, 80, 0), (13, 0, 72)],
)
def test_time_that_does_not_count_is_72_hours_in_all(counted: float, uncounted: float, left: float) -> None:
    tried = Tried(BEGIN, counted * HOUR, uncounted * HOUR)
    assert tried.over_at(waiting("busy"), POLICY) == BEGIN + left * HOUR
    week = replace(POLICY, follow_seconds=168 * HOUR)
    assert tried.over_at(waiting("busy"), week) == BEGIN + (max(12 - counted, 0) + 168 - uncounted) * HOUR


def test_a_failure_begins_the_time_again_but_not_what_did_not_count() -> None:
    later = BEGIN + HOUR
    assert Tried(BEGIN, 5, 6).again(later, POLICY) == Tried(later, 0, 6)
    assert Tried(BEGIN, 5, 80 * HOUR).again(later, POLICY) == Tried(later, 0, 72 * HOUR)


# ---- Every outcome ends


def unreadable(world: World) -> None:
    world.unreadable = WHY


def uncertain(world: World) -> None:
    world.unknown_names = WHY


def taken(world: World) -> None:
    """Another submission's job runs, and cannot be read."""
    world.unasked = {"9"}
    world.begin("C", X).run("C", jobs("9")).at(1)


def nothing(world: World) -> None:
    """Commvault's lists and inventory can be read."""


@pytest.mark.parametrize(
    ("setting", "group", "always", "hours", "ends", "code"),
    [
        (nothing, (X,), DOWN, 12, "abandoned", "WHY"),
        (nothing, (X,), Failed(WHY), 12, "abandoned", "WHY"),
        (nothing, (X,), Unauthorized(WHY), 12, "abandoned", "WHY"),
        (nothing, (X,), LOST, 84, "abandoned", "WHY"),
        (nothing, (X,), BUSY, 84, "abandoned", "WHY"),
        (nothing, (X,), Throttled(WHY, 10 * HOUR), 84, "abandoned", "WHY"),
        (nothing, (X, Y), BUSY, 84, "abandoned abandoned", "WHY"),
        (unreadable, (X,), LOST, 84, "abandoned", "WHY"),
        (unreadable, (X, Y), REFUSED, 84, "abandoned abandoned", "WHY"),
        (uncertain, (X, Y), REFUSED, 84, "abandoned abandoned", "WHY"),
        (unreadable, (X, Y), jobs("1", "2"), 84, "lost lost", "JOBS_UNREADABLE"),
        (taken, (X,), DOWN, 84, "abandoned", "SUBCLIENT_BUSY"),
    ],
)
def test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to(
    world: World,
    *,
    setting: Callable[[World], None],
    group: tuple[object, ...],
    always: Answer,
    hours: float,
    ends: str,
    code: str,
) -> None:
    setting(world)
    world.begin("A", *group).always = always  # type: ignore[arg-type]
    begun, everybody = world.time, " ".join(world.created)
    world.go(everybody, begun + hours * HOUR - 1)
    assert {"abandoned", "lost"}.isdisjoint(world.phases("A").split())
    world.go(everybody, begun + hours * HOUR)
    assert (world.phases("A"), world.error("A")) == (ends, code)
    assert [notice.letter for notice in world.notices("A") if notice.status == "abandoned"] == [1] * ("aband" in ends)
    doubted = world.backup("A").phase.doubted  # type: ignore[union-attr]
    assert bool(doubted) == (always == LOST or (setting is unreadable and "lost" not in ends))


def test_the_time_of_a_retry_begins_when_it_is_due(world: World) -> None:
    world.policy = replace(POLICY, retry_seconds=HOUR, first_retry_seconds=120)
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, "Failed").run("A")
    world.always = DOWN
    world.go("A", 60 + 2 * HOUR - 1)
    assert world.phases("A") == "Waiting"
    world.go("A", 60 + 2 * HOUR)
    assert world.phases("A") == "abandoned"
    assert world.sent[1:]


def test_five_leases_in_a_row_that_expired_end_what_has_no_job(world: World) -> None:
    world.begin("C", X).run("C", jobs("1")).at(10).begin("A", X, Y).run("A", jobs("2")).job("2", Y)
    world.at(60).job("1", X, "Killed").run("C")
    world.go("A", 3 * HOUR, *[Killed] * 4, DOWN, *[Killed] * 5)
    assert (world.phases("A"), world.error("A")) == ("abandoned Running", "RUNS_CUT_OFF")


def test_the_time_after_a_cut_off_is_time_in_doubt(world: World) -> None:
    world.begin("A", X).run("A", Killed).at(5 * HOUR).run("A", DOWN)
    tried = world.backup("A").tried
    assert (tried.counted, tried.uncounted) == (80, 5 * HOUR - 80)


@pytest.mark.parametrize(
    ("setting", "group", "answers", "ends", "code"),
    [
        (nothing, (X,), (jobs("1"),), "lost", "JOB_NOT_FOLLOWED"),
        (nothing, (X, Y), (jobs("1", "2"),), "lost lost", "JOB_NOT_FOLLOWED"),
        (nothing, (X,), (Throttled(WHY, 300 * HOUR),), "abandoned", "OPEN_TOO_LONG"),
        (unreadable, (X,), (LOST,), "abandoned", "OPEN_TOO_LONG"),
    ],
)
def test_nine_days_after_its_opening_a_submission_has_ended(
    world: World,
    *,
    setting: Callable[[World], None],
    group: tuple[object, ...],
    answers: tuple[Answer, ...],
    ends: str,
    code: str,
) -> None:
    world.policy = replace(POLICY, retry_seconds=72 * HOUR, follow_seconds=168 * HOUR)
    setting(world)
    world.unasked = {"1", "2"}
    world.begin("A", *group).go("A", 9 * DAY - 1, *answers)  # type: ignore[arg-type]
    assert {"abandoned", "lost"}.isdisjoint(world.phases("A").split())
    world.go("A", 9 * DAY)
    assert (world.phases("A"), world.error("A")) == (ends, code)


def test_what_is_out_after_nine_days_is_given_up_with_its_lease(world: World) -> None:
    world.policy = replace(POLICY, retry_seconds=72 * HOUR, follow_seconds=168 * HOUR)
    world.begin("A", X).run("A", Throttled(WHY, 9 * DAY - 10)).at(9 * DAY - 10).run("A", Killed).at(9 * DAY + 1).run(
        "A"
    )
    assert world.phases("A") == "Out"
    world.go("A", 9 * DAY + HOUR)
    assert isinstance(phase := world.backup("A").phase, Ended)
    assert (phase.end, phase.doubted and phase.doubted.doubt) == ("abandoned", "unanswered")


# ---- Pauses


def test_pauses_double_across_attempts_and_only_a_job_begins_them_again(world: World) -> None:
    world.begin("A", X).go("A", 100, DOWN, DOWN, LOST)
    assert world["A"].attempts[-1].began == BEGIN + 90
    world.go("A", 90 + 600, DOWN)
    assert world["A"].wake_at >= world.now + 480
    world.go("A", HOUR, jobs("1"))
    assert world.backup("A").pauses < 6
    assert world["A"].pause(30, 99, BEGIN) == 15 * MINUTE


def test_the_longest_pause_is_an_hour_from_a_day_after_creation(world: World) -> None:
    world.begin("A", X).go("A", 23 * HOUR, Rejected(WHY)).redrive("A", DOWN)
    submission = world["A"]
    assert [submission.pause(30, 20, BEGIN + DAY + seconds) for seconds in (-1, 0)] == [15 * MINUTE, HOUR]
    assert submission.pause(0.1, 0, BEGIN) == 1


def test_a_rate_limit_holds_all_submissions_until_it_ends(world: World) -> None:
    world.begin("A", X).run("A", Throttled(WHY, 500)).at(10).begin("B", Y, Z).run("B")
    assert (world.phases("B"), world.error("B", Y), world["B"].wake_at) == (
        "Waiting Waiting",
        "RATE_LIMITED",
        BEGIN + 500,
    )
    world.go("B", 500, jobs("1", "2"))
    assert world.backup("B", Y).tried.counted == 0


# ---- What a submission costs


def test_a_run_does_all_that_is_due_however_many_went_before(world: World) -> None:
    """A poll of X must not put off the retry of Y."""
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(60).job("1", X).job("2", Y, "Failed").run("A")
    many = replace(world["A"], runs=150, wake_at=BEGIN + 960)
    running = replace(world.backup("A").phase, due=BEGIN + 960)  # type: ignore[arg-type]
    world.ledger.submissions[many.key] = many.with_backup(replace(many.backups[0], phase=running))
    world.at(960).run("A", jobs("3"))
    assert world.requests("A") == ["XY", "Y"]
    assert world["A"].wake_at == world.now + 15 * MINUTE


def receives(world: World) -> int:
    """Return how often the message of a submission is received of which something is always due."""
    submission, now, number = world.begin("A", X)["A"], BEGIN, 0
    while now < BEGIN + MAX_OPEN_SECONDS:
        submission = replace(submission, runs=submission.runs + 1, ran=now).woken(POLICY)
        now, number = max(submission.wake_at, now), number + 1
    return number


def test_a_message_is_received_less_than_half_as_often_as_the_queue_allows(world: World) -> None:
    """It allows 1,000."""
    assert 300 < receives(world) < 500


def test_each_run_that_does_something_is_counted_once(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).job("1", X).at(30).run("A").at(60).run("A")
    assert (world["A"].runs, world["A"].ran) == (2, BEGIN + 60)


@pytest.mark.parametrize(
    ("answer", "due"), [(jobs("1"), 60), (DOWN, 30), (Killed, 80), (Throttled(WHY, 7 * HOUR), 7 * HOUR)]
)
def test_a_submission_is_stuck_an_hour_after_something_was_due(world: World, answer: Answer, due: float) -> None:
    submission = world.begin("A", X).run("A", answer)["A"]
    assert [submission.is_stuck(BEGIN + due + HOUR + late) for late in (0, 1)] == [False, True]
    assert replace(submission, wake_at=0).is_stuck(BEGIN + 80 + HOUR) == (answer is not Killed)
    assert not World().begin("A", X).run("A", Rejected(WHY))["A"].is_stuck(BEGIN + DAY), "It is over."


def test_what_is_unpublished_is_due_since_the_first_of_it(world: World) -> None:
    submission: Submission = world.begin("A", X)["A"]
    submission = submission.with_notice("submitted", submission.backups, BEGIN + 5)
    assert submission.with_notice("lost", submission.backups, BEGIN + 9).woken(POLICY).wake_at == BEGIN + 5


def test_attempts_that_nothing_is_about_any_more_are_forgotten_except_the_newest(world: World) -> None:
    world.begin("A", X).go("A", 90, DOWN, DOWN, DOWN)
    assert [attempt.number for attempt in world["A"].attempts] == [3]


def test_time_of_gathering_does_not_count(world: World) -> None:
    world.policy = replace(POLICY, gather_minutes=60)
    world.begin("A", X, kind="rds").go("A", HOUR, DOWN)
    assert world.backup("A").tried == Tried(BEGIN + HOUR, 0, HOUR)
