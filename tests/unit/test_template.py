"""What the template promises: parameters, what is optional, triggers, queues, topics and variables."""

import json
import re

import pytest

from rds_snap_backup.targets import parse_target
from tests.unit.template import TEMPLATE, Resolved

PARAMETERS = TEMPLATE["Parameters"]
NAMES = {"ClientName": "aws prod", "InstanceName": "RDS", "SubclientName": "orders"}
FULL = Resolved(NAMES)


# ---- Parameters


def test_a_parameter_explains_and_limits_itself() -> None:
    for name, parameter in PARAMETERS.items():
        assert parameter["Description"], name
        assert parameter["ConstraintDescription"], name
        limits = {"AllowedPattern", "AllowedValues"} if parameter["Type"] == "String" else {"AllowedValues", "MinValue"}
        assert limits & parameter.keys(), name


SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:"
# Values that a parameter admits, and others that it does not.
VALUES: dict[str, tuple[list[str], list[str]]] = {
    "CommvaultApiUrl": (
        ["https://127.0.0.1:8443/commandcenter/api/"],
        ["http://commserve.example.com/commandcenter/api", "https://user@commserve.example.com"],
    ),
    "ClientName": (["AWS prod (eu)"], ['AWS "prod"']),
    "Databases": (["orders-*,arn:aws:rds:*:*:cluster:billing"], ["orders, billing"]),
    "RdsEventIds": ([], ["RDS-EVENT-43"]),
    "ScheduleExpression": (["rate(1 hour)"], ["0 2 * * *"]),
    "ReservedConcurrency": (["6"], ["5"]),
    "TokenSecretArn": ([f"{SECRET}prod/a_b+c=d.e@f-AbCdEf"], [f"{SECRET}token-??????"]),
    "AlarmTopicArn": (
        ["arn:aws-us-gov:sns:us-gov-west-1:111122223333:on-call"],
        ["arn:aws:sns:eu-west-1:111122223333:on-call.fifo"],
    ),
    "AuditScheduleExpression": ([], ["at(2026-12-24T12:00:00)"]),
    "HttpsProxy": (["http://[fd00::1]:3128"], ["http://user:password@proxy.example:3128"]),
    "OrganizationId": ([], ["r-a1b2"]),
    "AuditRegions": (["eu-west-1,us-gov-west-1"], ["eu-west-1a", ",".join(["ap-southeast-1"] * 21)]),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_parameter_admits_what_works_and_nothing_else(name: str) -> None:
    admitted, refused = VALUES[name]
    assert [it for it in (*admitted, *refused) if re.search(PARAMETERS[name]["AllowedPattern"], it)] == admitted


@pytest.mark.parametrize("name", [name for name, item in PARAMETERS.items() if "mpty or off" in item["Description"]])
def test_off_means_empty(name: str) -> None:
    assert re.search(PARAMETERS[name]["AllowedPattern"], "off")
    empty, off = (Resolved(NAMES | {name: value}) for value in ("", "off"))
    assert (off.resources, off.outputs) == (empty.resources, empty.outputs)
    assert off.resolve(TEMPLATE["Globals"]) == empty.resolve(TEMPLATE["Globals"])


@pytest.mark.parametrize(("name", "most", "function"), [("AccountIds", 150, "Backup"), ("AuditMembers", 140, "Audit")])
def test_the_longest_list_of_accounts_fits_with_long_names(name: str, most: int, function: str) -> None:
    """Lambda admits 4,096 characters: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html."""
    account, region, stack = "111122223333", "ap-southeast-1", "s" * 40
    arn, url = f"{region}:{account}:{stack}", f"https://sqs.{region}.amazonaws.com/{account}/{stack}"
    names = {
        "AWS::StackName": stack,
        "AWS::Region": region,
        "AWS::StackId": f"arn:aws-us-gov:cloudformation:{region}:{account}:stack/{stack}/{'0' * 36}",
        "Ledger": f"{stack}-Ledger-{'A' * 13}",
        **{topic: f"arn:aws-us-gov:sns:{arn}-{topic}-{'A' * 12}" for topic in ("Notifications", "AlarmTopic")},
        **{queue: f"{url}-{queue}-{'A' * 12}" for queue in ("SubmissionsQueue", "DeadLetterQueue")},
        "TokenSecretArn": f"arn:aws-us-gov:secretsmanager:{region}:{account}:secret:{'t' * 100}-AbCdEf",
        "CommvaultApiUrl": f"https://{'h' * 100}/commandcenter/api",
        "HttpsProxy": f"http://{'p' * 100}:3128",
        "CaCertificateParameter": "/" + "c" * 100,
        "OrganizationId": "o-" + "a" * 32,
        "AuditRegions": ",".join(f"ap-southeast-{number % 10}" for number in range(20)),
    }
    longest = ",".join([account] * most)
    assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], longest)
    assert not re.fullmatch(PARAMETERS[name]["AllowedPattern"], f"{longest},{account}")
    variables = Resolved(names | {name: longest}).variables_of(f"{function}Function")
    assert sum(len(key) + len(value) for key, value in variables.items()) <= 4096


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        *((given, None) for given in ({}, NAMES, {"SubnetIds": "off", "SecurityGroupIds": ""})),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a"}, None),
        *((given, "DefaultTargetIsWhole") for given in ({"ClientName": "a"}, NAMES | {"ClientName": ""})),
        ({"SubnetIds": "subnet-0a", "SecurityGroupIds": "off"}, "NetworkHasSecurityGroups"),
        ({"SecurityGroupIds": "sg-0a"}, "NetworkHasSubnets"),
    ],
)
def test_a_deployment_refuses_halves(given: dict[str, str], rule: str | None) -> None:
    asked = Resolved(given).resolve(TEMPLATE["Rules"])
    refusing = [
        name
        for name, each in asked.items()
        if each["RuleCondition"] and not all(assertion["Assert"] for assertion in each["Assertions"])
    ]
    assert refusing == ([rule] if rule else [])


