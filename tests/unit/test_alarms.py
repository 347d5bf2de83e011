"""The template's alarms: the metrics that each watches, its kind, and the state that recorded values give it.

No emulator treats missing data or evaluates expressions.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import operator
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName, count
from tests.metrics import Metric, metric, sums
from tests.unit.template import TEMPLATE, Resolved

ALARMS = Resolved().of_type("AWS::CloudWatch::Alarm")
STACK = "backups"
VISIBLE = "ApproximateNumberOfMessagesVisible"
# How each kind of alarm is evaluated: statistic, seconds of a period, periods, periods to alarm, missing data breaches.
KINDS = {
    "event": ("Sum", 300, 1, 1, False),
    "letters": ("Maximum", 300, 1, 1, False),
    "more letters": ("Maximum", 300, 2, 1, False),
    "waiting": ("Minimum", 300, 12, 12, False),
    "outage": ("Sum", 1200, 12, 3, False),
    "silence": ("Sum", 3600, 26, 26, True),
}
LEVELS = {"letters", "waiting", "outage", "silence"}


def counted(*names: str) -> list[Metric]:
    return [metric(NAMESPACE, name, service=STACK) for name in names]


def of_functions(name: str) -> list[Metric]:
    return [metric("AWS/Lambda", name, FunctionName=function) for function in ("BackupFunction", "AuditFunction")]


def of_queue(name: str) -> list[Metric]:
    return [metric("AWS/SQS", VISIBLE, QueueName=f"{name}.QueueName")]


CASES: dict[str, tuple[str, list[Metric]]] = {
    "BackupProblemAlarm": ("event", counted("BackupRejected", "SubmissionAbandoned", "BackupFailed", "JobLost")),
    "EventRefusedAlarm": ("event", counted("EventRefused")),
    "TokenAlarm": ("event", counted("TokenRefused", "TokenNotStored")),
    "AuditFindingAlarm": ("event", counted("AuditFinding")),
    "FunctionErrorsAlarm": ("event", of_functions("Errors")),
    "ThrottlesAlarm": ("event", of_functions("Throttles")),
    "EventsDroppedAlarm": ("event", of_functions("AsyncEventsDropped")),
    "RecursionAlarm": ("event", of_functions("RecursiveInvocationsDropped")),
    "DeliveryAlarm": (
        "event",
        [
            metric("AWS/Lambda", "DestinationDeliveryFailures", FunctionName="BackupFunction"),
            metric("AWS/Events", "InvocationsFailedToBeSentToDlq", RuleName="rds-events"),
            metric("AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount", ScheduleGroup="Schedules"),
            metric("AWS/SNS", "NumberOfNotificationsFailedToRedriveToDlq", TopicName="Notifications.TopicName"),
        ],
    ),
    "CommvaultUnreachableAlarm": ("outage", counted("CommvaultUnreachable")),
    "DeadLetterAlarm": ("letters", of_queue("DeadLetterQueue")),
    "NewDeadLetterAlarm": ("more letters", of_queue("DeadLetterQueue")),
    "SubmissionsWaitingAlarm": ("waiting", of_queue("SubmissionsQueue")),
    "MissedAuditAlarm": ("silence", counted("AuditCompleted")),
}

type Points = Sequence[float | None]


def stats(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an alarm watches, in the form of an alarm on an expression."""
    if "Metrics" in alarm:
        return [query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query]
    own = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")}
    return [{"Metric": own, "Stat": alarm["Statistic"], "Period": alarm["Period"]}]


def watched(alarm: Mapping[str, Any]) -> list[Metric]:
    parts = [part["Metric"] for part in stats(alarm)]
    return [
        metric(part["Namespace"], part["MetricName"], **{item["Name"]: item["Value"] for item in part["Dimensions"]})
        for part in parts
    ]


def evaluated(alarm: Mapping[str, Any], recorded: Sequence[Points]) -> Points:
    """Return the values of an alarm's expression for those of its metrics."""
    match [query["Expression"] for query in alarm.get("Metrics", ()) if "Expression" in query]:
        case []:
            return recorded[0]
        case ["SUM(METRICS())"]:
            columns = ([point for point in column if point is not None] for column in zip(*recorded, strict=True))
            return [sum(column) if column else None for column in columns]
        case ["DIFF(letters)"]:
            pairs = pairwise(recorded[0])
            return [None, *(None if None in pair else pair[1] - pair[0] for pair in pairs)]  # type: ignore[operator]
    raise NotImplementedError(alarm)


def state(alarm: Mapping[str, Any], recorded: Sequence[Points]) -> str:
    """Return an alarm's state where its metrics had these values in its periods, oldest first; None: missing."""
    compares = {"GreaterThanOrEqualToThreshold": operator.ge, "LessThanThreshold": operator.lt}
    compare, periods = compares[alarm["ComparisonOperator"]], int(alarm["EvaluationPeriods"])
    points = [*[None] * periods, *evaluated(alarm, recorded)][-periods:]
    is_breaching = [
        alarm["TreatMissingData"] == "breaching" if point is None else compare(point, alarm["Threshold"])
        for point in points
    ]
    return "ALARM" if sum(is_breaching) >= alarm.get("DatapointsToAlarm", periods) else "OK"


