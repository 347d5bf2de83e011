"""The dead man's switches: silence alarms when its hours are over, soon after and not before.

Times are in hours from a Sunday, 00:00 UTC.
"""

from typing import get_args

import pytest

from rds_snap_backup.observability import MetricName
from tests.unit.alarm_cases import CASES, NIGHTLY, SPARES, STACK, SUNDAY, TOPIC, Emitted, alarm, of_kind, story
from tests.unit.alarms import DAY, HOUR, Alarm

# At which minute of an hour CloudWatch evaluates an alarm that spans more than a day.
MINUTES = [0, 37, 59]


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emitted:
    return Emitted(monkeypatch, capsys)


def switch(hours: int = 26, spare: int = 2, stack: str = STACK, minute: int = 0) -> Alarm:
    return alarm("MissedBackupAlarm", spare, minute, **{"MissedBackupAlarmHours": hours, "AWS::StackName": stack})


@pytest.mark.parametrize("name", of_kind("silence"))
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("minute", MINUTES)
def test_silence_alarms_again_each_time(emitted: Emitted, name: str, spare: int, minute: int) -> None:
    nights = [NIGHTLY + 24 * night for night in (0, 1, 2, 5, 6, 9)]
    emitted.emit(*nights, name=CASES[name].metric)
    changes = alarm(name, spare, minute).changes(emitted.samples, SUNDAY + 3 * HOUR, SUNDAY + 10 * DAY)
    assert [(one.state, one.notified) for one in changes] == [
        (state, TOPIC) for state in ("OK", "ALARM", "OK", "ALARM", "OK")
    ]
    _, fired, cleared, again, _ = ((change.at - SUNDAY) / HOUR for change in changes)
    assert 26 <= fired - nights[2] <= 28 + spare
    assert 0 < cleared - nights[3] <= 2
    assert 26 <= again - nights[4] <= 28 + spare


@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("minute", MINUTES)
@pytest.mark.parametrize("hours", [1, 24, 26, 167, 168])
def test_its_delay_is_small(emitted: Emitted, hours: int, spare: int, minute: int) -> None:
    """An hour of the clock, and one for the evaluation of a long alarm; more only where AWS looks further back."""
    for last in (2.0, NIGHTLY, 2.5, 2.999):
        emitted.samples.clear()
        emitted.emit(last)
        (_, is_ok), (at, is_alarm) = story(switch(hours, spare, minute=minute), emitted.samples, 3, hours + 10)
        assert (is_ok, is_alarm) == ("OK", "ALARM")
        assert hours <= at - last <= hours + (2 if hours > 24 else 1) + spare


@pytest.mark.parametrize("spare", SPARES)
def test_a_backup_every_night_keeps_it_quiet_also_when_the_clocks_change(emitted: Emitted, spare: int) -> None:
    emitted.emit(NIGHTLY, NIGHTLY + 24, NIGHTLY + 49, NIGHTLY + 73, NIGHTLY + 96)  # one night is an hour longer
    assert story(switch(26, spare), emitted.samples, 3, 122) == [(3, "OK")]


@pytest.mark.parametrize("spare", SPARES)
def test_one_late_backup_alarms_and_clears_it(emitted: Emitted, spare: int) -> None:
    emitted.emit(NIGHTLY, NIGHTLY + 34, NIGHTLY + 48)  # the second ten hours late, at noon
    changes = switch(26, spare).changes(emitted.samples, SUNDAY + 3 * HOUR, SUNDAY + 74 * HOUR)
    notified = [((change.at - SUNDAY) / HOUR, change.state, change.notified) for change in changes]
    assert notified == [(3, "OK", TOPIC), (29 + spare, "ALARM", TOPIC), (37, "OK", TOPIC)]


@pytest.mark.parametrize("spare", SPARES)
def test_a_backup_that_is_an_hour_late_does_not_alarm(emitted: Emitted, spare: int) -> None:
    emitted.emit(NIGHTLY, NIGHTLY + 25.9, NIGHTLY + 48)
    assert story(switch(26, spare), emitted.samples, 3, 74) == [(3, "OK")]


def test_the_backups_of_another_stack_in_the_region_do_not_keep_it_quiet(emitted: Emitted) -> None:
    emitted.emit(NIGHTLY)
    emitted.emit(*(NIGHTLY + 24 * night for night in range(5)), stack="other")
    assert story(switch(spare=0), emitted.samples, 3, 100) == [(3, "OK"), (29, "ALARM")]
    assert story(switch(spare=0, stack="other"), emitted.samples, 3, 100) == [(3, "OK")]


@pytest.mark.parametrize("name", sorted(set(get_args(MetricName.__value__)) - {"BackupSubmitted"}))
def test_nothing_but_a_submitted_backup_keeps_it_quiet(emitted: Emitted, name: MetricName) -> None:
    emitted.emit(*range(60), name=name)
    assert story(switch(), emitted.samples, 0, 60) == [(0, "ALARM")]


@pytest.mark.parametrize("spare", SPARES)
def test_a_weekly_schedule_fits_into_the_longest_time(emitted: Emitted, spare: int) -> None:
    emitted.emit(*(NIGHTLY + 168 * week for week in range(4)))
    assert story(switch(168, spare), emitted.samples, 3, 3 * 168 + 160) == [(3, "OK")]


@pytest.mark.parametrize("spare", SPARES)
def test_a_weekly_backup_that_is_an_hour_late_alarms_for_an_hour_at_most(emitted: Emitted, spare: int) -> None:
    # CloudWatch evaluates seven days at most: there is no slack to give.
    emitted.emit(NIGHTLY, NIGHTLY + 169)
    changes = story(switch(168, spare), emitted.samples, 3, 300)
    assert changes == ([(3, "OK"), (171, "ALARM"), (172, "OK")] if spare == 0 else [(3, "OK")])


def test_a_week_that_is_missed_alarms_whatever_the_other_weeks(emitted: Emitted) -> None:
    emitted.emit(NIGHTLY, NIGHTLY + 2 * 168)
    assert story(switch(168, 0), emitted.samples, 3, 400) == [(3, "OK"), (171, "ALARM"), (339, "OK")]


@pytest.mark.parametrize("hours", [1, 26, 168])
def test_a_fresh_stack_alarms_until_its_first_backup(emitted: Emitted, hours: int) -> None:
    emitted.emit(30 + NIGHTLY)
    (begun, first), (cleared, then), *_ = story(switch(hours), emitted.samples, 0, 40)
    assert (first, then) == ("ALARM", "OK")
    assert begun == 0
    assert 0 < cleared - 30 - NIGHTLY <= 1
