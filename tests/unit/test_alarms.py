"""What the template's own alarms would do: CloudWatch's rules over what the code really emits and what AWS reports.

No emulator treats missing data or evaluates expressions. For every alarm there is a case: it fires for its cause and again
for the next, and is quiet otherwise. The dead man's switches are in `test_silence.py`.
"""

import ast
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.follow import batches
from rds_snap_backup.observability import NAMESPACE, MetricName
from rds_snap_backup.submit import runs
from tests.unit.alarm_cases import (
    ALARMS,
    CASES,
    NIGHTLY,
    SPARES,
    STACK,
    SUNDAY,
    TOPIC,
    Emitted,
    alarm,
    alarms,
    depth,
    of_kind,
    story,
)
from tests.unit.alarms import DAY, HOUR, MINUTE, Alarm, Sample, differences
from tests.unit.template import TEMPLATE, Resolved

PARAMETERS = TEMPLATE["Parameters"]
# When a queue of dead letters holds some: from 10:00 to 12:00, and from 14:00 to 16:00.
LETTERS = [(10, "ALARM"), (12, "OK"), (14, "ALARM"), (16, "OK")]


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
    shape = ALARMS["BackupRejectedAlarm"] | {"EvaluationPeriods": 3, "DatapointsToAlarm": to_alarm}
    states = [Alarm(shape | {"TreatMissingData": rule}).state(points) for rule in ("breaching", "notBreaching")]
    assert states == [breaching, not_breaching]


def test_a_window_by_the_clock_is_of_hours_that_are_over(emitted: Emitted) -> None:
    """The user guide's example: at 14:07 and 14:08 the hour 13:00 to 14:00 is evaluated."""
    shape = ALARMS["MissedBackupAlarm"] | {"EvaluationPeriods": 1}
    emitted.emit(13.5)
    assert story(Alarm(shape, 0), emitted.samples, 13, 16) == [(13, "ALARM"), (14, "OK"), (15, "ALARM")]


def test_a_difference_is_to_the_value_before() -> None:
    assert differences([None, 1, 1, 3, None, 2]) == [None, None, 0, 2, None, -1]


def test_an_emitted_line_is_one_sample_of_one_metric_with_one_dimension(emitted: Emitted) -> None:
    emitted.emit(NIGHTLY)
    key = (NAMESPACE, "BackupSubmitted", frozenset({("service", STACK)}))
    assert emitted.samples == [Sample(key, SUNDAY + NIGHTLY * HOUR, 1)]


# ---- Every alarm


def test_every_alarm_has_a_case() -> None:
    assert sorted(CASES) == sorted(
        n for n, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"
    )
    assert sorted(CASES) == sorted(ALARMS), "with the parameters' defaults"


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alarm_is_on_the_metric_of_its_case(name: str) -> None:
    assert alarm(name).metric == CASES[name].sample(0).metric


@pytest.mark.parametrize("name", sorted(CASES))
def test_levels_give_the_all_clear_and_what_has_happened_does_not(name: str) -> None:
    is_level = CASES[name].kind in {"holds letters", "waits", "silence"}
    assert ALARMS[name]["AlarmActions"] == [*TOPIC]
    assert ALARMS[name].get("OKActions") == ([*TOPIC] if is_level else None)


@pytest.mark.parametrize("name", sorted(CASES))
def test_alarms_go_to_a_topic_of_their_own_where_one_is_given(name: str) -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:on-call"
    given = Resolved({"AlarmTopicArn": topic}).of_type("AWS::CloudWatch::Alarm")[name]
    assert {*given["AlarmActions"], *given.get("OKActions", [])} == {topic}


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alarm_says_what_has_happened_and_what_to_do(name: str) -> None:
    text = ALARMS[name]["AlarmDescription"]
    assert 80 <= len(text) <= 1024
    does = r"\b(?:check|correct|create|find|fix|look|raise|read|run|start|store|then)\b"
    assert re.search(does, text, re.IGNORECASE), text


@pytest.mark.parametrize("name", [name for name in sorted(CASES) if name not in of_kind("silence")])
@pytest.mark.parametrize("spare", SPARES)
def test_missing_data_does_not_trigger_an_alarm(name: str, spare: int) -> None:
    assert story(alarm(name, spare), [], 0, 48) == [(0, "OK")]


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("spare", SPARES)
def test_what_happens_to_another_stacks_resource_does_not_trigger_it(name: str, spare: int) -> None:
    case, hours = CASES[name], range(1, 120)
    theirs = [case.sample(hour, hour, of="another") for hour in hours]
    assert alarms(alarm(name, spare), theirs, 60, 119) == ([] if case.kind != "silence" else [60])


