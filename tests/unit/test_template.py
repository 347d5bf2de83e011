"""What the template promises: parameters, what is optional, functions, queues, topics, the dashboard and the version."""

import json
import re
import tomllib
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName
from rds_snap_backup.targets import parse_target
from tests.unit.template import TEMPLATE, Resolved

PARAMETERS = TEMPLATE["Parameters"]
NAMES = {"ClientName": "aws prod", "InstanceName": "RDS", "SubclientName": "orders"}
PLAIN, FULL = Resolved(), Resolved(NAMES)
FUNCTIONS = FULL.of_type("AWS::Serverless::Function")


# ---- Parameters


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_explains_and_limits_itself(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"]
    assert parameter["ConstraintDescription"]
    limits = {"AllowedPattern", "AllowedValues"} if parameter["Type"] == "String" else {"AllowedValues", "MinValue"}
    assert limits & parameter.keys()
    if "AllowedPattern" in parameter and "Default" in parameter:
        assert re.search(parameter["AllowedPattern"], parameter["Default"])


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CommvaultApiUrl", "https://127.0.0.1:8443/commandcenter/api/", True),
        ("CommvaultApiUrl", "http://commserve.example.com/commandcenter/api", False),
        ("CommvaultApiUrl", "https://user@commserve.example.com", False),
        ("ClientName", "AWS prod (eu)", True),
        ("ClientName", 'AWS "prod"', False),
        ("Databases", "orders-*,arn:aws:rds:*:*:cluster:billing", True),
        ("Databases", "orders, billing", False),
        ("RdsEventIds", "RDS-EVENT-43", False),
        ("ScheduleExpression", "rate(1 hour)", True),
        ("ScheduleExpression", "0 2 * * *", False),
        ("ReservedConcurrency", "5", False),
        ("ReservedConcurrency", "6", True),
        ("TokenSecretArn", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/a_b+c=d.e@f-AbCdEf", True),
        ("TokenSecretArn", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:token-??????", False),
        ("SubnetIds", "subnet-0a1b2c3d,subnet-0a1b2c3e", True),
        ("AlarmTopicArn", "arn:aws-us-gov:sns:us-gov-west-1:111122223333:on-call", True),
        ("AlarmTopicArn", "arn:aws:sns:eu-west-1:111122223333:on-call.fifo", False),
        ("AuditScheduleExpression", "at(2026-12-24T12:00:00)", False),
        ("HttpsProxy", "http://[fd00::1]:3128", True),
        ("HttpsProxy", "http://user:password@proxy.example:3128", False),
        ("OrganizationId", "r-a1b2", False),
        ("AuditMembers", "111122223333,444455556666", True),
        ("AuditRegions", "eu-west-1,us-gov-west-1,ap-southeast-2", True),
        ("AuditRegions", "eu-west-1a", False),
        ("AuditRegions", ",".join(["ap-southeast-1"] * 21), False),
    ],
)
def test_a_parameter_admits_what_works_and_nothing_else(name: str, value: str, *, allowed: bool) -> None:
    assert bool(re.search(PARAMETERS[name]["AllowedPattern"], value)) is allowed


# ---- Optional parts


OFF = [name for name, parameter in PARAMETERS.items() if "mpty or off" in parameter["Description"]]


@pytest.mark.parametrize("name", OFF)
def test_off_means_empty(name: str) -> None:
    assert re.search(PARAMETERS[name]["AllowedPattern"], "off")
    empty, off = (Resolved(NAMES | {name: value}) for value in ("", "off"))
    assert off.resources == empty.resources
    assert off.outputs == empty.outputs
    assert off.resolve(TEMPLATE["Globals"]) == empty.resolve(TEMPLATE["Globals"])


# Lambda counts the names and the values of all variables together.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
MAX_VARIABLES = 4096
LONGEST_LIST = {"AccountIds": 150, "AuditMembers": 140}


def test_the_longest_lists_of_accounts_fit_beside_long_names() -> None:
    account, region, stack = "111122223333", "ap-southeast-1", "s" * 40
    arn = f"{region}:{account}:{stack}"
    names = {
        "AWS::StackName": stack,
        "AWS::Region": region,
        "AWS::StackId": f"arn:aws-us-gov:cloudformation:{region}:{account}:stack/{stack}/{'0' * 36}",
        "Ledger": f"{stack}-Ledger-{'A' * 13}",
        "Notifications": f"arn:aws-us-gov:sns:{arn}-Notifications-{'A' * 12}",
        "AlarmTopic": f"arn:aws-us-gov:sns:{arn}-AlarmTopic-{'A' * 12}",
        "SubmissionsQueue": f"https://sqs.{region}.amazonaws.com/{account}/{stack}-SubmissionsQueue-{'A' * 12}",
        "DeadLetterQueue": f"https://sqs.{region}.amazonaws.com/{account}/{stack}-DeadLetterQueue-{'A' * 12}",
        "TokenSecretArn": f"arn:aws-us-gov:secretsmanager:{region}:{account}:secret:{'t' * 100}-AbCdEf",
        "CommvaultApiUrl": f"https://{'h' * 100}/commandcenter/api",
        "HttpsProxy": f"http://{'p' * 100}:3128",
        "CaCertificateParameter": "/" + "c" * 100,
        "OrganizationId": "o-" + "a" * 32,
    }
    for name, function in (("AccountIds", "BackupFunction"), ("AuditMembers", "AuditFunction")):
        longest = ",".join([account] * LONGEST_LIST[name])
        assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], longest)
        assert not re.fullmatch(PARAMETERS[name]["AllowedPattern"], f"{longest},{account}")
        regions = {"AuditRegions": ",".join(f"ap-southeast-{number % 10}" for number in range(20))}
        variables = Resolved(names | regions | {name: longest}).variables_of(function)
        assert sum(len(key) + len(value) for key, value in variables.items()) <= MAX_VARIABLES


