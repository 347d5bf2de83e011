"""How a submission begins, gathers and settles, follows its document, and is opened again: rules 1 and 5, and letters."""

import json
import re
from dataclasses import fields, replace

import pytest

from rds_snap_backup.core.coordinator import Publish
from rds_snap_backup.core.opening import DatabaseStatus, reject_trigger
from rds_snap_backup.core.outcomes import Rejected, Throttled
from rds_snap_backup.core.policy import Pin
from rds_snap_backup.core.record import Change
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger
from tests.target_documents import document
from tests.unit.core.world import BEGIN, DAY, DOWN, HOUR, MINUTE, POLICY, REFUSED, WHY, Killed, World, X, Y, Z, jobs

REJECTED = Rejected(WHY)


# ---- Pinning


def test_all_that_is_pinned_comes_from_the_document() -> None:
    target = parse_target("A", "", json.dumps(document()))
    pin = Pin.of(target, POLICY)
    assert [f"Pin.{fact.name}" for fact in fields(pin) if getattr(pin, fact.name) == fact.default] == []


# ---- Gathering and settling


@pytest.mark.parametrize(
    ("statuses", "ago", "began", "moment", "is_unsettled"),
    [
        ({0: "available"}, 0, 300, 0, False),
        ({0: "storage-optimization"}, 0, 300, 0, False),
        ({0: None}, 0, 300, 0, False),
        ({0: "available"}, 100, 200, 0, False),
        ({0: "available"}, 301, 0, 0, False),
        ({0: "modifying", 100: "available"}, 0, 300, 300, False),
        # Looks at 300, 330, 390, 510, 750, 1230 s.
        ({0: "available", 200: "modifying", 1000: "available"}, 0, 1230, 1230, False),
        ({0: "modifying"}, 0, 300 + HOUR, 300 + HOUR, True),
        # Where RDS cannot be asked the event counts from ten minutes later on.
        ({0: WHY}, 0, 900, 600, False),
        ({0: WHY}, 500, 400, 100, False),
        ({0: WHY, 800: "available"}, 0, 900, 900, False),
        ({0: "available", 200: WHY}, 0, 900, 600, False),
        ({0: "modifying", 200: WHY, 800: "modifying", 1000: "available"}, 0, 1110, 1110, False),
    ],
)
def test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available(
    world: World, *, statuses: dict[float, DatabaseStatus], ago: float, began: float, moment: float, is_unsettled: bool
) -> None:
    world.policy = replace(POLICY, gather_minutes=5)
    world.at(1000)
    changes = sorted(statuses.items())
    world.database = changes[0][1]
    world.begin("A", X, kind="rds", ago=ago)
    for seconds, status in changes[1:]:
        world.go("A", 1000 + seconds)
        world.database = status
    world.always = jobs("1")
    world.go("A", 1000 + began)
    assert world["A"].attempts[0].began == BEGIN + 1000 + began
    assert (world.backup("A").moment, world["A"].is_unsettled) == (BEGIN + 1000 + moment, is_unsettled)
    assert world["A"].gathering is None


def test_a_database_that_is_not_available_is_named(world: World) -> None:
    world.database = "modifying"
    world.begin("A", X, kind="rds")
    assert (problem := world.backup("A").error)
    assert problem.code == "DATABASE_NOT_AVAILABLE"
    assert re.search("'x'.*'modifying'", problem.message)


@pytest.mark.parametrize(
    ("kind", "minutes", "began"),
    [("rds", None, 300), ("rds", 20, 1200), ("rds", 0, 0), ("schedule", 20, 0), ("manual", 20, 0)],
)
def test_a_document_sets_how_long_events_gather(world: World, kind: str, minutes: int | None, began: float) -> None:
    world.policy = replace(POLICY, gather_minutes=5)
    world.begin("A", X, kind=kind, gather_minutes=minutes).always = jobs("1")  # type: ignore[arg-type]
    world.go("A", HOUR / 2)
    assert world["A"].attempts[0].began == BEGIN + began


def test_neither_a_retry_nor_what_is_opened_again_gathers_or_settles_again(world: World) -> None:
    world.begin("A", X, kind="rds").run("A", jobs("1")).at(60).job("1", X, "Failed")
    world.database = "modifying"
    world.go("A", 960, REJECTED).redrive("A", DOWN)
    assert world.requests("A") == ["X", "X", "X"]


# ---- The document


def test_the_next_attempt_takes_the_current_document_or_what_was_pinned(world: World) -> None:
    world.begin("A", X, level="INCREMENTAL").run("A", DOWN).edit("A", X, level="FULL").go("A", 30, DOWN)
    world.documents.clear()
    world.go("A", 90, jobs("1"))
    assert [level for _, _, level in world.sent] == ["INCREMENTAL", "FULL", "FULL"]


def test_retries_are_those_of_the_document_when_the_attempt_starts(world: World) -> None:
    world.begin("A", X, retries=0).edit("A", X, retries=1).run("A", jobs("1")).edit("A", X, retries=0)
    world.at(60).job("1", X, "Failed").run("A")
    assert world.phases("A") == "Waiting"


