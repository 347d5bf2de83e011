"""Jobs that an answer named or that were found: whose they are, how they are followed, and what follows from their ends."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from rds_snap_backup.core.applying import JOB_ID_REUSED, JOB_MISSING
from rds_snap_backup.core.reading import jobs_wanted
from tests.unit.core.world import BEGIN, DOWN, HOUR, LOST, MINUTE, POLICY, REFUSED, WHY, World, X, Y, Z, jobs

NAMELESS = {"client_name": "", "instance_name": "", "subclient_name": ""}


# ---- Whose a job is


def test_rows_tell_in_any_order_whose_a_job_is(world: World) -> None:
    """A repeated ID counts once, a surplus one does not matter."""
    world.begin("A", X, Y, Z).run("A", jobs("1", "2", "2", "3", "9"))
    assert (world.states("A"), world.phases("A")) == ("running running running", "Named Named Named")
    world.at(60).job("3", X).job("1", Y).job("9", replace(X, client_name="other")).run("A")
    assert [world.job_of("A", one) for one in (X, Y, Z)] == ["3", "1", ""]
    world.job("2", Z).go("A", 200)
    assert (world.job_of("A", Z), len(world.sent)) == ("2", 1)


def test_a_surplus_job_of_a_group_becomes_known_to_it(world: World) -> None:
    world.begin("A", X).run("A", jobs("1", "2")).at(60).job("1", X).job("2", X).run("A")
    assert (world.job_of("A"), world.known()) == ("1", ("1", "2"))


def test_who_has_none_of_too_few_ids_is_looked_for_and_followed(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("2", "1"))
    assert world.states("A") == "requested requested requested"
    world.go("A", 130).job("1", X).job("2", Y).job("3", Z, started=2).go("A", 500)
    assert [world.job_of("A", one) for one in (X, Y, Z)] == ["1", "2", "3"]
    assert [(one.is_reconciled, one.job_ids) for one in world.notices("A")] == [(False, ("2", "1")), (True, ("3",))]
    assert len(world.sent) == 1


def test_a_row_without_names_tells_nothing_while_it_may_be_of_several(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(60).job("1", X, **NAMELESS).job("2", X).run("A")
    assert (world.job_of("A", X), world.job_of("A", Y)) == ("2", "")
    world.go("A", 600)
    assert world.job_of("A", Y) == "1"


def test_rows_that_never_get_names_end_as_missing(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).job("1", X, **NAMELESS).job("2", X, **NAMELESS).go("A", HOUR)
    assert (world.phases("A"), world.error("A")) == ("lost lost", JOB_MISSING.code)


@pytest.mark.parametrize("ids", [("1", "2"), ("1",)])
def test_jobs_that_no_row_ever_shows_are_lost_and_known(world: World, ids: tuple[str, ...]) -> None:
    """With too few IDs the unnamed one is lost too: a limit. Nobody else adopts these jobs when their rows come."""
    world.begin("A", X, Y).run("A", jobs(*ids)).go("A", 2 * HOUR)
    assert (world.phases("A"), world.told("A")) == ("lost lost", "submitted lost")
    assert (world.notices("A")[1].job_ids, world.known(X), world.known(Y)) == (ids, ids, ids)
    world.begin("B", X).run("B", LOST).job("1", X).go("B", world.time + 599)
    assert (world.phases("B"), len(world.sent)) == ("Doubted", 2)


@pytest.mark.parametrize("row", [{"of": Y}, {"of": X, "status": "Completed", "started": 1, "ended": 800}])
@pytest.mark.parametrize(("group", "ids"), [((X,), ("1",)), ((X, Z), ("1", "2"))])
def test_an_id_that_was_counted_again_is_another_job(
    world: World, row: dict[str, Any], group: Any, ids: tuple[str, ...]
) -> None:
    world.at(1000).begin("A", *group).run("A", jobs(*ids)).at(1060)
    for job_id in ids:
        world.job(job_id, **row)
    world.run("A")
    assert (set(world.phases("A").split()), world.error("A")) == ({"lost"}, JOB_ID_REUSED.code)


def test_a_row_that_becomes_anothers_is_another_job(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X).run("A").job("1", Y, "Completed").go("A", 300)
    assert world.error("A") == JOB_ID_REUSED.code


def test_a_start_that_moves_or_is_unknown_proves_nothing(world: World) -> None:
    world.at(1000).begin("A", X).run("A", jobs("1")).at(1600).job("1", X, started=1500).run("A")
    for started in (None, 2500, 1500):
        world.job("1", X, started=started).go("A", world.time + 900)
        assert (job := world.backup("A").job)
        assert (job.began - BEGIN, job.seen - BEGIN) == (1480 if started == 2500 else 1380, 1600)
    world.job("1", X, "Completed", started=500, ended=5000).go("A", 6000)
    assert world.phases("A") == "completed"


# ---- A job that is not shown


@pytest.mark.parametrize(("reconcile", "seconds"), [(600, 600), (3000, 3000), (5, 600)])
def test_a_job_is_lost_when_complete_reads_do_not_show_it_for_long(
    world: World, reconcile: float, seconds: float
) -> None:
    world.policy = replace(POLICY, reconcile_seconds=reconcile)
    world.begin("A", X).begin("B", Y, Z).run("A", jobs("1")).run("B", jobs("2", "3")).go("A B", seconds + 60)
    assert (world.phases("A"), world.phases("B")) == ("Running", "Named Named")
    world.go("A B", seconds + 60 + seconds / 4 + MINUTE)
    assert (world.phases("A"), world.phases("B")) == ("lost", "lost lost")
    assert (world.told("A"), world.told("B"), len(world.sent)) == ("submitted lost", "submitted lost", 2)


def test_a_job_that_there_was_no_time_to_ask_for_is_not_missing(world: World) -> None:
    world.begin("A", X).begin("B", Y, Z).run("A", jobs("1")).run("B", jobs("2", "3")).at(60).job("2", Y)
    world.unasked = {"1", "3"}
    world.go("A B", 30 * HOUR)
    assert (world.phases("A"), world.phases("B")) == ("Running", "lost Named")
    assert world.error("B", Y) == "JOB_STILL_RUNNING"


def test_a_row_that_comes_and_goes_is_no_missing_job(world: World) -> None:
    """After a first absence it is read again within minutes; two absences an hour apart are not ten minutes of them."""
    world.begin("A", X).run("A", jobs("1")).job("1", X).go("A", 5 * HOUR)
    for hour in (6, 7):
        row = world.rows.pop("1")
        world.at(hour * HOUR).run("A")
        assert world["A"].wake_at - world.now <= 150
        world.rows["1"] = row
        world.at(hour * HOUR + 150).run("A")
    del world.rows["1"]
    for hour, phase in ((8, "Running"), (9, "Running"), (10, "lost")):
        assert world.at(hour * HOUR).run("A").phases("A") == phase


def test_missing_named_jobs_begin_anew_when_one_is_found(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).go("A", 600).job("1", X).go("A", 1200)
    assert world.phases("A") == "Running Named"
    world.go("A", 1500)
    assert world.phases("A") == "Running lost"


# ---- A job that runs


def test_running_backups_of_a_submission_are_polled_together(world: World) -> None:
    world.begin("A", X, Y).begin("B", X).run("A", jobs("1", "2")).at(60).job("1", X).job("2", Y).run("A")
    later = replace(world.backup("A", Y).phase, due=world.now + HOUR)  # type: ignore[arg-type]
    submission = world["A"].with_backup(replace(world.backup("A", Y), phase=later))
    wanted = jobs_wanted(submission, POLICY, world["A"].wake_at)
    assert wanted
    assert (wanted.job_ids, wanted.keys) == (("1", "2"), frozenset({X.key, Y.key}))
    assert jobs_wanted(submission, POLICY, world["A"].wake_at - 1) is None


def test_a_job_is_read_before_it_is_called_lost(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("1", "2", "3")).job("1", X).job("2", Y).job("3", Z).at(60).run("A")
    world.at(30 * HOUR).job("1", X, "Completed", started=1).unasked = {"2"}
    assert world.run("A").phases("A") == "completed Running lost"


def test_a_job_is_followed_for_the_configured_time_since_its_answer(world: World) -> None:
    """The time does not begin again when a row tells whose it is, but does with the job of a retry."""
    world.begin("A", X, Y).run("A", jobs("1", "2"))
    world.unasked = {"1", "2"}
    world.go("A", 3 * HOUR).job("1", X).job("2", Y)
    world.unasked = set()
    world.go("A", 23 * HOUR).job("2", Y, "Failed").go("A", 24 * HOUR - 1, jobs("3"))
    assert world.phases("A") == "Running Running"
    world.job("3", Y).go("A", 25 * HOUR + 1)
    assert (world.phases("A"), world.error("A")) == ("lost Running", "JOB_STILL_RUNNING")
    world.go("A", 46 * HOUR)
    assert world.phases("A") == "lost Running"
    world.go("A", 49 * HOUR)
    assert world.phases("A") == "lost lost"


def test_a_job_that_is_found_late_is_followed_since_then(world: World) -> None:
    world.begin("A", X).run("A", LOST)
    world.unreadable = WHY
    world.go("A", 3 * HOUR).job("1", X, started=1)
    world.unreadable = None
    world.go("A", 26 * HOUR)
    assert world.phases("A") == "Running"
    world.go("A", 29 * HOUR)
    assert world.phases("A") == "lost"


def test_pauses_between_polls_double_up_to_15_minutes_and_an_hour_from_the_second_day(world: World) -> None:
    world.policy = replace(POLICY, follow_seconds=48 * HOUR)
    world.begin("A", X).run("A", jobs("1")).job("1", X)
    times = [0.0]
    while (wake := world["A"].wake_at) < world["A"].created + 30 * HOUR:
        times.append(wake - world["A"].created)
        world.go("A", times[-1])
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[:7] == [60, 120, 240, 480, 900, 900, 900]
    assert set(pauses[-5:]) == {HOUR}


# ---- What follows from an end


@pytest.mark.parametrize(
    ("status", "phase", "code"),
    [
        ("Completed", "completed", ""),
        ("Completed w/ one or more errors", "completed_with_errors", "JOB_COMPLETED_WITH_ERRORS"),
        ("Killed", "killed", "JOB_KILLED"),
        ("Failed", "Waiting", "JOB_FAILED"),
        ("Strange", "Running", ""),
    ],
)
def test_only_a_failed_job_is_started_again(world: World, status: str, phase: str, code: str) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, status, started=1, raw_reason="why").run("A")
    assert (world.phases("A"), world.error("A")) == (phase, code)
    if phase in {"Waiting", "Running"}:
        world.go("A", 959).go("A", 960, *[jobs("2")] * (phase == "Waiting"))
    else:
        (_, end) = world.notices("A")
        assert (end.status, end.job_ids, end.reason) == (phase, ("1",), "why")
        assert (end.started, end.ended) == (world["A"].created + 1, world["A"].created + 60)


@pytest.mark.parametrize(("retries", "times"), [(0, 0), (2, 2), (None, POLICY.retry_failed_jobs)])
def test_a_failed_job_is_started_again_as_often_as_was_pinned(world: World, retries: int | None, times: int) -> None:
    world.begin("A", X, retries=retries)
    for number in range(times + 1):
        world.go("A", number * 1000, jobs(str(number))).job(str(number), X, "Failed")
    world.go("A", 5000)
    assert world.told("A") == "submitted retrying " * times + "submitted failed"


def test_an_edited_document_does_not_change_the_retries_of_a_job_that_runs(world: World) -> None:
    world.begin("B", Y).run("B", jobs("9")).job("9", Y)
    world.at(1).begin("A", X, Y, retries=1).run("A", jobs("1")).job("1", X)
    # Y, which waits for the job of B, takes the document as it is now.
    world.edit("A", X, Y, retries=0).go("A", 100)
    world.job("1", X, "Failed").go("A", 900)
    assert world.told("A") == "submitted retrying"


@pytest.mark.parametrize(
    ("pinned", "edited", "ran", "retried"),
    [
        ("FULL", "INCREMENTAL", "FULL", "FULL"),
        ("INCREMENTAL", "FULL", "INCREMENTAL", "FULL"),
        ("INCREMENTAL", "INCREMENTAL", "FULL", "FULL"),
        ("DIFFERENTIAL", "DIFFERENTIAL", "INCREMENTAL", "DIFFERENTIAL"),
    ],
)
def test_a_retry_is_never_of_a_lesser_level(world: World, pinned: str, edited: str, ran: str, retried: str) -> None:
    world.begin("A", X, level=pinned).run("A", jobs("1")).edit("A", X, level=edited)
    world.at(60).job("1", X, "Failed", level=ran).go("A", 1000, jobs("2"))
    assert world.sent[-1] == ("A", "X", retried)


def test_backups_of_another_level_wait_for_an_attempt_of_their_own(world: World) -> None:
    world.begin("A", X, Y, level="INCREMENTAL").run("A", jobs("1", "2")).at(60)
    world.job("1", X, "Failed", level="FULL").job("2", Y, "Failed", level="INCREMENTAL").go("A", 960, DOWN, DOWN)
    assert world.sent[1:] == [("A", "X", "FULL"), ("A", "Y", "INCREMENTAL")]


def test_a_retry_begins_without_the_refusals_of_its_group(world: World) -> None:
    world.begin("A", X, Y).go("A", 1400, REFUSED, REFUSED, jobs("1"), jobs("2"))
    assert world.requests("A") == ["XY", "XY", "X", "Y"]
    world.job("1", X, "Failed").job("2", Y, "Failed").go("A", 3000, jobs("3", "4"))
    assert world.requests("A")[4:] == ["XY"]


@pytest.mark.parametrize(("reasons", "told"), [("rrr", [("1", "2"), ("3",)]), ("rsr", [("1",), ("2",), ("3",)])])
def test_what_is_retried_is_told_for_each_attempt_and_reason(
    world: World, reasons: str, told: list[tuple[str, ...]]
) -> None:
    world.begin("C", Z).run("C", jobs("9")).at(10).begin("A", X, Y, Z).run("A", jobs("2", "1"))
    world.job("9", Z, "Killed").job("1", X).job("2", Y).at(70).run("C").go("A", 80, jobs("3"))
    for job_id, one, reason in zip("123", (X, Y, Z), reasons, strict=True):
        world.job(job_id, one, "Failed", raw_reason=reason)
    world.go("A", 300)
    retried = [notice for notice in world.notices("A") if notice.status == "retrying"]
    assert [notice.job_ids for notice in retried] == told
    assert [notice.attempt for notice in retried] == [1] * (len(told) - 1) + [2]
    assert {notice.error.message for notice in retried if notice.error} == set(reasons)
    assert {notice.retry_at for notice in retried} == {world["A"].backups[0].tried.at}


def test_lost_jobs_of_different_attempts_are_told_apart(world: World) -> None:
    world.begin("C", Z).run("C", jobs("9")).at(10).begin("A", X, Y, Z).run("A", jobs("1", "2"))
    world.job("9", Z, "Killed").at(70).run("C").go("A", 80, jobs("3")).go("A", 2 * HOUR)
    lost = [notice for notice in world.notices("A") if notice.status == "lost"]
    assert [(notice.attempt, notice.job_ids) for notice in lost] == [(1, ("1", "2")), (2, ("3",))]