def test_every_alarm_has_a_case_and_there_are_few() -> None:
    resources = TEMPLATE["Resources"].items()
    assert sorted(CASES) == sorted(name for name, resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm")
    assert len(CASES) <= 20


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_watches_the_metrics_of_its_case_as_its_kind_does(name: str) -> None:
    (kind, metrics), alarm = CASES[name], ALARMS[name]
    assert sorted(watched(alarm)) == sorted(metrics)
    (found,) = {(part["Stat"], part["Period"]) for part in stats(alarm)}
    periods = alarm["EvaluationPeriods"]
    is_breaching = alarm["TreatMissingData"] == "breaching"
    assert (*found, periods, alarm.get("DatapointsToAlarm", periods), is_breaching) == KINDS[kind]
    # By the clock: a period of an hour counts when it is over.
    assert ("EvaluationWindow" in alarm) is (kind == "silence")
    assert found[1] * periods <= (7 * 86_400 if found[1] >= 3600 else 86_400), "CloudWatch looks no further back"
    assert len(alarm.get("Metrics", [])) <= 10


ROWS: list[tuple[str, list[Points], str]] = [
    ("BackupProblemAlarm", [[None], [None], [1], [None]], "ALARM"),
    ("BackupProblemAlarm", [[0], [0], [0], [2]], "ALARM"),
    ("BackupProblemAlarm", [[0], [None], [0], [0]], "OK"),
    ("BackupProblemAlarm", [[None], [None], [None], [None]], "OK"),
    ("EventRefusedAlarm", [[1]], "ALARM"),
    ("EventRefusedAlarm", [[None]], "OK"),
    ("TokenAlarm", [[None], [1]], "ALARM"),
    ("AuditFindingAlarm", [[3]], "ALARM"),
    ("FunctionErrorsAlarm", [[0], [1]], "ALARM"),
    ("FunctionErrorsAlarm", [[0], [None]], "OK"),
    ("DeliveryAlarm", [[None], [None], [1], [None]], "ALARM"),
    ("DeadLetterAlarm", [[1]], "ALARM"),
    ("DeadLetterAlarm", [[0]], "OK"),
    ("NewDeadLetterAlarm", [[3, 3]], "OK"),
    ("NewDeadLetterAlarm", [[3, 4]], "ALARM"),
    ("NewDeadLetterAlarm", [[3, 4, 4]], "ALARM"),
    ("NewDeadLetterAlarm", [[3, 2]], "OK"),
    ("NewDeadLetterAlarm", [[None, 1]], "OK"),
    ("SubmissionsWaitingAlarm", [[1] * 12], "ALARM"),
    ("SubmissionsWaitingAlarm", [[1] * 11 + [0]], "OK"),
    ("SubmissionsWaitingAlarm", [[None] * 3 + [1] * 9], "OK"),
    ("CommvaultUnreachableAlarm", [[40, 25]], "OK"),
    ("CommvaultUnreachableAlarm", [[5, 2, 1]], "ALARM"),
    ("CommvaultUnreachableAlarm", [[None, 1, None] * 4], "ALARM"),  # hourly tries, from the second day on
    ("CommvaultUnreachableAlarm", [[1, 1, *[None] * 10]], "OK"),
    ("MissedAuditAlarm", [[1] + [None] * 25], "OK"),
    ("MissedAuditAlarm", [[1] + [None] * 26], "ALARM"),
    ("MissedAuditAlarm", [[None] * 26], "ALARM"),
]


@pytest.mark.parametrize(("name", "recorded", "expected"), ROWS)
def test_recorded_values_give_the_state(name: str, recorded: list[Points], expected: str) -> None:
    assert state(ALARMS[name], recorded) == expected


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_notifies_its_topic_and_only_levels_give_the_all_clear(name: str) -> None:
    given = "arn:aws:sns:eu-west-1:111122223333:on-call"
    own = Resolved({"AlarmTopicArn": given}).of_type("AWS::CloudWatch::Alarm")
    for properties, topic in ((ALARMS[name], "AlarmTopic"), (own[name], given)):
        assert properties["AlarmActions"] == [topic]
        assert properties.get("OKActions") == ([topic] if CASES[name][0] in LEVELS else None)


def test_an_alarm_watches_a_metric_that_the_code_emits(capsys: pytest.CaptureFixture[str]) -> None:
    for name in get_args(MetricName.__value__):
        count(name, STACK)
    own = {item for _, metrics in CASES.values() for item in metrics if item[0] == NAMESPACE}
    assert own <= sums(capsys.readouterr().out.splitlines()).keys()


@pytest.mark.parametrize("name", get_args(MetricName.__value__))
def test_every_metric_is_counted_somewhere(name: str) -> None:
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.name != "observability.py"]
    assert any(f'"{name}"' in path.read_text() for path in sources)


def test_parts_that_are_off_are_not_watched() -> None:
    without = Resolved({"RdsEventIds": "off"}).of_type("AWS::CloudWatch::Alarm")["DeliveryAlarm"]
    assert len(watched(without)) == len(CASES["DeliveryAlarm"][1]) - 1
    alarms = Resolved({"AuditScheduleExpression": "off"}).of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys().isdisjoint({"MissedAuditAlarm", "AuditFindingAlarm"})