# ---- What has happened: a sum


def happenings(emitted: Emitted, name: str, *hours: float) -> list[Sample]:
    """Return what AWS reports of something that happens at these hours; our own metrics as the code emits them."""
    case = CASES[name]
    if case.namespace == NAMESPACE:
        emitted.emit(*hours, name=case.metric)
        return emitted.samples
    return [case.sample(hour) for hour in hours]


@pytest.mark.parametrize("name", of_kind("happened"))
@pytest.mark.parametrize("spare", SPARES)
def test_what_has_happened_alarms_at_once_and_without_an_all_clear(emitted: Emitted, name: str, spare: int) -> None:
    data = happenings(emitted, name, 10.01)
    changes = alarm(name, spare).changes(data, SUNDAY + 9 * HOUR, SUNDAY + 12 * HOUR)
    assert [(one.state, one.notified) for one in changes] == [("OK", ()), ("ALARM", TOPIC), ("OK", ())]
    _, alarmed, cleared = (change.at - SUNDAY - 10.01 * HOUR for change in changes)
    assert alarmed <= MINUTE
    # It lasts for the period, and for as long as the only value there is lies in the evaluated periods.
    assert cleared <= (1 + spare) * 5 * MINUTE + MINUTE


@pytest.mark.parametrize("name", of_kind("happened"))
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("pause", [0.3, 1, 24])
def test_the_next_one_alarms_again(emitted: Emitted, name: str, spare: int, pause: float) -> None:
    hours = [10.01 + number * pause for number in range(13)]
    data = happenings(emitted, name, *hours)
    fired = alarms(alarm(name, spare), data, 0, hours[-1] + 1)
    assert len(fired) == len(hours)
    assert all(0 < at - hour <= MINUTE / HOUR for at, hour in zip(fired, hours, strict=True))


@pytest.mark.parametrize("name", of_kind("happened"))
@pytest.mark.parametrize("spare", SPARES)
def test_where_nothing_has_happened_it_is_quiet(emitted: Emitted, name: str, spare: int) -> None:
    case = CASES[name]
    zeros = [case.sample(minute / 60, 0) for minute in range(600)]
    others = sorted({one.metric for one in CASES.values() if one.namespace == NAMESPACE} - {case.metric})
    for other in others:
        emitted.emit(5, name=other)
    assert story(alarm(name, spare), [*zeros, *emitted.samples], 1, 9) == [(1, "OK")]


# ---- Dead letters: a level for the first, a rise for each more


@pytest.mark.parametrize("name", of_kind("holds letters"))
@pytest.mark.parametrize("spare", SPARES)
def test_the_first_letter_alarms_and_the_empty_queue_is_the_all_clear(name: str, spare: int) -> None:
    # Nobody has used the queue before: SQS reports nothing of it.
    data = depth(CASES[name], 10, (10, 1), (12, 0), (14, 2), (16, 0), until=18)
    changes = alarm(name, spare).changes(data, SUNDAY + 9 * HOUR, SUNDAY + 18 * HOUR)
    notified = [(round((one.at - SUNDAY) / HOUR), one.state, one.notified) for one in changes]
    assert notified == [(9, "OK", TOPIC), *((at, state, TOPIC) for at, state in LETTERS)]
    assert all(0 <= (one.at - SUNDAY) % (2 * HOUR) <= (1 + spare) * 5 * MINUTE + MINUTE for one in changes[1:])


@pytest.mark.parametrize("name", of_kind("holds letters"))
@pytest.mark.parametrize("spare", SPARES)
def test_an_empty_queue_of_dead_letters_is_quiet(name: str, spare: int) -> None:
    assert story(alarm(name, spare), depth(CASES[name], 0, until=20), 1, 20) == [(1, "OK")]


@pytest.mark.parametrize("name", of_kind("more letters"))
@pytest.mark.parametrize("spare", SPARES)
def test_each_further_letter_alarms_again(name: str, spare: int) -> None:
    hours = [11.02, 12.5, 36.7, 36.99]
    levels = [(hour, number) for number, hour in enumerate([10, *hours], 1)]
    fired = alarms(alarm(name, spare), depth(CASES[name], 10, *levels, until=38), 9, 38)
    assert len(fired) == len(hours)
    assert all(0 < at - hour <= 2 * MINUTE / HOUR for at, hour in zip(fired, hours, strict=True))