def test_an_association_that_left_the_document_is_rejected_and_an_added_one_is_not_sent(world: World) -> None:
    world.begin("A", X, Y).run("A", DOWN).edit("A", Y, Z).go("A", 30, jobs("1"))
    assert (world.phases("A"), world.requests("A")) == ("rejected Running", ["XY", "Y"])
    assert (world.error("A"), world.notices("A")[0].letter) == ("ASSOCIATION_REMOVED", 1)


def test_a_trigger_whose_target_is_unknown_is_rejected_with_a_letter() -> None:
    submission = reject_trigger(Trigger("manual", "A"), "A", WHY, BEGIN)
    (notice,) = submission.outbox
    assert (notice.status, notice.letter, notice.backups, submission.error) == ("rejected", 1, (), WHY)
    assert not submission.is_over
    assert submission.published().is_over


# ---- Letters


def test_a_letter_opens_once_and_its_copies_continue(world: World) -> None:
    world.begin("A", X).run("A", REJECTED).redrive("A", DOWN).redrive("A")
    assert (world.phases("A"), len(world.sent), world["A"].opened_letter) == ("Waiting", 2, 1)
    world.at(30).redrive("A", REJECTED)
    assert world["A"].is_over
    assert world.run("A", letter=1).phases("A") == "rejected"


def test_a_letter_opens_all_and_the_letters_of_before_open_nothing(world: World) -> None:
    world.unknown_names = {"X"}
    world.begin("A", X, Y).go("A", HOUR, REFUSED, REJECTED)
    assert [notice.letter for notice in world.notices("A")] == [1, 2]
    world.run("A", DOWN, letter=1)
    assert (world.phases("A"), world["A"].opened_letter) == ("Waiting Waiting", 2)
    version = world["A"].version
    for letter in (2, 7):  # The last was never written.
        assert world.run("A", letter=letter)["A"].version == version


def test_what_is_opened_again_has_its_retries_and_days_again(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, "Failed", started=1).go("A", HOUR, REJECTED)
    world.at(11 * DAY).redrive("A", jobs("2"))
    assert (world.backup("A").failures, world["A"].opened, world["A"].runs) == (0, BEGIN + 11 * DAY, 1)
    world.job("2", X, "Failed").go("A", 11 * DAY + 2 * HOUR, REJECTED)
    assert world.told("A") == "submitted retrying rejected submitted retrying rejected"


def test_what_is_opened_again_may_be_cut_off_as_often_again(world: World) -> None:
    world.begin("A", X).go("A", 2 * HOUR, *[Killed] * 5)
    assert world.error("A") == "RUNS_CUT_OFF"
    world.redrive("A", Killed).go("A", 2 * HOUR + 45 * MINUTE, *[Killed] * 3)
    assert (world.phases("A"), world["A"].cut_offs) == ("Doubted", 4)


def test_a_letter_begins_pauses_and_the_time_for_trying_again(world: World) -> None:
    world.begin("A", X).always = DOWN
    world.go("A", 12 * HOUR)
    assert world.phases("A") == "abandoned"
    begun = world.at(20 * HOUR).redrive("A").time
    assert world["A"].wake_at == world.now + 30
    world.go("A", begun + 12 * HOUR - 1)
    assert world.phases("A") == "Waiting"
    world.go("A", begun + 12 * HOUR)
    assert world.phases("A") == "abandoned"


def test_what_was_abandoned_in_doubt_is_looked_for_first(world: World) -> None:
    world.begin("A", X).go("A", HOUR, *[Killed] * 5)
    world.job("1", X, started=(world["A"].attempts[-1].began - BEGIN)).redrive("A")
    assert (world.job_of("A"), len(world.sent)) == ("1", 5)
    assert world["A"].backups[0].tried.counted == 0


def test_a_letter_opens_though_another_run_saves_the_last_notice_meanwhile(world: World) -> None:
    world.begin("A", X)
    first = world.steps("A", 0, REJECTED)
    world.until(first, Publish)
    second = world.steps("A", 1, DOWN)
    request = next(second)
    world.finish(first)
    assert world["A"].is_over
    world.answers = [DOWN]
    world.finish(second)
    assert (type(request).__name__, world.phases("A"), world["A"].opened_letter) == ("ReadTarget", "Waiting", 1)


def test_a_submission_without_backups_takes_them_from_the_document(world: World) -> None:
    trigger = Trigger("manual", "A")
    rejected = reject_trigger(trigger, "A", WHY, world.now)
    world.ledger.save(Change(rejected))
    world.created["A"] = rejected.key
    world.run("A")
    assert (world.told("A"), world["A"].is_over) == ("rejected", True)
    assert world.run("A", letter=1).left == WHY
    world.edit("A", X, level="INCREMENTAL").redrive("A", jobs("1"))
    assert (world.phases("A"), world.sent, world["A"].error) == ("Running", [("A", "X", "INCREMENTAL")], None)


def test_a_letter_waits_for_nothing_that_its_submission_waits_for(world: World) -> None:
    world.unknown_names = {"Y"}
    world.begin("A", X, Y).go("A", 700, REFUSED, Throttled(WHY, 10 * HOUR))
    assert world.phases("A") == "Waiting rejected"
    world.redrive("A")
    assert world.error("A", Y) == "RATE_LIMITED"
