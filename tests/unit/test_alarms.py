"""The template's alarms: what they watch is emitted, what is missing alarms where it should, and whom they notify."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName, count
from tests.metrics import Metric, metric, sums
from tests.unit.template import Resolved

ALARMS = Resolved().of_type("AWS::CloudWatch::Alarm")
STACK = "backups"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:on-call"
# These give the all-clear: each shows a state, and no single event.
LEVELS = {"CommvaultUnreachableAlarm", "DeadLetterAlarm", "SubmissionsWaitingAlarm", "MissedAuditAlarm"}


def stats(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an alarm watches, in the form of an alarm on an expression."""
    own = {"Metric": alarm, "Period": alarm.get("Period")}
    return [query["MetricStat"] for query in alarm.get("Metrics", [{"MetricStat": own}]) if "MetricStat" in query]


def watched(alarm: Mapping[str, Any]) -> Iterator[Metric]:
    for part in (part["Metric"] for part in stats(alarm)):
        dimensions = {item["Name"]: item["Value"] for item in part["Dimensions"]}
        yield metric(part["Namespace"], part["MetricName"], **dimensions)


def test_the_alarms_watch_metrics_that_the_code_emits(capsys: pytest.CaptureFixture[str]) -> None:
    for name in get_args(MetricName.__value__):
        count(name, STACK)
    own = {item for alarm in ALARMS.values() for item in watched(alarm) if item[0] == NAMESPACE}
    assert len(own) > 8
    assert own <= sums(capsys.readouterr().out.splitlines()).keys()


def test_every_metric_is_counted_somewhere() -> None:
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name != "observability.py"]
    names = get_args(MetricName.__value__)
    assert [name for name in names if not any(f'"{name}"' in source for source in sources)] == []


@pytest.mark.parametrize("name", ALARMS)
def test_only_an_audit_that_is_missing_alarms_and_cloudwatch_looks_back_as_far(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html."""
    alarm = ALARMS[name]
    assert (alarm["TreatMissingData"] == "breaching") is (name == "MissedAuditAlarm")
    (period,) = {part["Period"] for part in stats(alarm)}
    seconds = period * alarm["EvaluationPeriods"]
    assert seconds <= (7 * 86_400 if period >= 3600 else 86_400)
    assert name != "MissedAuditAlarm" or seconds > 25 * 3600, "a daily audit may be an hour late"


@pytest.mark.parametrize(("given", "topic"), [({}, "AlarmTopic"), ({"AlarmTopicArn": TOPIC}, TOPIC)])
def test_an_alarm_notifies_its_topic_and_only_levels_give_the_all_clear(given: dict[str, str], topic: str) -> None:
    for name, properties in Resolved(given).of_type("AWS::CloudWatch::Alarm").items():
        assert properties["AlarmActions"] == [topic]
        assert properties.get("OKActions") == ([topic] if name in LEVELS else None)


def test_parts_that_are_off_are_not_watched() -> None:
    without = Resolved({"RdsEventIds": "off"}).of_type("AWS::CloudWatch::Alarm")["DeliveryAlarm"]
    assert not [name for space, name, _ in watched(without) if space == "AWS/Events"]
    alarms = Resolved({"AuditScheduleExpression": "off"}).of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys().isdisjoint({"MissedAuditAlarm", "AuditFindingAlarm"})
