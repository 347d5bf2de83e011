"""An outage of Commvault on the timeline: the alarm that it raises, and how its submissions end without a person."""

from collections.abc import Callable, Sequence
from itertools import groupby

import pytest

from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import associations
from tests.metrics import counted
from tests.unit.test_alarms import ALARMS

ALARM = ALARMS["CommvaultUnreachableAlarm"]
SETTINGS = {"RETRY_HOURS": "12"}
NIGHTLY, RUNNING = ("orders-db", "billing-db"), "users-db"
OUTAGE = 8

type Timelines = Callable[..., Timeline]


def state(counts: Sequence[float | None]) -> str:
    """Return the alarm's state after periods with these counts, oldest first; a missing one does not breach."""
    last = counts[-int(ALARM["EvaluationPeriods"]) :]
    breaching = sum(count is not None and count >= ALARM["Threshold"] for count in last)
    return "ALARM" if breaching >= ALARM["DatapointsToAlarm"] else "OK"


def by_database(timeline: Timeline) -> dict[str, list[str]]:
    """Return the statuses that were published of each group, in their order."""
    found: dict[str, list[str]] = {}
    for message in timeline.notifications():
        for association in message["associations"]:
            found.setdefault(association["subclientName"], []).append(message["status"])
    return found


def states(timeline: Timeline, capsys: pytest.CaptureFixture[str], hours: float) -> list[str]:
    """Let time pass; return the alarm's state after each of its periods."""
    counts: list[float | None] = []
    found = []
    for _ in range(int(hours * HOUR / ALARM["Period"])):
        capsys.readouterr()
        timeline.run(ALARM["Period"])
        counts.append(counted(capsys.readouterr().out).get("CommvaultUnreachable"))
        found.append(state(counts))
    return found


@pytest.mark.parametrize("minutes", [0, 7, 14])
def test_an_outage_alarms_once_within_the_hour_and_its_backups_complete_without_a_person(
    timelines: Timelines, capsys: pytest.CaptureFixture[str], minutes: int
) -> None:
    """A job runs when Commvault goes; a schedule comes due meanwhile, at some time of the alarm's first period."""
    timeline = timelines(**SETTINGS)
    timeline.target("nightly", associations=associations(*NIGHTLY))
    timeline.target("running", associations=associations(RUNNING))
    timeline.deliver(timeline.schedule("first", "running"))
    timeline.run(MINUTE)
    timeline.commserve.stop()
    timeline.run(minutes * MINUTE)
    timeline.deliver(timeline.schedule("second", "nightly"))
    seen = states(timeline, capsys, OUTAGE)
    timeline.commserve.start()
    seen += states(timeline, capsys, OUTAGE)
    assert seen.index("ALARM") * ALARM["Period"] < HOUR
    assert [state for state, _ in groupby(seen)] == ["OK", "ALARM", "OK"]
    assert by_database(timeline) == {group: ["submitted", "completed"] for group in (*NIGHTLY, RUNNING)}
    assert timeline.sent() == [[RUNNING], list(NIGHTLY)]
    assert not timeline.queue
    assert not timeline.dead_letters()


def test_a_failure_of_some_minutes_raises_no_alarm(timelines: Timelines, capsys: pytest.CaptureFixture[str]) -> None:
    timeline = timelines(**SETTINGS)
    timeline.commserve.stop()
    timeline.run(MINUTE)
    timeline.deliver(timeline.schedule("nightly"))
    seen = states(timeline, capsys, 1 / 3)
    timeline.commserve.start()
    assert set(seen + states(timeline, capsys, 2)) == {"OK"}
