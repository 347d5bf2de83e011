"""The template's alarms, simulated: CloudWatch's rules over the metrics that the code emits and AWS reports.

No emulator treats missing data or evaluates expressions. Every alarm has a case: it fires for its cause and again for the
next one, and is quiet otherwise. The dead man's switch is in `test_silence.py`.
"""

from typing import get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName
from tests.unit.alarm_cases import (
    ALARMS,
    CASES,
    EVENTS,
    SPARES,
    STACK,
    SUNDAY,
    TOPIC,
    WAITING,
    Emitted,
    alarm,
    depth,
    fired,
    story,
)
from tests.unit.alarms import DAY, HOUR, MINUTE, Alarm, Sample, differences, total
from tests.unit.template import TEMPLATE, Resolved

LEVELS = {"letters", "waiting", "silence"}
LETTERS, MORE = "DeadLetterAlarm", "NewDeadLetterAlarm"


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emitted:
    return Emitted(monkeypatch, capsys)


# ---- CloudWatch's rules


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
    shape = ALARMS["EventRefusedAlarm"] | {"EvaluationPeriods": 3, "DatapointsToAlarm": to_alarm}
    states = [Alarm(shape | {"TreatMissingData": rule}).state(points) for rule in ("breaching", "notBreaching")]
    assert states == [breaching, not_breaching]


def test_a_window_by_the_clock_has_whole_hours(emitted: Emitted) -> None:
    """The user guide's example: at 14:07 and 14:08 the hour 13:00 to 14:00 is evaluated."""
    emitted.emit(13.5)
    tested = Alarm(ALARMS["MissedAuditAlarm"] | {"EvaluationPeriods": 1}, 0)
    assert story(tested, emitted.samples, 13, 16) == [(13, "ALARM"), (14, "OK"), (15, "ALARM")]


def test_expressions_skip_missing_data() -> None:
    assert differences([None, 1, 1, 3, None, 2]) == [None, None, 0, 2, None, -1]
    assert total([[None, 1, 1], [None, None, 2]]) == [None, 1, 3]


# ---- Every alarm


def test_every_alarm_has_a_case_and_there_are_few() -> None:
    resources = TEMPLATE["Resources"].items()
    assert sorted(CASES) == sorted(name for name, resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm")
    assert len(CASES) <= 20


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_watches_the_metrics_of_its_case(name: str) -> None:
    assert sorted(alarm(name).metrics) == sorted(CASES[name].metrics)


def test_an_alarm_watches_a_metric_that_the_code_emits(emitted: Emitted) -> None:
    for name in get_args(MetricName.__value__):
        emitted.emit(1, name=name)
    own = {metric for case in CASES.values() for metric in case.metrics if metric[0] == NAMESPACE}
    assert own <= {sample.metric for sample in emitted.samples}
    assert emitted.samples[0] == Sample(emitted.samples[0].metric, SUNDAY + HOUR, 1)
    assert all(dimensions == {("service", STACK)} for _, _, dimensions in own)


@pytest.mark.parametrize("name", get_args(MetricName.__value__))
def test_every_metric_is_counted_somewhere(name: str) -> None:
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.name != "observability.py"]
    assert any(f'"{name}"' in path.read_text() for path in sources)


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_notifies_its_topic_and_only_levels_give_the_all_clear(name: str) -> None:
    given = "arn:aws:sns:eu-west-1:111122223333:on-call"
    own = Resolved({"AlarmTopicArn": given, "EventsOutBusName": "central"}).of_type("AWS::CloudWatch::Alarm")
    for properties, topic in ((ALARMS[name], "AlarmTopic"), (own[name], given)):
        assert properties["AlarmActions"] == [topic]
        assert properties.get("OKActions") == ([topic] if CASES[name].kind in LEVELS else None)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kind != "silence"])
@pytest.mark.parametrize("spare", SPARES)
def test_missing_data_and_other_stacks_do_not_trigger_it(name: str, spare: int) -> None:
    theirs = [sample for hour in range(1, 48) for sample in CASES[name].foreign(hour)]
    assert story(alarm(name, spare), theirs, 0, 48) == [(0, "OK")]


@pytest.mark.parametrize("name", CASES)
def test_cloudwatch_accepts_its_length(name: str) -> None:
    tested = alarm(name)
    assert tested.period * tested.periods <= (7 * DAY if tested.period >= HOUR else DAY)
    assert len(ALARMS[name].get("Metrics", [])) <= 10


def test_the_rule_is_watched_by_its_name_and_bus() -> None:
    bus = Resolved({"EventBusName": "central"}).of_type("AWS::CloudWatch::Alarm")["DeliveryAlarm"]
    named = frozenset({("EventBusName", "central"), ("RuleName", "rds-events")})
    assert ("AWS/Events", "InvocationsFailedToBeSentToDlq", named) in Alarm(bus).metrics
    without = Resolved({"RdsEventIds": "off"}).of_type("AWS::CloudWatch::Alarm")["DeliveryAlarm"]
    assert len(Alarm(without).metrics) == len(CASES["DeliveryAlarm"].metrics) - 1


# ---- Events: a sum


