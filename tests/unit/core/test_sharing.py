"""Who has a subclient, who waits for it, and who joins whose job: rules 3 and 4."""

from dataclasses import replace

import pytest

from rds_snap_backup.core.coordinator import Save
from rds_snap_backup.core.outcomes import AlreadyRunning, Rejected
from rds_snap_backup.core.phases import Doubted, Named, Out, Phase, Unlisted, Waiting
from rds_snap_backup.core.record import Unreadable
from rds_snap_backup.core.starting import StartInputs, start
from rds_snap_backup.core.subclients import CompletedJob, Subclient
from tests.unit.core.world import BEGIN, DOWN, HOUR, LOST, MINUTE, POLICY, WHY, Killed, World, X, Y, Z, jobs

BUSY = AlreadyRunning(WHY)


# ---- Who has it


def test_a_busy_subclient_waits_and_the_others_of_its_group_go_at_once(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(10).begin("B", X, Y, Z).run("B", jobs("2", "3"))
    assert (world.requests("B"), world.phases("B")) == (["YZ"], "Waiting Named Named")
    assert world.error("B", X) == "SUBCLIENT_BUSY"


def test_who_waits_for_a_deferred_claimer_joins_its_job(world: World) -> None:
    world.begin("A", X).run("A", DOWN).at(10).begin("B", X).run("B").go("A B", 70, jobs("1"))
    assert (world.phases("B"), world.job_of("B"), world.error("B")) == ("joined", "1", "")
    (joined,) = world.notices("B")
    assert (joined.status, joined.job_ids) == ("joined", ("1",))


@pytest.mark.parametrize(
    "phase", [Waiting(BEGIN, "throttled"), Out(1), Named(1, BEGIN), Doubted(1, "refused", BEGIN), Unlisted(1, BEGIN)]
)
def test_a_backup_that_has_or_may_get_a_job_keeps_its_subclient(world: World, phase: Phase) -> None:
    world.begin("A", X).run("A", DOWN).at(10).begin("B", X)
    claimer = world["A"].with_backup(replace(world.backup("A"), phase=phase))
    inputs = replace(world.start_inputs(world["B"], (X.key,)), claimers={claimer.key: claimer})
    assert start(world["B"], inputs, POLICY, world.now).submission.out is None


def test_a_claim_depends_on_the_item_that_was_read(world: World) -> None:
    """Its claimer was silent for so long that it is passed over, and goes on at this moment."""
    world.begin("A", X).run("A", DOWN).at(31 + 6 * HOUR).begin("B", X)
    steps = world.steps("B")
    world.until(steps, Save).run("A", DOWN)
    world.finish(steps)
    assert (world.requests("B"), world.error("B")) == ([], "SUBCLIENT_BUSY")


@pytest.mark.parametrize(
    ("answer", "silent", "is_passed_over"),
    [
        (jobs("1"), 70 * MINUTE, False),
        (DOWN, 70 * MINUTE, False),
        (Killed, 70 * MINUTE, False),
        (jobs("1"), 6 * HOUR + 61, True),
        (DOWN, 6 * HOUR + 30, False),
        (DOWN, 6 * HOUR + 31, True),
        (Killed, 6 * HOUR + 80, False),
        (Killed, 6 * HOUR + 81, True),
    ],
)
def test_a_claimer_is_passed_over_after_six_hours_of_silence(
    world: World, answer: object, silent: float, is_passed_over: bool
) -> None:
    world.begin("A", X).run("A", answer).at(silent).begin("B", X)  # type: ignore[arg-type]
    world.run("B", *[jobs("2")] * is_passed_over)
    assert world.phases("B") == ("Running" if is_passed_over else "Waiting")


def test_of_two_that_wait_the_older_goes_first(world: World) -> None:
    """A foreign job hangs; the younger one was faster to claim."""
    world.begin("old", X).at(100).begin("young", X).run("young", BUSY).run("old", BUSY)
    world.go("young", HOUR).go("old young", 2 * HOUR, *[BUSY] * 5, jobs("1"))
    assert (len(world.requests("young")), world.job_of("old"), world.job_of("young")) == (1, "1", "1")


def test_a_claimer_that_ended_in_doubt_keeps_the_subclient_for_its_window(world: World) -> None:
    world.begin("A", X).go("A", 2 * HOUR, *[Killed] * 5)
    ended = world["A"].attempts[-1].ended - BEGIN
    assert (world.phases("A"), world.error("A")) == ("abandoned", "RUNS_CUT_OFF")
    world.now = BEGIN + ended + 719
    world.begin("B", X).run("B")
    assert world.phases("B") == "Waiting"
    world.at(ended + 720).run("B").go("B", ended + 800, jobs("2")).job("2", X, started=ended + 749)
    world.redrive("A")
    assert (world.told("A"), world.job_of("A")) == ("abandoned joined", "2")


def test_a_record_of_another_form_keeps_its_subclients(world: World) -> None:
    world.begin("B", X)
    claimed = {X.key: Subclient(X.key, 1, "other")}
    change = start(world["B"], StartInputs(claimed, {"other": Unreadable("other", "why")}), POLICY, world.now)
    assert (change.submission.out, change.subclients) == (None, ())
    assert start(world["B"], StartInputs(claimed, {}), POLICY, world.now).submission.out


# ---- Who joins


@pytest.mark.parametrize(
    ("began", "status", "level", "retries", "phase"),
    [
        (1000, "Running", "FULL", 1, "joined"),
        (1000, "Running", "FULL", 0, "Waiting"),
        (1000, "Running", "INCREMENTAL", 1, "Waiting"),
        (1000, "Completed", "FULL", 0, "joined"),
        (1000, "Completed w/ one or more errors", "FULL", 0, "joined"),
        (1000, "Completed", "INCREMENTAL", 0, "Running"),
        (1000, "Completed", "SYNTHETIC_FULL", 0, "Running"),
        (1000, "Killed", "FULL", 0, "Running"),
        (1000, "Failed", "FULL", 0, "Running"),
        (1000, "Failed", "FULL", 1, "Waiting"),
        (999, "Running", "FULL", 1, "Waiting"),
        (999, "Completed", "FULL", 1, "Running"),
    ],
)
@pytest.mark.parametrize("kind", ["manual", "schedule", "rds"])
def test_a_trigger_is_satisfied_by_a_job_that_began_after_it(
    world: World, *, kind: str, began: float, status: str, level: str, retries: int, phase: str
) -> None:
    world.begin("A", X, level=level, retries=retries).at(began)
    if began < 1000:
        world.run("A", jobs("1"))
    world.at(1000).begin("B", X, kind=kind)  # type: ignore[arg-type]
    if began == 1000:
        world.run("A", jobs("1"))
    world.at(1100).job("1", X, status, started=began, level=level).run("A")
    world.run("B", *[jobs("2")] * (phase == "Running"))
    assert world.phases("B") == phase
    if phase == "joined":
        assert world["B"].backups[0].phase.by == world["A"].key  # type: ignore[union-attr]


def test_the_last_completed_job_satisfies_though_its_claimer_is_not_the_last(world: World) -> None:
    world.begin("B", X).at(10).begin("A", X).run("A", jobs("1")).at(100).job("1", X, "Completed", started=10).run("A")
    world.begin("C", X, level="INCREMENTAL").run("C", Rejected(WHY)).run("B")
    assert (world.phases("B"), world.job_of("B")) == ("joined", "1")


def test_the_last_completed_job_never_goes_backwards() -> None:
    later, earlier = (CompletedJob(job_id, int(job_id), "FULL", "A") for job_id in "21")
    for order in ((later, earlier), (earlier, later)):
        item = Subclient("x")
        for job in order:
            item = item.with_completed(job)
        assert item.completed == later


def test_a_retry_is_not_satisfied_by_a_job_that_began_before_the_one_that_failed(world: World) -> None:
    """Another stack's job; the failed one was queued behind it."""
    world.begin("A", X).run("A", jobs("1")).job("1", X, "Queued", started=None)
    item = world.ledger.items[X.key]
    world.ledger.items[X.key] = item.with_completed(CompletedJob("0", BEGIN + 299, "FULL", "C"))
    world.at(400).job("1", X, "Failed", started=300).go("A", 2000, jobs("3"))
    assert world.job_of("A") == "3"


def test_a_job_does_not_begin_after_it_was_first_seen_by_a_clock_that_is_ahead(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, started=360).run("A")
    world.at(70).begin("B", X).run("B")
    assert world.phases("B") == "Waiting"
    world.go("A B", 400)
    assert world.phases("B") == "Waiting"


# ---- What an item knows


def test_a_job_that_another_submission_got_is_not_adopted(world: World) -> None:
    group = (X, Y, Z)
    world.begin("A", *group).run("A", jobs("3", "1", "2")).at(60)
    for status in ("Running", "Completed"):
        for number, one in enumerate(group, 1):
            world.job(str(number), one, status, started=100)
        world.go("A", world.time + 60)
    world.begin("B", X).run("B", LOST).go("B", world.time + 599)
    assert (world.phases("A"), world.phases("B")) == ("completed completed completed", "Doubted")


def test_of_several_rows_that_match_all_become_known(world: World) -> None:
    """A foreign job started in the window of A, then A's own one: B takes neither."""
    world.begin("A", X).run("A", LOST).job("1", X, "Completed", started=1).job("2", X, started=2).go("A", 60)
    world.begin("B", X).run("B", LOST).go("B", 600)
    assert (world.job_of("A"), world.job_of("B")) == ("1", "")


def test_an_adopted_job_stays_known_however_many_rows_match(world: World) -> None:
    world.begin("A", X).run("A", LOST)
    for number in range(1, 8):
        world.job(str(number), X, started=number)
    world.go("A", 60)
    assert world.job_of("A") == "1"
    assert "1" in world.known()
    assert len(world.known()) == 7


def test_an_item_knows_the_last_five_ids() -> None:
    item = Subclient("x")
    for number in range(8):
        item = item.knowing(str(number))
    assert item.known_ids == ("3", "4", "5", "6", "7")
    assert item.knowing("5") == item
