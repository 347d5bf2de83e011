"""Attempts of which it is not known whether Commvault accepted them: what is adopted, what is believed, and what is not."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.core.applying import apply_jobs
from rds_snap_backup.core.backups import Attempt
from rds_snap_backup.core.coordinator import Save, Send
from rds_snap_backup.core.outcomes import AlreadyRunning, Throttled
from rds_snap_backup.core.phases import Doubted
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing, jobs_wanted
from tests.unit.core.world import BEGIN, DOWN, HOUR, LOST, POLICY, REFUSED, WHY, Killed, World, X, Y, Z, jobs

BUSY = AlreadyRunning(WHY)
OTHER = replace(X, client_name="other")


# ---- What is adopted


@pytest.mark.parametrize(
    ("row", "is_adopted"),
    [
        ({"started": 200}, True),
        ({"started": 80}, True),
        ({"started": 79}, False),
        ({"started": 800}, True),
        ({"started": 801}, False),
        ({"started": None, "status": "Queued"}, True),
        ({"started": 200, "status": "Failed"}, True),
        ({"started": 200, "level": "FULL"}, True),
        ({"started": 200, "level": "INCREMENTAL"}, False),
        ({"started": 200, "level": "SYNTHETIC_FULL"}, False),
        ({"started": 200, "level": ""}, True),
        ({"started": 200, "of": Y}, False),
        ({"started": 200, "is_backup": False}, False),
        ({"started": 200, "subclient_name": ""}, False),
        ({"started": 200, "raw_user": "product"}, True),
        ({"started": 200, "raw_user": "person"}, False),
    ],
)
def test_a_job_is_adopted_that_can_be_the_attempts(world: World, row: dict[str, Any], is_adopted: bool) -> None:
    """The CommServe's clock may be two minutes behind. The item knows who started the jobs that answers named."""
    world.begin("C", X).run("C", jobs("9")).at(60).job("9", X, "Killed", started=1, raw_user="product").run("C")
    world.at(200).begin("A", X, level="DIFFERENTIAL", retries=0).run("A", LOST)
    world.at(210).job("1", row.pop("of", X), **row).go("A", 700)
    assert (world.job_of("A") == "1") == is_adopted
    if is_adopted:
        adopted = world.notices("A")[0]
        assert (adopted.status, adopted.job_ids, adopted.is_reconciled) == ("submitted", ("1",), True)
        assert "1" in world.known()


def test_the_job_of_the_level_that_was_sent_is_adopted_first_then_the_earliest(world: World) -> None:
    world.begin("A", X, level="INCREMENTAL").run("A", LOST)
    world.job("1", X, started=1).job("3", X, started=3, level="INCREMENTAL").job("2", X, started=2, level="INCREMENTAL")
    assert world.go("A", 60).job_of("A") == "2"


def test_a_reopened_backup_leaves_a_job_without_a_start_to_the_claimer(world: World) -> None:
    world.begin("A", X).go("A", HOUR, *[Killed] * 5).at(2 * HOUR).begin("B", X).run("B", LOST)
    world.job("2", X, "Queued", started=None).redrive("A")
    assert world.job_of("A") == ""


# ---- What is believed


@pytest.mark.parametrize(("answer", "window"), [(LOST, 600), (Killed, 680)])
def test_no_job_is_believed_as_soon_as_the_window_is_over(world: World, answer: Any, window: float) -> None:
    """That of a killed run begins with the end of its lease."""
    world.begin("A", X).run("A", answer).go("A", window - 1)
    assert world.phases("A") == "Doubted"
    world.go("A", window, jobs("1"))
    assert world.requests("A") == ["X", "X"]


ATTEMPT = Attempt(1, "FULL", "IMMEDIATE", 0, BEGIN, BEGIN + 10)


