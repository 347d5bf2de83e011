"""What is watched: alarms watch what the code emits, and saved queries and the dashboard name what it logs."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName, count
from rds_snap_backup.problems import Problem
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
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name != "observability.py"]
    for name in get_args(MetricName.__value__):
        assert any(f'"{name}"' in source for source in sources), name
        count(name, STACK)
    own = {item for alarm in ALARMS.values() for item in watched(alarm) if item[0] == NAMESPACE}
    assert len(own) > 8
    assert own <= sums(capsys.readouterr().out.splitlines()).keys()


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


# ---- The dashboard, and the saved queries


@pytest.mark.parametrize("given", [{}, {"AuditScheduleExpression": "off"}])
def test_the_dashboard_shows_every_metric_and_every_alarm(given: dict[str, str]) -> None:
    resolved = Resolved(given)
    body = json.loads(resolved.resources["Dashboard"]["Properties"]["DashboardBody"])
    metrics = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    shown = {name for metric in metrics for name in metric if name in get_args(MetricName.__value__)}
    assert shown == set(get_args(MetricName.__value__))
    assert all(metric[2:] == ["service", "backups"] for metric in metrics if metric[0] == NAMESPACE)
    (alarms,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert sorted(alarms) == sorted(f"{name}.Arn" for name in resolved.of_type("AWS::CloudWatch::Alarm"))


# Powertools adds these to each line: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
BY_POWERTOOLS = {"level", "message", "timestamp", "service", "function_request_id", "@timestamp", "@message"}
NAME = re.compile(r"@?[A-Za-z_][\w.]*")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The fields that the code's calls of the logger give it by name, and those of each line and of a problem."""
    modules = [ast.parse(path.read_text()) for path in (ROOT / "src" / "rds_snap_backup").rglob("*.py")]
    calls = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.Call)]
    to_the_logger = [call for call in calls if ast.unparse(call.func).startswith("logger.")]
    named = {keyword.arg for call in to_the_logger for keyword in call.keywords if keyword.arg}
    return named | BY_POWERTOOLS | {f"error.{field.name}" for field in fields(Problem)}


def queries() -> dict[str, str]:
    """Return each query by its name, without comments."""
    plain = Resolved()
    saved = {query["Name"]: query["QueryString"] for query in plain.of_type("AWS::Logs::QueryDefinition").values()}
    widgets = json.loads(plain.resources["Dashboard"]["Properties"]["DashboardBody"])["widgets"]
    shown = {each["properties"]["title"]: each["properties"]["query"] for each in widgets if each["type"] == "log"}
    return {name: re.sub(r"(?m)^#.*\n", "", query) for name, query in (saved | shown).items()}


def named_in(query: str) -> set[str]:
    """Return the fields that a query names."""
    commands = [command.partition(" ") for command in re.split(r"\n\| | \| ", query)]
    assert {name for name, _, _ in commands} <= {"fields", "filter", "sort", "SOURCE", "limit"}
    parts = [re.sub(r'"[^"]*"|/[^/]*/', "", rest) for name, _, rest in commands if name not in {"SOURCE", "limit"}]
    return {*NAME.findall(" ".join(parts))} - {"in", "or", "and", "like", "ispresent", "desc", "asc"}


@pytest.mark.parametrize(("name", "query"), queries().items(), ids=list(queries()))
def test_a_query_names_fields_that_the_code_logs(name: str, query: str, known: set[str]) -> None:
    assert len(named_in(query)) > 4
    assert named_in(query) - known == set()
