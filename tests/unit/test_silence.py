"""The dead man's switch: silence alarms soon after its hours are over, and not before.

Times are in hours from a Sunday, 00:00 UTC.
"""

from typing import get_args

import pytest

from rds_snap_backup.observability import MetricName
from tests.unit.alarm_cases import SPARES, SUNDAY, TOPIC, Emitted, alarm, story
from tests.unit.alarms import HOUR, Alarm
from tests.unit.template import Resolved

MINUTES = [0, 37, 59]
"""At which minute of an hour CloudWatch evaluates an alarm that spans more than a day."""
DAILY = 6 + 4 / HOUR
"""When the audit of 06:00 completes."""


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emitted:
    return Emitted(monkeypatch, capsys)


def switch(spare: int = 2, minute: int = 0, stack: str = "backups") -> Alarm:
    return alarm("MissedAuditAlarm", spare, minute, **{"AWS::StackName": stack})


@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("minute", MINUTES)
def test_silence_alarms_after_26_hours_and_again_each_time(emitted: Emitted, spare: int, minute: int) -> None:
    days = [DAILY + 24 * day for day in (0, 1, 2, 5, 6, 9)]
    emitted.emit(*days)
    changes = switch(spare, minute).changes(emitted.samples, SUNDAY + 7 * HOUR, SUNDAY + 240 * HOUR)
    assert [(change.state, change.notified) for change in changes] == [
        (state, TOPIC) for state in ("OK", "ALARM", "OK", "ALARM", "OK")
    ]
    _, fired, cleared, again, _ = ((change.at - SUNDAY) / HOUR for change in changes)
    # An hour of the clock, and one for the evaluation of a long alarm; more only where AWS looks further back.
    assert 26 <= fired - days[2] <= 28 + spare
    assert 0 < cleared - days[3] <= 2
    assert 26 <= again - days[4] <= 28 + spare


@pytest.mark.parametrize("spare", SPARES)
def test_a_daily_audit_keeps_it_quiet_also_when_the_clocks_change(emitted: Emitted, spare: int) -> None:
    emitted.emit(DAILY, DAILY + 24, DAILY + 49, DAILY + 73, DAILY + 96)  # one night is an hour longer
    assert story(switch(spare), emitted.samples, 7, 122) == [(7, "OK")]


@pytest.mark.parametrize("spare", SPARES)
def test_an_audit_that_is_an_hour_late_does_not_alarm(emitted: Emitted, spare: int) -> None:
    emitted.emit(DAILY, DAILY + 25.9, DAILY + 48)
    assert story(switch(spare), emitted.samples, 7, 74) == [(7, "OK")]


def test_another_stack_in_the_region_does_not_keep_it_quiet(emitted: Emitted) -> None:
    emitted.emit(DAILY)
    emitted.emit(*(DAILY + 24 * day for day in range(5)), stack="other")
    assert story(switch(0), emitted.samples, 7, 100) == [(7, "OK"), (33, "ALARM")]
    assert story(switch(0, stack="other"), emitted.samples, 7, 100) == [(7, "OK")]


@pytest.mark.parametrize("name", sorted(set(get_args(MetricName.__value__)) - {"AuditCompleted"}))
def test_nothing_but_a_completed_audit_keeps_it_quiet(emitted: Emitted, name: MetricName) -> None:
    emitted.emit(*range(60), name=name)
    assert story(switch(), emitted.samples, 0, 60) == [(0, "ALARM")]


def test_a_fresh_stack_alarms_until_its_first_audit(emitted: Emitted) -> None:
    emitted.emit(30 + DAILY)
    (begun, first), (cleared, then), *_ = story(switch(), emitted.samples, 0, 40)
    assert (begun, first, then) == (0, "ALARM", "OK")
    assert 0 < cleared - 30 - DAILY <= 1


def test_without_scheduled_audits_there_is_no_switch() -> None:
    alarms = Resolved({"AuditScheduleExpression": "off"}).of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys().isdisjoint({"MissedAuditAlarm", "AuditFindingAlarm"})