@pytest.mark.parametrize(("name", "metric"), EVENTS)
@pytest.mark.parametrize("spare", SPARES)
def test_an_event_alarms_at_once_and_the_next_one_again(name: str, metric: int, spare: int) -> None:
    case, hours = CASES[name], [10.01, 10.31, 11.31, 35.31]
    quiet = [case.sample(minute / 60, 0, (metric + 1) % len(case.metrics)) for minute in range(40 * 60)]
    data = [case.sample(hour, 1, metric) for hour in hours]
    for others in ([], quiet if len(case.metrics) > 1 else []):
        changes = alarm(name, spare).changes([*data, *others], SUNDAY + 9 * HOUR, SUNDAY + 40 * HOUR)
        assert [change.notified for change in changes] == [(), *(TOPIC, ()) * len(hours)]
        alarmed = [(change.at - SUNDAY) / HOUR for change in changes if change.state == "ALARM"]
        assert all(0 < at - hour <= MINUTE / HOUR for at, hour in zip(alarmed, hours, strict=True))


@pytest.mark.parametrize("name", sorted({name for name, _ in EVENTS}))
def test_zeros_and_other_metrics_are_quiet(emitted: Emitted, name: str) -> None:
    case = CASES[name]
    zeros = [case.sample(minute / 60, 0, metric) for minute in range(600) for metric, _ in enumerate(case.metrics)]
    for other in set(get_args(MetricName.__value__)) - {metric[1] for metric in case.metrics}:
        emitted.emit(5, name=other)
    assert story(alarm(name), [*zeros, *emitted.samples], 1, 9) == [(1, "OK")]


# ---- Dead letters: a level for the first, a rise for each further one


@pytest.mark.parametrize("spare", SPARES)
def test_the_first_letter_alarms_and_the_empty_queue_is_the_all_clear(spare: int) -> None:
    # SQS reports nothing of an unused queue.
    data = depth(CASES[LETTERS], 10, (10, 1), (12, 0), (14, 2), (16, 0), until=18)
    changes = alarm(LETTERS, spare).changes(data, SUNDAY + 9 * HOUR, SUNDAY + 18 * HOUR)
    told = [(round((change.at - SUNDAY) / HOUR), change.state) for change in changes]
    assert told == [(9, "OK"), (10, "ALARM"), (12, "OK"), (14, "ALARM"), (16, "OK")]
    assert all(change.notified == TOPIC for change in changes)


@pytest.mark.parametrize("spare", SPARES)
def test_each_further_letter_alarms_again(spare: int) -> None:
    hours = [11.02, 12.5, 36.7, 36.99]
    levels = [(hour, number) for number, hour in enumerate([10, *hours], 1)]
    alarmed = fired(alarm(MORE, spare), depth(CASES[MORE], 10, *levels, until=38), 9, 38)
    assert all(0 < at - hour <= 2 * MINUTE / HOUR for at, hour in zip(alarmed, hours, strict=True))


@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([(10, 3)], id="those of before"),
        pytest.param([(10, 3), (11, 2), (12, 0)], id="fewer"),
        pytest.param([(10, 3), (11, 0), (11 + 3 / 60, 3)], id="read and left"),
        pytest.param([], id="none"),
    ],
)
def test_without_a_further_letter_it_is_quiet(spare: int, levels: list[tuple[float, int]]) -> None:
    assert fired(alarm(MORE, spare), depth(CASES[MORE], 10, *levels, until=14), 9, 14) == []


@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("begin", [0, 10], ids=["used", "unused"])
def test_one_of_the_two_reports_every_letter(spare: int, begin: float) -> None:
    hours = [10.0, 11.02, 30.5]
    data = depth(CASES[LETTERS], begin, *((hour, at) for at, hour in enumerate(hours, 1)), until=32)
    alarmed = [at for name in (LETTERS, MORE) for at in fired(alarm(name, spare), data, 9, 32)]
    assert all(any(0 <= at - hour <= 2 * MINUTE / HOUR for at in alarmed) for hour in hours)


# ---- Waiting: visible for an hour


@pytest.mark.parametrize(("name", "metric"), WAITING)
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("begin", [0, 10.5], ids=["polled before", "not used before"])
def test_a_message_that_nobody_reads_alarms_after_an_hour(name: str, metric: int, spare: int, begin: float) -> None:
    data = depth(CASES[name], begin, (10.5, 1), (15, 0), (20, 3), until=24, metric=metric)
    changes = alarm(name, spare).changes(data, SUNDAY + 9 * HOUR, SUNDAY + 24 * HOUR)
    assert [(change.state, change.notified) for change in changes] == [
        (state, TOPIC) for state in ("OK", "ALARM", "OK", "ALARM")
    ]
    _, alarmed, cleared, again = ((change.at - SUNDAY) / HOUR for change in changes)
    assert 55 * MINUTE <= (alarmed - 10.5) * HOUR <= 61 * MINUTE
    assert 0 <= (cleared - 15) * HOUR <= 6 * MINUTE
    assert 55 * MINUTE <= (again - 20) * HOUR <= 61 * MINUTE


@pytest.mark.parametrize(("name", "metric"), WAITING)
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([(10, 1), (10.9, 0)], id="less than an hour"),
        pytest.param([(10 + at / 30, at % 2) for at in range(1, 241)], id="each is read"),
        pytest.param([], id="none is visible"),
    ],
)
def test_a_queue_that_is_read_is_quiet(name: str, metric: int, spare: int, levels: list[tuple[float, int]]) -> None:
    assert fired(alarm(name, spare), depth(CASES[name], 0, *levels, until=24, metric=metric), 1, 24) == []