def refused(**given: str) -> list[str]:
    """Return the rules that refuse these parameters."""
    resolved = Resolved(given)
    return [
        name
        for name, rule in TEMPLATE["Rules"].items()
        if resolved.resolve(rule["RuleCondition"])
        and not all(resolved.resolve(assertion["Assert"]) for assertion in rule["Assertions"])
    ]


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ({}, []),
        (NAMES, []),
        ({"ClientName": "a"}, ["DefaultTargetIsWhole"]),
        (NAMES | {"ClientName": ""}, ["DefaultTargetIsWhole"]),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a"}, []),
        ({"SubnetIds": "off", "SecurityGroupIds": ""}, []),
        ({"SubnetIds": "subnet-0a"}, ["NetworkHasSecurityGroups"]),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "off"}, ["NetworkHasSecurityGroups"]),
        ({"SecurityGroupIds": "sg-0a"}, ["NetworkHasSubnets"]),
    ],
)
def test_a_deployment_refuses_halves(given: dict[str, str], rules: list[str]) -> None:
    assert refused(**given) == rules


# ---- Triggers and targets


@pytest.mark.parametrize(
    ("databases", "patterns"),
    [("*", ["*"]), ("off", []), ("", []), ("orders-*,arn:aws:rds:*:*:db:b", ["orders-*", "arn:aws:rds:*:*:db:b"])],
)
def test_the_default_target_is_valid(databases: str, patterns: list[str]) -> None:
    resolved = Resolved(NAMES | {"Databases": databases, "BackupLevel": "INCREMENTAL"})
    parameter = resolved.resources["DefaultTarget"]["Properties"]
    assert parameter["Tier"] == "Intelligent-Tiering"
    assert parameter["Name"] == resolved.variables_of("BackupFunction")["TARGETS_PATH"] + "default"
    assert json.loads(parameter["Value"]) == {
        "associations": [{"clientName": "aws prod", "instanceName": "RDS", "subclientName": "orders"}],
        "backupLevel": "INCREMENTAL",
        "databases": patterns,
    }
    assert parse_target("default", parameter["Name"], parameter["Value"])


@pytest.mark.parametrize(
    ("schedule", "function", "asks_for"),
    [
        ("DefaultSchedule", "BackupFunction", {"target": "default"}),
        ("AuditSchedule", "AuditFunction", {"audit": True}),
    ],
)
def test_a_schedule_names_itself_and_its_time(schedule: str, function: str, asks_for: dict[str, Any]) -> None:
    properties = FULL.resources[schedule]["Properties"]
    assert "Name" not in properties, "it would collide with a second stack's"
    assert (properties["GroupName"], properties["ScheduleExpressionTimezone"]) == ("Schedules", "UTC")
    assert properties["Target"]["Arn"] == f"{function}.Arn"
    assert json.loads(properties["Target"]["Input"]) == asks_for | {
        "schedule": "<aws.scheduler.schedule-arn>",
        "time": "<aws.scheduler.scheduled-time>",
    }


def test_undelivered_triggers_are_kept() -> None:
    targets = [FULL.resources[name]["Properties"]["Target"] for name in ("DefaultSchedule", "AuditSchedule")]
    for target in [*targets, *FULL.resources["RdsEvents"]["Properties"]["Targets"]]:
        assert target["DeadLetterConfig"] == {"Arn": "DeadLetterQueue.Arn"}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


# ---- Functions and queues


def test_a_killed_runs_lease_is_over_when_its_message_comes_back() -> None:
    queue = FULL.resources["SubmissionsQueue"]["Properties"]
    assert queue["VisibilityTimeout"] > FUNCTIONS["BackupFunction"]["Timeout"] + 30
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "DeadLetterQueue.Arn", "maxReceiveCount": 1000}
    kept = {properties["MessageRetentionPeriod"] for properties in FULL.of_type("AWS::SQS::Queue").values()}
    assert kept == {14 * 24 * 3600}