@pytest.mark.parametrize(
    ("listing", "is_proof"),
    [
        (Listing((), BEGIN + 610, BEGIN, ("client", "other")), True),
        (Listing((), BEGIN + 609, BEGIN, ("client",)), False),
        (Listing((), BEGIN + 610, BEGIN + 1, ("client",)), False),
        (Listing((), BEGIN + 610, BEGIN, ("other",)), False),
        (Listing((), BEGIN + 610, BEGIN, ("client",), scan=True), False),  # type: ignore[arg-type]
    ],
)
def test_a_list_proves_absence_only_of_what_it_covers(world: World, listing: Listing, is_proof: bool) -> None:
    backup = world.begin("A", X).backup("A")
    assert listing.proves_absence(backup, ATTEMPT, POLICY) == is_proof


def test_what_is_looked_for_begins_with_the_earliest_attempt(world: World) -> None:
    """Y is in doubt for an hour when Z is sent: a list since then would show nothing of Y, and prove nothing."""
    world.begin("C", Z).run("C", jobs("9")).at(10).begin("A", X, Y, Z).run("A", jobs("1")).job("1", X)
    world.go("A", 70).unreadable = WHY
    world.job("9", Z, "Killed", started=1).job("2", Y, "Completed", started=11, ended=80).go("A", HOUR - 1)
    world.unreadable = None
    world.run("C").unreadable = WHY
    world.go("A", 2 * HOUR, LOST)
    assert world.phases("A") == "Running Doubted Doubted"
    world.unreadable = None
    phase = world.backup("A", Y).phase
    assert isinstance(phase, Doubted)
    world.go("A", phase.due - BEGIN, jobs("3"))
    assert (world.job_of("A", Y), world.requests("A")) == ("2", ["XY", "Z", "Z"])


def test_all_that_is_in_doubt_is_looked_for_together(world: World) -> None:
    world.begin("A", X, OTHER).run("A", REFUSED)
    later = replace(world.backup("A", OTHER).phase, due=world.now + HOUR)  # type: ignore[arg-type]
    submission = world["A"].with_backup(replace(world.backup("A", OTHER), phase=later))
    wanted = jobs_wanted(submission, POLICY, world.now + 700)
    assert wanted
    assert (wanted.clients, len(wanted.keys)) == (("client", "other"), 2)
    # A list that was read earlier is as good if it can be believed.
    assert (wanted.since, wanted.fresh) == (BEGIN, BEGIN + 600)
    early = jobs_wanted(submission, POLICY, world.now + 300)
    assert early
    assert early.fresh == 0


@pytest.mark.parametrize("row", [{"client_name": "", "instance_name": "", "subclient_name": ""}, {"instance_name": ""}])
@pytest.mark.parametrize(
    ("facts", "is_sent"),
    [({}, False), ({"started": 900}, True), ({"is_backup": False}, True), ({"client_name": "other"}, True)],
)
def test_no_job_is_not_believed_while_a_row_without_names_may_be_it(
    world: World, row: dict[str, Any], facts: dict[str, Any], is_sent: bool
) -> None:
    world.begin("A", X).run("A", LOST).job("1", X, **row | facts).go("A", 610, *[jobs("2")] * is_sent)
    assert world.phases("A") == ("Running" if is_sent else "Doubted")
    if not is_sent:
        world.job("1", X, started=1).go("A", HOUR)
        assert (world.job_of("A"), len(world.sent)) == ("1", 1)


@pytest.mark.parametrize("page", [0, 1])
def test_a_list_that_is_too_long_for_a_run_is_read_on_by_the_next(world: World, page: int) -> None:
    """Jobs are adopted from each part; none is believed before the end of a list that began after the window."""
    world.is_long = True
    world.begin("A", X, OTHER).run("A", LOST)
    world.go("A", 590)
    assert world["A"].scan is None or world["A"].scan.begun < BEGIN + 600
    found = (X, OTHER)[page]
    world.job("1", found, started=1).go("A", 800, jobs("2"))
    assert world.job_of("A", found) == "1"
    assert world.requests("A")[1:] == ["X"]
    assert world["A"].scan is None


