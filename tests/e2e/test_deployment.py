"""The whole template, as CloudFormation deploys it: every alarm, both schedules, the rule on a bus of its own."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.emulator import Emulator
from local.stack import Stack, deploy
from tests.unit.template import Resolved

NAME, BUS = "watched", "central"
# Neither fires while the tests run.
NOT_NOW = {"AuditState": "ENABLED", "AuditScheduleExpression": "rate(365 days)", "ScheduleState": "DISABLED"}


@pytest.fixture(scope="module")
def stack(aws: Emulator) -> Stack:
    aws.client("events").create_event_bus(Name=BUS)
    return deploy(aws, NAME, {"EventBusName": BUS, **NOT_NOW})


@pytest.fixture(scope="module")
def alarms(aws: Emulator, stack: Stack) -> Mapping[str, Any]:
    """The alarms of the stack, by their logical IDs."""
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{NAME}-")
    found = [alarm for page in pages for alarm in page["MetricAlarms"]]
    return {alarm["AlarmName"].split("-")[1]: alarm for alarm in found}


def test_every_alarm_is_made_and_notifies(stack: Stack, alarms: Mapping[str, Any]) -> None:
    assert sorted(alarms) == sorted(Resolved().of_type("AWS::CloudWatch::Alarm"))
    assert {action for alarm in alarms.values() for action in alarm["AlarmActions"]} == {
        stack.outputs["NotificationsTopicArn"]
    }


def test_the_rule_is_watched_by_its_name_and_bus(aws: Emulator, alarms: Mapping[str, Any]) -> None:
    (rule,) = aws.client("events").list_rules(EventBusName=BUS)["Rules"]
    named = {one["Name"]: one["Value"] for one in alarms["RuleDeliveryAlarm"]["Dimensions"]}
    assert named == {"EventBusName": BUS, "RuleName": rule["Name"]}


def test_both_schedules_are_in_the_group_that_is_watched(
    aws: Emulator, stack: Stack, alarms: Mapping[str, Any]
) -> None:
    client, group = aws.client("scheduler"), stack.outputs["ScheduleGroupName"]
    names = [one["Name"] for one in client.list_schedules(GroupName=group)["Schedules"]]
    schedules = [client.get_schedule(Name=name, GroupName=group) for name in names]
    assert sorted((one["State"], *sorted(json.loads(one["Target"]["Input"]))) for one in schedules) == [
        ("DISABLED", "schedule", "target", "time"),
        ("ENABLED", "audit", "schedule", "time"),
    ]
    assert {one["Target"]["RoleArn"] for one in schedules} == {stack.outputs["SchedulerRoleArn"]}
    assert alarms["ScheduleDeliveryAlarm"]["Dimensions"] == [{"Name": "ScheduleGroup", "Value": group}]


def test_the_ledger_has_its_index(aws: Emulator, stack: Stack) -> None:
    table = aws.client("dynamodb").describe_table(TableName=stack.outputs["LedgerTableName"])["Table"]
    assert [one["IndexName"] for one in table["GlobalSecondaryIndexes"]] == ["open-submissions"]


def test_the_audit_function_is_there(stack: Stack) -> None:
    answer = stack.invoke({"check": True, "target": "no-such-target"}, "AuditFunctionName")
    assert answer["ok"] is False
    assert "checks" in answer
