"""An outage of Commvault: the alarm that it raises, and how its submissions end without a person."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest

from rds_snap_backup.messaging.notifications import iso
from tests.property.world import World, association
from tests.unit.test_alarms import ALARMS

ALARM = ALARMS["CommvaultUnreachableAlarm"]
MINUTE, HOUR, OUTAGE = 60, 3600, 8
NIGHTLY, RUNNING = ("orders", "b"), "a"
DOWN = ["refused"] * 1000


@pytest.fixture
def world() -> Iterator[World]:
    with World(retry_hours=12).at_work() as world:
        world.put("nightly", {"associations": [association(group) for group in NIGHTLY]})
        world.put("running", {"associations": [association(RUNNING)]})
        yield world


def schedule(world: World, target: str) -> None:
    world.call({"target": target, "schedule": "arn:aws:scheduler:nightly", "time": iso(world.kernel.now)})


def state(counts: Sequence[float | None]) -> str:
    """Return the alarm's state after periods with these counts, oldest first; a missing one does not breach."""
    last = counts[-int(ALARM["EvaluationPeriods"]) :]
    breaching = sum(count is not None and count >= ALARM["Threshold"] for count in last)
    return "ALARM" if breaching >= ALARM["DatapointsToAlarm"] else "OK"


def states(world: World, hours: float) -> list[str]:
    """Let time pass; return the alarm's state after each of its periods."""
    counts: list[float | None] = []
    for _ in range(int(hours * HOUR / ALARM["Period"])):
        world.kernel.counted.clear()
        world.deliver_until(world.kernel.now + ALARM["Period"])
        counts.append(world.kernel.counted.get("CommvaultUnreachable"))
    return [state(counts[: number + 1]) for number in range(len(counts))]


@pytest.mark.parametrize("minutes", [0, 7, 14])
def test_an_outage_alarms_once_within_the_hour_and_its_backups_complete_without_a_person(
    world: World, minutes: int
) -> None:
    """A job runs when Commvault goes; a schedule comes due meanwhile, at some time of the alarm's first period."""
    schedule(world, "running")
    world.deliver_until(world.kernel.now + MINUTE)
    world.kernel.faults["connect"] = [*DOWN]
    world.deliver_until(world.kernel.now + minutes * MINUTE)
    schedule(world, "nightly")
    seen = states(world, OUTAGE)
    world.kernel.faults.clear()
    seen += states(world, OUTAGE)
    assert seen.index("ALARM") * ALARM["Period"] < HOUR
    assert [state for state, _ in groupby(seen)] == ["OK", "ALARM", "OK"]
    assert world.sent() == [RUNNING, " ".join(NIGHTLY)]
    told = [
        (entry["subclientName"], message["status"])
        for message in world.sns.messages
        for entry in message["associations"]
    ]
    assert sorted(told) == sorted((group, end) for group in (*NIGHTLY, RUNNING) for end in ("submitted", "completed"))
    assert (world.waiting, world.letters) == ([], [])


def test_a_failure_of_some_minutes_raises_no_alarm(world: World) -> None:
    world.kernel.faults["connect"] = [*DOWN]
    schedule(world, "nightly")
    seen = states(world, 1 / 3)
    world.kernel.faults.clear()
    assert {*seen, *states(world, 2)} == {"OK"}