def test_the_place_in_a_long_list_outlives_a_poll_and_a_failure(world: World) -> None:
    world.is_long = True
    world.begin("A", X, Z, OTHER).run("A", jobs("1")).at(60).job("1", X).run("A")
    scan = world["A"].scan
    assert world.phases("A") == "Running Doubted Doubted"
    assert scan
    wanted = jobs_wanted(world["A"], POLICY, world["A"].wake_at)
    assert wanted
    poll = JobsWanted(frozenset({X.key}), ("1",))
    for asked, read in ((poll, JobsRead(world.now)), (wanted, JobsRead(world.now, problem=WHY))):
        assert apply_jobs(world["A"], asked, read, {}, POLICY).submission.scan == scan


# ---- Groups that were refused


@pytest.mark.parametrize("reconcile", [600, 3000])
def test_an_ineligible_name_is_rejected_alone(world: World, reconcile: float) -> None:
    world.policy = replace(POLICY, retry_seconds=HOUR, reconcile_seconds=reconcile)
    world.begin("A", X, Y, Z).go("A", 3 * reconcile, REFUSED, REFUSED, jobs("1"), jobs("2"), REFUSED)
    assert (world.requests("A"), world.phases("A")) == (["XYZ", "XYZ", "X", "Y", "Z"], "Running Running rejected")


def test_a_name_that_commvault_does_not_know_is_rejected_alone_by_the_inventory(world: World) -> None:
    world.unknown_names = WHY
    world.begin("A", X, Y, Z).run("A", REFUSED).go("A", 700)
    assert (world.phases("A"), world.states("A")) == ("Unlisted Unlisted Unlisted", "requested requested requested")
    world.unknown_names = {"X"}
    world.go("A", 2 * HOUR, jobs("1", "2"))
    assert world.requests("A") == ["XYZ", "YZ"]
    (rejected, *_) = world.notices("A")
    assert (rejected.status, rejected.backups, rejected.letter) == ("rejected", (0,), 1)
    assert rejected.error
    assert rejected.error.code == "WHY"


def test_the_inventory_decides_only_about_those_that_are_due(world: World) -> None:
    world.begin("A", X, Y).run("A", REFUSED)
    world.unknown_names = WHY
    world.go("A", 610)
    later = replace(world.backup("A", Y).phase, due=world.now + HOUR)  # type: ignore[arg-type]
    held = world["A"].with_backup(replace(world.backup("A", Y), phase=later))
    world.ledger.submissions[held.key] = held
    world.unknown_names = {"X", "Y"}
    world.go("A", held.wake_at - BEGIN)
    assert world.phases("A") == "rejected Unlisted"


def test_who_waits_for_a_foreign_job_is_sent_alone(world: World) -> None:
    world.at(HOUR).job("9", X, started=0).begin("A", X, Y, Z)
    world.go("A", 2 * HOUR, BUSY, Throttled(WHY, HOUR))
    assert world.error("A") == "RATE_LIMITED"
    world.go("A", 3 * HOUR, jobs("1", "2"), jobs("3"))
    assert world.requests("A") == ["XYZ", "YZ", "YZ", "X"]


def test_who_is_still_refused_for_a_running_job_is_sent_alone(world: World) -> None:
    world.begin("A", X, Y).go("A", 1300, BUSY, BUSY, jobs("1"), BUSY)
    assert (world.requests("A"), world.phases("A")) == (["XY", "XY", "X", "Y"], "Running Waiting")


# ---- Deliveries that overlap, and runs that are killed


def test_what_was_read_for_another_version_touches_nothing_that_is_out(world: World) -> None:
    """Delivery 1 has read that there is no job; delivery 2 believes the same and sends again."""
    world.begin("A", X).run("A", LOST).at(600)
    first = world.steps("A")
    world.until(first, Save)
    second = world.steps("A", 0, jobs("77"))
    world.until(second, Send)
    assert not [*first], "It decides again, and there is nothing to do."
    assert world.phases("A") == "Out"
    world.finish(second)
    assert (world.job_of("A"), len(world.sent), world.dropped) == ("77", 2, [])


