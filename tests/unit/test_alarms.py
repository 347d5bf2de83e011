"""What the template's own alarms would do: CloudWatch's rules over the lines that the code really emits.

No emulator treats missing data, on which the dead man's switch lives. Times are in hours from a Sunday, 00:00 UTC.
"""

import ast
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from aws_lambda_powertools.metrics import base

from local.tools import ROOT
from rds_snap_backup.follow import batches
from rds_snap_backup.observability import NAMESPACE, MetricName, count
from rds_snap_backup.submit import runs
from tests.unit.alarms import DAY, HOUR, MINUTE, Alarm, Sample, samples
from tests.unit.template import TEMPLATE, Resolved

SUNDAY = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp()
NIGHTLY = 2 + 4 / HOUR  # what a schedule of 02:00 comes to
TOPIC = ("Notifications",)
SPARES = [0, 1, 2]
ALARMS = Resolved().of_type("AWS::CloudWatch::Alarm")
SWITCH = "MissedBackupAlarm"
PARAMETERS = TEMPLATE["Parameters"]

type Emit = Callable[..., None]


class Emitted:
    """Emits metrics as the code does, at any time, and collects what CloudWatch would make of the lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.samples: list[Sample] = []

    def emit(self, *hours: float, name: MetricName = "BackupSubmitted", stack: str = "backups") -> None:
        """Emit one at each of these times."""
        for hour in hours:

            class Clock(dt.datetime):
                @classmethod
                def now(cls, tz: dt.tzinfo | None = None, hour: float = hour) -> "Clock":
                    return cls.fromtimestamp(SUNDAY + hour * HOUR, tz)

            with self._monkeypatch.context() as patch:
                patch.setattr(base, "dt", SimpleNamespace(datetime=Clock))
                count(name, stack)
        self.samples += samples(self._capsys.readouterr().out.splitlines())


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emitted:
    return Emitted(monkeypatch, capsys)


def switch(hours: int = 26, spare: int = 2, stack: str = "backups") -> Alarm:
    resolved = Resolved({"MissedBackupAlarmHours": hours, "AWS::StackName": stack})
    return Alarm(resolved.of_type("AWS::CloudWatch::Alarm")[SWITCH], spare)


def story(alarm: Alarm, data: list[Sample], begin: float, end: float) -> list[tuple[float, str]]:
    """Return the changes of state with the hours at which they come."""
    changes = alarm.changes(data, SUNDAY + begin * HOUR, SUNDAY + end * HOUR)
    return [((change.at - SUNDAY) / HOUR, change.state) for change in changes]


@pytest.mark.parametrize(
    ("shown", "to_alarm", "breaching", "not_breaching"),
    [
        ("0 - X - X", 3, "OK", "OK"),
        ("- - - - 0", 3, "OK", "OK"),
        ("- - - - -", 3, "ALARM", "OK"),
        ("0 X X - X", 3, "ALARM", "ALARM"),
        ("- - X - -", 3, "ALARM", "OK"),
        ("0 - X - X", 2, "ALARM", "ALARM"),
        ("0 0 X 0 X", 2, "ALARM", "ALARM"),
        ("0 - X - -", 2, "ALARM", "OK"),
        ("- - - - 0", 2, "ALARM", "OK"),
        ("- - - X -", 2, "ALARM", "OK"),
    ],
)
def test_the_evaluation_agrees_with_the_examples_of_the_user_guide(
    shown: str, to_alarm: int, breaching: str, not_breaching: str
) -> None:
    points = [{"0": 0.0, "X": 1.0, "-": None}[sign] for sign in shown.split()]
    shape = ALARMS["BackupRejectedAlarm"] | {"EvaluationPeriods": 3, "DatapointsToAlarm": to_alarm}
    states = [Alarm(shape | {"TreatMissingData": rule}).state(points) for rule in ("breaching", "notBreaching")]
    assert states == [breaching, not_breaching]


def test_an_emitted_line_is_one_sample_of_one_metric_with_one_dimension(emitted: Emitted) -> None:
    emitted.emit(NIGHTLY)
    key = (NAMESPACE, "BackupSubmitted", frozenset({("service", "backups")}))
    assert emitted.samples == [Sample(key, SUNDAY + NIGHTLY * HOUR, 1)]


@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("hours", [1, 24, 26, 167, 168])
def test_silence_alarms_when_its_hours_are_over_and_not_before(emitted: Emitted, hours: int, spare: int) -> None:
    emitted.emit(NIGHTLY)
    alarm = switch(hours, spare)
    (_, is_ok), (at, is_alarm) = story(alarm, emitted.samples, 3, hours + 10)
    assert (is_ok, is_alarm) == ("OK", "ALARM")
    assert hours <= at - NIGHTLY <= hours + 1 + spare


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


@pytest.mark.parametrize("name", sorted(ALARMS.keys() - {SWITCH}))
def test_missing_data_does_not_trigger_any_other_alarm(name: str) -> None:
    assert story(Alarm(ALARMS[name]), [], 0, 48) == [(0, "OK")]


@pytest.mark.parametrize(
    "name", sorted(n for n, one in ALARMS.items() if one["Namespace"] == NAMESPACE and n != SWITCH)
)
@pytest.mark.parametrize("spare", SPARES)
def test_what_went_wrong_alarms_at_once_and_clears(emitted: Emitted, name: str, spare: int) -> None:
    emitted.emit(10.01, name=ALARMS[name]["MetricName"])
    emitted.emit(10.01, name=ALARMS[name]["MetricName"], stack="other")
    (quiet, alarmed, cleared) = story(Alarm(ALARMS[name], spare), emitted.samples, 9, 12)
    assert [quiet[1], alarmed[1], cleared[1]] == ["OK", "ALARM", "OK"]
    assert (alarmed[0] - 10.01) * HOUR <= MINUTE
    # It lasts for the period, and for as long as the only value there is lies in the evaluated periods.
    assert (cleared[0] - 10.01) * HOUR <= (1 + spare) * 5 * MINUTE + MINUTE


@pytest.mark.parametrize(
    "name",
    [
        "EventRefusedAlarm",
        "TokenRefusedAlarm",
        "TokenNotStoredAlarm",
        "BackupRejectedAlarm",
        "SubmissionAbandonedAlarm",
    ],
)
@pytest.mark.parametrize("spare", SPARES)
def test_each_new_failure_alarms_again_although_the_letters_of_earlier_ones_lie_there(
    emitted: Emitted, name: str, spare: int
) -> None:
    days = [10.01 + 24 * day for day in range(13)]
    emitted.emit(*days, name=ALARMS[name]["MetricName"])
    alarmed = [at for at, state in story(Alarm(ALARMS[name], spare), emitted.samples, 0, 14 * 24) if state == "ALARM"]
    assert len(alarmed) == len(days)


@pytest.mark.parametrize("name", sorted(name for name, one in ALARMS.items() if one["Namespace"] != NAMESPACE))
def test_an_alarm_on_aws_own_metrics_separates_good_from_bad(name: str) -> None:
    def after(value: float) -> list[str]:
        alarm = Alarm(ALARMS[name])
        data = [Sample(alarm.metric, SUNDAY + minute * MINUTE, value) for minute in range(2 * DAY // MINUTE)]
        return [state for _, state in story(alarm, data, 1, 47)]

    threshold = ALARMS[name]["Threshold"]
    assert after(threshold - 1) == ["OK"]
    assert after(threshold)[-1] == "ALARM"


@pytest.mark.parametrize(
    ("name", "parameter"), [("SubmissionsAgeAlarm", "RetryHours"), ("JobsAgeAlarm", "FollowHours")]
)
@pytest.mark.parametrize("hours", [1, 6, 24, 72])
def test_a_message_that_is_not_received_alarms_when_its_time_is_over(name: str, parameter: str, hours: int) -> None:
    alarm = Alarm(Resolved({parameter: hours}).of_type("AWS::CloudWatch::Alarm")[name])
    sent, until = 5.5, 10 + hours
    ages = [Sample(alarm.metric, SUNDAY + at * MINUTE, max(0.0, at * MINUTE - sent * HOUR)) for at in range(until * 60)]
    (_, (at, state)) = story(alarm, ages, 1, until)
    assert state == "ALARM"
    assert hours <= at - sent <= hours + 2


@pytest.mark.parametrize("least_or_most", ["MinValue", "MaxValue"])
def test_every_alarm_is_one_that_cloudwatch_accepts(least_or_most: str) -> None:
    names = ("RetryHours", "FollowHours", "MissedBackupAlarmHours")
    given = {name: max(1, PARAMETERS[name][least_or_most]) for name in names}
    alarms = Resolved(given).of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys() == ALARMS.keys()
    for alarm in map(Alarm, alarms.values()):
        assert alarm.periods >= 1
        assert alarm.period % MINUTE == 0
        assert alarm.period * alarm.periods <= (7 * DAY if alarm.period >= HOUR else DAY)


def test_every_metric_that_has_a_name_is_counted_somewhere() -> None:
    tables: list[Mapping[str, MetricName]] = [runs.METRICS, batches.METRICS]
    named: set[Any] = {name for table in tables for name in table.values()}
    for path in Path(ROOT / "src" / "rds_snap_backup").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name("count"), args=[ast.Constant(name), _]):
                    named.add(name)
    assert named == set(get_args(MetricName.__value__))