# ---- Triggers, queues and topics


@pytest.mark.parametrize(
    ("databases", "patterns"), [("off", []), ("a-*,arn:aws:rds:*:*:db:b", ["a-*", "arn:aws:rds:*:*:db:b"])]
)
def test_the_default_target_is_valid(databases: str, patterns: list[str]) -> None:
    resolved = Resolved(NAMES | {"Databases": databases, "BackupLevel": "INCREMENTAL"})
    parameter = resolved.resources["DefaultTarget"]["Properties"]
    assert parameter["Name"] == resolved.variables_of("BackupFunction")["TARGETS_PATH"] + "default"
    target = parse_target("default", parameter["Name"], parameter["Value"])
    assert target.request.associations[0].names == ("aws prod", "RDS", "orders")
    assert (target.request.backup_level, [*target.databases]) == ("INCREMENTAL", patterns)


def test_a_schedule_names_itself_and_its_time() -> None:
    itself = {"schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
    for name, asks_for in (("Default", {"target": "default"}), ("Audit", {"audit": True})):
        target = FULL.resources[f"{name}Schedule"]["Properties"]["Target"]
        assert target["Arn"] == f"{'Audit' if name == 'Audit' else 'Backup'}Function.Arn"
        assert json.loads(target["Input"]) == asks_for | itself


def test_undelivered_triggers_and_killed_runs_are_kept() -> None:
    targets = [FULL.resources[name]["Properties"]["Target"] for name in ("DefaultSchedule", "AuditSchedule")]
    for target in [*targets, *FULL.resources["RdsEvents"]["Properties"]["Targets"]]:
        assert target["DeadLetterConfig"] == {"Arn": "DeadLetterQueue.Arn"}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    queues = FULL.of_type("AWS::SQS::Queue")
    assert {properties["MessageRetentionPeriod"] for properties in queues.values()} == {14 * 24 * 3600}
    assert queues["SubmissionsQueue"]["RedrivePolicy"]["maxReceiveCount"] == 1000
    lease = FULL.resources["BackupFunction"]["Properties"]["Timeout"] + 30
    assert queues["SubmissionsQueue"]["VisibilityTimeout"] > lease, (
        "the message of a killed run comes back after its lease"
    )


@pytest.mark.parametrize("key", [None, "arn:aws:kms:eu-west-1:111122223333:key/1"])
def test_queues_and_topics_are_encrypted_with_the_key_or_as_without_one(key: str | None) -> None:
    resolved = Resolved({"KmsKeyArn": key or ""})
    for queue in resolved.of_type("AWS::SQS::Queue").values():
        assert (queue.get("KmsMasterKeyId"), queue.get("SqsManagedSseEnabled")) == (key, None if key else True)
    assert {topic.get("KmsMasterKeyId") for topic in resolved.of_type("AWS::SNS::Topic").values()} == {key}


LISTENERS = re.compile(r"AWS::(ApiGateway|AppSync|CloudFront|EC2|ElasticLoadBalancing|Lambda::Url|IoT)")
KEYS = re.compile(r"AWS::IAM::(User|Group|AccessKey)")


def test_nothing_listens_and_nobody_gets_a_key() -> None:
    kinds = {resource["Type"] for resource in TEMPLATE["Resources"].values()}
    assert [kind for kind in kinds if LISTENERS.match(kind) or KEYS.match(kind)] == []
    functions = FULL.of_type("AWS::Serverless::Function").values()
    assert not [function for function in functions if "FunctionUrlConfig" in function]
    sources = {event["Type"] for function in functions for event in function.get("Events", {}).values()}
    assert {"SQS"} <= sources <= {"SQS", "EventBridgeRule", "ScheduleV2"}


def test_no_resource_bears_a_name_that_a_second_stack_would_use() -> None:
    names = {"Name", "FunctionName", "QueueName", "TopicName", "TableName", "RoleName", "AlarmName", "DashboardName"}
    names |= {"LogGroupName", "ManagedPolicyName"}
    named = {name for name, resource in FULL.resources.items() if names & resource.get("Properties", {}).keys()}
    assert named == {"DefaultTarget", "TriggerQuery", "TargetQuery", "FailureQuery", "RdsEventsPermission"}
    assert all(query["Name"].startswith("backups/") for query in FULL.of_type("AWS::Logs::QueryDefinition").values())


@pytest.mark.parametrize(
    ("level", "admitted"), [("all", "problem digest info"), ("problems", "problem"), ("digest", "problem digest")]
)
def test_e_mail_is_subscribed_to_its_levels_and_to_alarms_without_a_topic(level: str, admitted: str) -> None:
    email = {"NotificationEmail": "ops@example.com", "NotificationLevel": level}
    resources = Resolved(email).resources
    subscription = resources["EmailSubscription"]["Properties"]
    assert set(subscription["FilterPolicy"]["level"]) == set(admitted.split())
    assert subscription["FilterPolicyScope"] == "MessageAttributes"
    alarms = {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": "ops@example.com"}
    assert resources["AlarmEmailSubscription"]["Properties"] == alarms, "unfiltered"
    assert "AlarmEmailSubscription" not in Resolved(email | {"AlarmTopicArn": "arn"}).resources


# ---- Variables


@pytest.mark.parametrize(
    ("given", "function", "expected"),
    [
        ({}, "BackupFunction", {"ACCOUNT_IDS": "111122223333"}),
        ({"OrganizationId": "o-a1b2c3d4e5"}, "BackupFunction", {"ACCOUNT_IDS": "111122223333,*"}),
        ({"AccountIds": "444455556666"}, "BackupFunction", {"ACCOUNT_IDS": "111122223333,444455556666"}),
        ({"AccountIds": "444455556666"}, "AuditFunction", {"ACCOUNT_IDS": "111122223333"}),
        ({"AuditMembers": "444455556666"}, "AuditFunction", {"AUDIT_MEMBERS": "444455556666", "AUDIT_REGIONS": ""}),
        ({}, "AuditFunction", {"DEFAULT_SCHEDULED": "false", "ALARM_TOPIC_ARN": "AlarmTopic"}),
        (NAMES | {"AlarmTopicArn": "arn"}, "AuditFunction", {"DEFAULT_SCHEDULED": "true", "ALARM_TOPIC_ARN": "arn"}),
        (NAMES | {"ScheduleExpression": "off"}, "AuditFunction", {"DEFAULT_SCHEDULED": "false"}),
    ],
)
def test_the_functions_know_accounts_members_topic_and_schedule(
    given: dict[str, str], function: str, expected: dict[str, str]
) -> None:
    assert expected.items() <= Resolved(given).variables_of(function).items()