@pytest.mark.parametrize("key", ["", "arn:aws:kms:eu-west-1:111122223333:key/1"])
def test_queues_and_topics_are_encrypted_with_the_key_or_as_without_one(key: str) -> None:
    resolved = Resolved({"KmsKeyArn": key})
    for queue in resolved.of_type("AWS::SQS::Queue").values():
        assert (queue.get("KmsMasterKeyId"), queue.get("SqsManagedSseEnabled")) == (
            (key, None) if key else (None, True)
        )
    for topic in resolved.of_type("AWS::SNS::Topic").values():
        assert topic.get("KmsMasterKeyId") == (key or None)


def test_no_resource_bears_a_name_that_a_second_stack_would_use() -> None:
    names = {"Name", "FunctionName", "QueueName", "TopicName", "TableName", "RoleName", "AlarmName", "DashboardName"}
    names |= {"LogGroupName", "ManagedPolicyName"}
    named = {
        name for name, resource in Resolved(NAMES).resources.items() if names & resource.get("Properties", {}).keys()
    }
    assert named == {*("DefaultTarget", "TriggerQuery", "TargetQuery", "FailureQuery", "RdsEventsPermission")}
    for query in FULL.of_type("AWS::Logs::QueryDefinition").values():
        assert query["Name"].startswith("backups/")


# ---- Topics


def test_alarms_reach_the_e_mail_unfiltered_unless_they_have_a_topic() -> None:
    email = {"NotificationEmail": "ops@example.com"}
    subscription = Resolved(email).resources["AlarmEmailSubscription"]["Properties"]
    assert subscription == {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": "ops@example.com"}
    assert "AlarmEmailSubscription" not in Resolved(email | {"AlarmTopicArn": "arn"}).resources
    for given, topic in (({}, "AlarmTopic"), ({"AlarmTopicArn": "arn"}, "arn")):
        resolved = Resolved(given)
        assert (
            resolved.outputs["AlarmTopicArn"]["Value"]
            == resolved.variables_of("AuditFunction")["ALARM_TOPIC_ARN"]
            == topic
        )


# ---- The dashboard


def test_the_dashboard_shows_every_metric_and_every_alarm() -> None:
    for given in ({}, {"AuditScheduleExpression": "off"}):
        resolved = Resolved(given)
        body = json.loads(resolved.resources["Dashboard"]["Properties"]["DashboardBody"])
        metrics = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
        shown = {name for metric in metrics for name in metric if name in get_args(MetricName.__value__)}
        assert shown == set(get_args(MetricName.__value__))
        assert all(metric[2:] == ["service", "backups"] for metric in metrics if metric[0] == NAMESPACE)
        (alarms,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
        assert sorted(alarms) == sorted(f"{name}.Arn" for name in resolved.of_type("AWS::CloudWatch::Alarm"))


# ---- Outputs


def test_no_released_version_stands_in_an_unreleased_tree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert PLAIN.outputs["Version"]["Value"] == version
    audit = TEMPLATE["Resources"]["AuditFunction"]["Properties"]["Environment"]["Variables"]
    assert audit["PRODUCT_VERSION"] == version, "the audit's scope names it"
    changelog = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]?", changelog, re.MULTILINE)
    unreleased = re.search(r"^## \[?Unreleased", changelog, re.MULTILINE)
    assert not unreleased or version not in released


@pytest.mark.parametrize(
    ("given", "function", "expected"),
    [
        ({}, "BackupFunction", {"ACCOUNT_IDS": "111122223333"}),
        ({"OrganizationId": "o-a1b2c3d4e5"}, "BackupFunction", {"ACCOUNT_IDS": "111122223333,*"}),
        ({"AccountIds": "444455556666"}, "BackupFunction", {"ACCOUNT_IDS": "111122223333,444455556666"}),
        ({"AccountIds": "444455556666"}, "AuditFunction", {"ACCOUNT_IDS": "111122223333"}),
        ({"AuditMembers": "444455556666"}, "AuditFunction", {"AUDIT_MEMBERS": "444455556666", "AUDIT_REGIONS": ""}),
        ({}, "AuditFunction", {"DEFAULT_SCHEDULED": "false"}),
        (NAMES, "AuditFunction", {"DEFAULT_SCHEDULED": "true"}),
        (NAMES | {"ScheduleExpression": "off"}, "AuditFunction", {"DEFAULT_SCHEDULED": "false"}),
    ],
)
def test_the_functions_know_accounts_members_and_schedule(
    given: dict[str, str], function: str, expected: dict[str, str]
) -> None:
    variables = Resolved(given).variables_of(function)
    assert {name: variables[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("level", "admitted"),
    [
        ("all", {"problem", "digest", "info"}),
        ("problems", {"problem"}),
        ("digest", {"problem", "digest"}),
    ],
)
def test_the_e_mail_subscription_admits_its_levels(level: str, admitted: set[str]) -> None:
    given = {"NotificationEmail": "ops@example.com", "NotificationLevel": level}
    subscription = Resolved(given).resources["EmailSubscription"]["Properties"]
    assert set(subscription["FilterPolicy"]["level"]) == admitted
    assert subscription["FilterPolicyScope"] == "MessageAttributes"