@pytest.mark.parametrize("is_looked_for", [True, False])
def test_an_outcome_of_which_the_attempt_is_not_out_is_reported_and_its_jobs_are_known(
    world: World, is_looked_for: bool
) -> None:
    """The answer comes after the lease. While the job is looked for, it may still be adopted."""
    world.begin("A", X)
    steps = world.steps("A", 0, jobs("77"))
    world.until(steps, Send).until(steps, Send).at(81).run("A")
    if not is_looked_for:
        world.at(690).run("A", DOWN)
    world.finish(steps)
    assert (world.dropped, world.known()) == ([jobs("77")], () if is_looked_for else ("77",))


def test_an_outcome_is_recorded_though_another_run_has_saved_meanwhile(world: World) -> None:
    world.begin("A", X, Y)
    steps = world.steps("A", 0, jobs("1", "2"))
    world.until(steps, Send)
    world.ledger.submissions[world["A"].key] = replace(world["A"], version=7, resent=world.now)
    world.finish(steps)
    assert (world.states("A"), world.dropped) == ("running running", [])


@pytest.mark.parametrize(("times", "is_recorded"), [(5, True), (6, False)])
def test_an_outcome_is_recorded_though_its_item_has_changed(world: World, times: int, is_recorded: bool) -> None:
    world.begin("A", X)
    steps = world.steps("A", 0, jobs("1"))
    world.until(steps, Send)
    for request in steps:
        if isinstance(request, Save) and world["A"].out and times:
            times -= 1
            item = world.ledger.items[X.key]
            world.ledger.items[X.key] = replace(item, version=item.version + 1)
    assert (world.phases("A"), len(world.dropped)) == (("Running", 0) if is_recorded else ("Out", 1))


def test_what_was_read_is_applied_though_an_item_has_changed(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, "Completed", started=1)
    for request in world.steps("A"):
        if isinstance(request, Save) and world.phases("A") == "Running" and world.ledger.items[X.key].version < 3:
            item = world.ledger.items[X.key]
            world.ledger.items[X.key] = replace(item, version=item.version + 1, user="somebody")
    assert (world.told("A"), world.ledger.items[X.key].user) == ("submitted completed", "somebody")


def test_each_step_is_recorded_before_it_can_be_seen(world: World) -> None:
    world.begin("A", X)
    steps = world.steps("A", 0, jobs("1"))
    seen = [(type(step).__name__, world.phases("A"), len(world["A"].outbox)) for step in steps]
    assert seen == [
        ("ReadStart", "Waiting", 0),
        ("Save", "Waiting", 0),
        ("Send", "Out", 0),
        ("Send", "Out", 0),
        ("Save", "Out", 0),
        ("Publish", "Running", 1),
        ("Save", "Running", 1),
    ]


# ---- SCHEDULE


@pytest.mark.parametrize("answer", [LOST, Killed])
def test_a_schedule_without_an_answer_is_never_sent_again(world: World, answer: Any) -> None:
    world.begin("A", X, task_type="SCHEDULE").run("A", answer).go("A", 2 * HOUR)
    assert (world.phases("A"), world.error("A")) == ("abandoned", "SCHEDULE_UNKNOWN")
    world.redrive("A").go("A", 3 * HOUR).redrive("A").go("A", 4 * HOUR)
    assert (world.told("A"), world.error("A")) == ("abandoned " * 2 + "abandoned", "SCHEDULE_UNKNOWN")
    assert len(world.sent) == 1


def test_a_doubt_names_the_problem_that_was_met_last(world: World) -> None:
    world.begin("A", X).run("A", LOST).unreadable = replace(WHY, code="LIST")
    world.go("A", 300)
    assert world.error("A") == "LIST"