@pytest.mark.parametrize("name", of_kind("more letters"))
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([(10, 3)], id="those that were there"),
        pytest.param([(10, 3), (11, 2), (12, 0)], id="fewer"),
        pytest.param([(10, 3), (11, 0), (11 + 3 / 60, 3)], id="read and left there"),
        pytest.param([], id="none"),
    ],
)
def test_without_a_further_letter_it_is_quiet(name: str, spare: int, levels: list[tuple[float, int]]) -> None:
    assert alarms(alarm(name, spare), depth(CASES[name], 10, *levels, until=14), 9, 14) == []


@pytest.mark.parametrize("queue", ["DeadLetter", "JobsDeadLetter"])
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("begin", [0, 10], ids=["used", "unused"])
def test_no_letter_is_missed_by_both(queue: str, spare: int, begin: float) -> None:
    hours = [10.0, 11.02, 30.5]
    data = depth(CASES[f"{queue}Alarm"], begin, *((hour, at) for at, hour in enumerate(hours, 1)), until=32)
    both = [alarm(f"{queue}Alarm", spare), alarm(f"New{queue}Alarm", spare)]
    fired = [at for one in both for at in alarms(one, data, 9, 32)]
    assert all(any(0 <= at - hour <= 2 * MINUTE / HOUR for at in fired) for hour in hours)


# ---- What waits: visible for an hour


@pytest.mark.parametrize("name", of_kind("waits"))
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize("begin", [0, 10.5], ids=["polled before", "not used before"])
def test_a_message_that_nobody_reads_alarms_after_an_hour(name: str, spare: int, begin: float) -> None:
    data = depth(CASES[name], begin, (10.5, 1), (15, 0), (20, 3), until=24)
    changes = alarm(name, spare).changes(data, SUNDAY + 9 * HOUR, SUNDAY + 24 * HOUR)
    assert [(one.state, one.notified) for one in changes] == [
        (state, TOPIC) for state in ("OK", "ALARM", "OK", "ALARM")
    ]
    _, fired, cleared, again = ((change.at - SUNDAY) / HOUR for change in changes)
    assert 55 * MINUTE <= (fired - 10.5) * HOUR <= 61 * MINUTE
    assert 0 <= (cleared - 15) * HOUR <= 6 * MINUTE
    assert 55 * MINUTE <= (again - 20) * HOUR <= 61 * MINUTE


@pytest.mark.parametrize("name", of_kind("waits"))
@pytest.mark.parametrize("spare", SPARES)
@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([(10, 1), (10.9, 0)], id="less than an hour"),
        pytest.param([(10 + at / 30, at % 2) for at in range(1, 241)], id="those that come are read"),
        pytest.param([], id="none is visible, as of those that wait for their retry"),
    ],
)
def test_a_queue_that_is_read_is_quiet(name: str, spare: int, levels: list[tuple[float, int]]) -> None:
    assert alarms(alarm(name, spare), depth(CASES[name], 0, *levels, until=24), 1, 24) == []


# ---- What CloudWatch accepts


@pytest.mark.parametrize("least_or_most", ["MinValue", "MaxValue"])
def test_every_alarm_is_one_that_cloudwatch_accepts(least_or_most: str) -> None:
    given = {name: max(1, PARAMETERS[name][least_or_most]) for name in ("FollowHours", "MissedBackupAlarmHours")}
    accepted = Resolved(given).of_type("AWS::CloudWatch::Alarm")
    assert accepted.keys() == ALARMS.keys()
    for one in map(Alarm, accepted.values()):
        assert one.periods >= 1
        assert one.period % MINUTE == 0
        assert one.period * one.periods <= (7 * DAY if one.period >= HOUR else DAY)


def test_every_metric_that_has_a_name_is_counted_somewhere() -> None:
    named: set[Any] = {name for table in (runs.METRICS, batches.METRICS) for name in table.values()}
    for path in Path(ROOT / "src" / "rds_snap_backup").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name("count"), args=[ast.Constant(name), *_]):
                    named.add(name)
    assert named == set(get_args(MetricName.__value__))
