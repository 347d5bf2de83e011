"""What the template promises: parameters, permissions, queues, alarms and the dashboard."""

import json
import re
import tomllib
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.observability import NAMESPACE, MetricName
from tests.unit.template import TEMPLATE, Resolved, rule_arn

PARAMETERS = TEMPLATE["Parameters"]
EMITTED = set(get_args(MetricName.__value__))
ALL = {
    "KmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/1",
    "SubnetIds": "subnet-0a,subnet-0b",
    "SecurityGroupIds": "sg-0a",
    "CaCertificateParameter": "/ca",
    "HttpsProxy": "http://proxy.example:3128",
    "PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary",
    "NotificationEmail": "ops@example.com",
    "TokenSecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:token-AbCdEf",
    "TokenSecretKmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/2",
}
PLAIN = Resolved()
FULL = Resolved(ALL)
VARIABLES = {
    "COMMVAULT_API_URL",
    "TOKEN_SECRET_ARN",
    "RENEW_TOKEN",
    "TARGETS_PATH",
    "LEDGER_TABLE",
    "NOTIFICATIONS_TOPIC_ARN",
    "SUBMISSIONS_QUEUE_URL",
    "JOBS_QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "COOL_DOWN_MINUTES",
    "RETRY_HOURS",
    "FIRST_RETRY_SECONDS",
    "RECONCILE_SECONDS",
    "FOLLOW_HOURS",
    "FIRST_POLL_SECONDS",
    "LEDGER_DAYS",
    "BACKUP_MAX_AGE_HOURS",
    "SCHEDULE_STATE",
    "CA_CERTIFICATE_PARAMETER",
    "ACCOUNT_IDS",
    "COMMVAULT_PROXY",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_LOG_LEVEL",
}


def statements(resolved: Resolved, *kinds: str) -> list[dict[str, Any]]:
    documents = [
        document["PolicyDocument"]
        for kind in kinds
        for properties in resolved.of_type(kind).values()
        for document in (properties.get("Policies") or [properties])
    ]
    return [statement for document in documents for statement in document["Statement"]]


def allowing(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [statement for statement in given if statement["Effect"] == "Allow"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_explains_and_limits_itself(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"]
    assert parameter["ConstraintDescription"]
    limits = {"AllowedPattern", "AllowedValues"} if parameter["Type"] == "String" else {"AllowedValues", "MinValue"}
    assert limits & parameter.keys()


def test_the_console_groups_every_parameter_once() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [group["Label"]["default"] for group in groups] == ["Essential", "Advanced"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert grouped == list(PARAMETERS), "guided deployment asks in the same order"


def test_what_must_be_answered_comes_first_and_the_essential_is_little() -> None:
    essential = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"][0]["Parameters"]
    has_default = ["Default" in PARAMETERS[name] for name in essential]
    assert has_default == sorted(has_default)
    assert len(essential) <= 8


def test_only_what_cannot_be_guessed_is_required() -> None:
    required = {name for name, parameter in PARAMETERS.items() if "Default" not in parameter}
    assert required == {"CommvaultApiUrl", "ClientName", "InstanceName", "SubclientName"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CommvaultApiUrl", "https://commserve.example.com/commandcenter/api", True),
        ("CommvaultApiUrl", "https://127.0.0.1:8443/commandcenter/api/", True),
        ("CommvaultApiUrl", "http://commserve.example.com/commandcenter/api", False),
        ("CommvaultApiUrl", "https://user@commserve.example.com", False),
        ("ClientName", "AWS prod (eu)", True),
        ("ClientName", 'AWS "prod"', False),
        ("ClientName", "AWS\\prod", False),
        ("Databases", "", True),
        ("Databases", "orders-*,arn:aws:rds:*:*:cluster:billing", True),
        ("Databases", "orders, billing", False),
        ("RdsEventIds", "RDS-EVENT-0043", True),
        ("RdsEventIds", "RDS-EVENT-43", False),
        ("ScheduleExpression", "rate(1 hour)", True),
        ("ScheduleExpression", "0 2 * * *", False),
        ("TokenSecretKmsKeyArn", "alias/mine", False),
        ("TokenSecretKmsKeyArn", ALL["TokenSecretKmsKeyArn"], True),
        ("TokenSecretArn", "my-secret", False),
        ("TokenSecretArn", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/a_b+c=d.e@f-AbCdEf", True),
        ("TokenSecretArn", ALL["TokenSecretArn"], True),
        ("KmsKeyArn", "arn:aws:kms:eu-west-1:111122223333:alias/a", False),
        ("SubnetIds", "subnet-0a1b2c3d,subnet-0a1b2c3e", True),
        ("CaCertificateParameter", "ca", False),
        ("EventBusName", "central", True),
        ("EventBusName", "aws.partner/example.com/1", False),
        ("AlarmTopicArn", "", True),
        ("AlarmTopicArn", "arn:aws-us-gov:sns:us-gov-west-1:111122223333:on-call", True),
        ("AlarmTopicArn", "arn:aws:sns:eu-west-1:111122223333:on-call.fifo", False),
        ("AlarmTopicArn", "on-call", False),
        ("AuditScheduleExpression", "rate(12 hours)", True),
        ("AuditScheduleExpression", "at(2026-12-24T12:00:00)", False),
        ("HttpsProxy", "http://proxy.example:3128", True),
        ("HttpsProxy", "http://[fd00::1]:3128", True),
        ("HttpsProxy", "http://proxy.example", False),
        ("HttpsProxy", "https://proxy.example:3128", False),
        ("HttpsProxy", "http://user:password@proxy.example:3128", False),
        ("NotificationEmail", "a@example.com,b@example.com", False),
        ("PermissionsBoundaryArn", "arn:aws:iam::aws:policy/PowerUserAccess", True),
    ],
)
def test_a_parameter_admits_what_works_and_nothing_else(name: str, value: str, *, allowed: bool) -> None:
    assert bool(re.search(PARAMETERS[name]["AllowedPattern"], value)) is allowed


@pytest.mark.parametrize("name", [name for name, parameter in PARAMETERS.items() if "AllowedPattern" in parameter])
def test_a_default_is_allowed(name: str) -> None:
    assert re.search(PARAMETERS[name]["AllowedPattern"], PARAMETERS[name].get("Default", "https://some-value"))


@pytest.mark.parametrize("resolved", [PLAIN, FULL], ids=["plain", "full"])
def test_no_role_may_touch_everything(resolved: Resolved) -> None:
    granted = allowing(statements(resolved, "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"))
    wild = [statement for statement in granted if "*" in statement["Resource"] and statement["Resource"] == "*"]
    assert [statement["Sid"] for statement in wild] == (["NetworkInterfaces"] if resolved is FULL else [])
    for statement in granted:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]


def test_every_role_bears_the_boundary_and_no_policy_of_aws() -> None:
    roles = FULL.of_type("AWS::IAM::Role")
    assert set(roles) == {"SubmitRole", "FollowRole", "AuditRole", "SchedulerRole"}
    for role in roles.values():
        assert role["PermissionsBoundary"] == ALL["PermissionsBoundaryArn"]
        assert set(role.get("ManagedPolicyArns", [])) <= {"SurroundingsPolicy", "TokenPolicy"}


@pytest.mark.parametrize("renews", ["true", "false"])
@pytest.mark.parametrize("given", [{}, ALL], ids=["plain", "full"])
def test_the_secret_is_written_only_where_the_token_is_renewed(given: dict[str, Any], renews: str) -> None:
    resolved = Resolved({**given, "RenewToken": renews})
    granted = statements(resolved, "AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
    secret = given.get("TokenSecretArn", "TokenSecret.Id")
    actions: dict[str, set[str]] = {}
    for statement in granted:
        for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
            if action.startswith("secretsmanager:"):
                actions.setdefault(statement["Resource"], set()).add(action.partition(":")[2])
    writes = {"PutSecretValue", "UpdateSecretVersionStage"} if renews == "true" else set()
    assert actions == {secret: {"GetSecretValue", *writes}}
    roles = resolved.of_type("AWS::IAM::Role")
    assert {name for name, role in roles.items() if "TokenPolicy" in role.get("ManagedPolicyArns", [])} == {
        *("SubmitRole", "FollowRole", "AuditRole")
    }


def test_scheduler_acts_only_for_this_account() -> None:
    (trust,) = PLAIN.of_type("AWS::IAM::Role")["SchedulerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_the_functions_environments_are_complete() -> None:
    common = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    functions = PLAIN.of_type("AWS::Serverless::Function")
    assert common == VARIABLES
    assert PLAIN.resolve(TEMPLATE["Globals"])["Function"]["Environment"]["Variables"]["JOBS_QUEUE_URL"] == "JobsQueue"
    assert [name for name, one in functions.items() if "Environment" in one] == []


def test_lambda_itself_retries_no_submission() -> None:
    functions = PLAIN.of_type("AWS::Serverless::Function")
    submit = functions["SubmitFunction"]["EventInvokeConfig"]
    assert submit["MaximumRetryAttempts"] == 0
    assert submit["DestinationConfig"]["OnFailure"]["Destination"] == "SubmissionsQueue.Arn"
    assert functions["AuditFunction"]["EventInvokeConfig"] == {"MaximumRetryAttempts": 1}
    # Not every region and partition knows it, and what it would say is the default.
    assert "RecursiveLoop" not in TEMPLATE["Globals"]["Function"]


def test_queues_keep_messages_and_let_the_clock_end_the_trying() -> None:
    queues = PLAIN.of_type("AWS::SQS::Queue")
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {14 * 24 * 3600}
    sources = {name: queue["RedrivePolicy"] for name, queue in queues.items() if "RedrivePolicy" in queue}
    assert {name: policy["deadLetterTargetArn"] for name, policy in sources.items()} == {
        "SubmissionsQueue": "DeadLetterQueue.Arn",
        "JobsQueue": "JobsDeadLetterQueue.Arn",
    }
    timeout = TEMPLATE["Globals"]["Function"]["Timeout"]
    for name, policy in sources.items():
        assert policy["maxReceiveCount"] == 1000
        assert queues[name]["VisibilityTimeout"] > timeout + 30  # the ledger's lease


@pytest.mark.parametrize("resolved", [PLAIN, FULL], ids=["plain", "full"])
def test_queues_are_encrypted_with_the_key_or_by_sqs(resolved: Resolved) -> None:
    key = resolved.parameters["KmsKeyArn"]
    for queue in resolved.of_type("AWS::SQS::Queue").values():
        assert (queue.get("KmsMasterKeyId"), queue.get("SqsManagedSseEnabled")) == (
            (key, None) if key else (None, True)
        )


def test_nothing_bears_a_name_that_a_second_stack_would_want() -> None:
    names = {"Name", "FunctionName", "QueueName", "TopicName", "TableName", "RoleName", "AlarmName", "DashboardName"}
    names |= {"LogGroupName", "ManagedPolicyName"}
    named = {
        (name, key) for name, part in PLAIN.resources.items() for key in part.get("Properties", {}) if key in names
    }
    assert named == {(name, "Name") for name in ("DefaultTarget", "TriggerQuery", "TargetQuery", "FailureQuery")}
    assert PLAIN.resources["DefaultTarget"]["Properties"]["Name"] == "/rds-snap-backup/backups/targets/default"
    for query in PLAIN.of_type("AWS::Logs::QueryDefinition").values():
        assert query["Name"].startswith("backups/")


@pytest.mark.parametrize(
    ("databases", "patterns"),
    [("*", ["*"]), ("", []), ("orders-*,arn:aws:rds:*:*:db:b", ["orders-*", "arn:aws:rds:*:*:db:b"])],
)
def test_the_default_target_is_json(databases: str, patterns: list[str]) -> None:
    given = {"ClientName": "aws prod", "InstanceName": "orders", "SubclientName": "default", "Databases": databases}
    resolved = Resolved(given | {"NotifyUserOnJobCompletion": "false", "BackupLevel": "INCREMENTAL"})
    assert json.loads(resolved.resources["DefaultTarget"]["Properties"]["Value"]) == {
        "associations": [
            {"clientName": "aws prod", "instanceName": "orders", "displayName": "aws prod", "subclientName": "default"}
        ],
        "backupLevel": "INCREMENTAL",
        "taskType": "IMMEDIATE",
        "notifyUserOnJobCompletion": False,
        "databases": patterns,
    }


SCHEDULES = {
    function: event["Properties"]
    for function, properties in PLAIN.of_type("AWS::Serverless::Function").items()
    for event in properties["Events"].values()
    if event["Type"] == "ScheduleV2"
}


@pytest.mark.parametrize(
    ("function", "asks_for"), [("SubmitFunction", {"target": "default"}), ("AuditFunction", {"audit": True})]
)
def test_a_schedule_names_itself_and_its_time(function: str, asks_for: dict[str, Any]) -> None:
    assert json.loads(SCHEDULES[function]["Input"]) == asks_for | {
        "schedule": "<aws.scheduler.schedule-arn>",
        "time": "<aws.scheduler.scheduled-time>",
    }


def test_the_schedules_are_of_one_group_role_and_time_zone() -> None:
    assert sorted(SCHEDULES) == ["AuditFunction", "SubmitFunction"]
    for schedule in SCHEDULES.values():
        assert schedule["OmitName"] is True
        assert (schedule["GroupName"], schedule["RoleArn"]) == ("Schedules", "SchedulerRole.Arn")
        assert schedule["ScheduleExpressionTimezone"] == "UTC"
    given = {"AuditState": "DISABLED", "AuditScheduleExpression": "rate(6 hours)", "ScheduleTimezone": "Europe/Rome"}
    functions = Resolved(given).of_type("AWS::Serverless::Function")
    audit = functions["AuditFunction"]["Events"]["Daily"]["Properties"]
    assert (audit["State"], audit["ScheduleExpression"]) == ("DISABLED", "rate(6 hours)")
    assert audit["ScheduleExpressionTimezone"] == "Europe/Rome"
    assert functions["SubmitFunction"]["Events"]["DefaultSchedule"]["Properties"]["State"] == "ENABLED"


def test_what_cannot_be_delivered_is_kept() -> None:
    rule = PLAIN.of_type("AWS::Serverless::Function")["SubmitFunction"]["Events"]["RdsEvents"]["Properties"]
    for source in (*SCHEDULES.values(), rule):
        assert source["DeadLetterConfig"] == {"Arn": "DeadLetterQueue.Arn"}
        assert source["RetryPolicy"]["MaximumRetryAttempts"] > 0
    policy = PLAIN.of_type("AWS::SQS::QueuePolicy")["DeadLetterQueuePolicy"]["PolicyDocument"]["Statement"]
    (admitted,) = allowing(policy)
    assert admitted["Condition"] == {"ArnEquals": {"aws:SourceArn": rule_arn("rds-events")}}


@pytest.mark.parametrize("bus", ["default", "central"])
def test_the_rule_is_named_as_its_metrics_name_it(bus: str) -> None:
    resolved = Resolved({"EventBusName": bus})
    dimensions = resolved.of_type("AWS::CloudWatch::Alarm")["RuleDeliveryAlarm"]["Dimensions"]
    named = {one["Name"]: one["Value"] for one in dimensions}
    assert named == {"RuleName": "rds-events"} | ({} if bus == "default" else {"EventBusName": bus})
    body = json.loads(resolved.resources["Dashboard"]["Properties"]["DashboardBody"])
    shown = [
        one for widget in body["widgets"] for one in widget["properties"].get("metrics", []) if one[0] == "AWS/Events"
    ]
    assert [dict(zip(one[2:-1:2], one[3:-1:2], strict=True)) for one in shown] == [named]


def left_out(**given: Any) -> set[str]:
    """Return the resources that parameters leave out."""
    return set(PLAIN.resources) - set(Resolved(given).resources)


def test_without_following_its_parts_are_not_there() -> None:
    assert left_out(FollowHours=0) == {
        *("FollowFunction", "FollowLogs", "FollowRole", "JobsQueue", "JobsQueuePolicy", "JobsSubscription"),
        *("JobsDeadLetterQueue", "JobsDeadLetterQueuePolicy", "JobsDeadLetterAlarm", "NewJobsDeadLetterAlarm"),
        *("FollowErrorsAlarm", "FollowThrottlesAlarm", "FollowRecursionAlarm", "TopicDeliveryAlarm"),
        *("JobsWaitingAlarm", "BackupFailedAlarm", "JobLostAlarm"),
    }
    assert not [name for name in Resolved({"FollowHours": 0}).outputs if name.startswith(("Follow", "Jobs"))]


def test_what_is_switched_off_has_no_alarm() -> None:
    assert left_out(MissedBackupAlarmHours=0) == {"MissedBackupAlarm"}
    assert left_out(AuditState="DISABLED") == {"AuditFindingAlarm", "MissedAuditAlarm"}
    assert left_out(RenewToken="false") == {"TokenNotStoredAlarm"}


def test_alarms_may_publish_and_only_what_is_missing_is_breaching() -> None:
    alarms = PLAIN.of_type("AWS::CloudWatch::Alarm")
    assert {name for name, alarm in alarms.items() if alarm["TreatMissingData"] != "notBreaching"} == {
        *("MissedBackupAlarm", "MissedAuditAlarm")
    }
    policy = PLAIN.of_type("AWS::SNS::TopicPolicy")["NotificationsPolicy"]["PolicyDocument"]["Statement"]
    (admitted,) = allowing(policy)
    assert admitted["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


@pytest.mark.parametrize(("name", "metric"), [("MissedBackup", "BackupSubmitted"), ("MissedAudit", "AuditCompleted")])
def test_a_dead_mans_switch(name: str, metric: str) -> None:
    alarm = Resolved({"MissedBackupAlarmHours": 26}).of_type("AWS::CloudWatch::Alarm")[f"{name}Alarm"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (NAMESPACE, metric, "Sum")
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "backups"}]
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, 26)
    assert "DatapointsToAlarm" not in alarm  # then it is all of them
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["EvaluationWindow"] == {"WallClockWindow": {"Timezone": "UTC"}}


def test_alarms_watch_metrics_that_are_emitted() -> None:
    own = [one for one in PLAIN.of_type("AWS::CloudWatch::Alarm").values() if one.get("Namespace") == NAMESPACE]
    assert {alarm["MetricName"] for alarm in own} <= EMITTED
    assert all(alarm["Dimensions"] == [{"Name": "service", "Value": "backups"}] for alarm in own)


@pytest.mark.parametrize("follow_hours", [24, 0])
@pytest.mark.parametrize("missed_hours", [26, 0])
@pytest.mark.parametrize("audit_state", ["ENABLED", "DISABLED"])
@pytest.mark.parametrize("renews", ["true", "false"])
def test_the_dashboard_shows_what_is_emitted_and_every_alarm(
    follow_hours: int, missed_hours: int, audit_state: str, renews: str
) -> None:
    given = {"FollowHours": follow_hours, "MissedBackupAlarmHours": missed_hours}
    resolved = Resolved(given | {"AuditState": audit_state, "RenewToken": renews})
    body = json.loads(resolved.resources["Dashboard"]["Properties"]["DashboardBody"])
    metrics = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    own = [metric for metric in metrics if metric[0] == NAMESPACE]
    assert {metric[1] for metric in own} == EMITTED
    assert all(metric[2:4] == ["service", "backups"] for metric in own)
    (alarms,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert sorted(alarms) == sorted(f"{name}.Arn" for name in resolved.of_type("AWS::CloudWatch::Alarm"))


def test_the_token_command_keeps_the_token_out_of_the_arguments() -> None:
    command = PLAIN.outputs["SetTokenCommand"]["Value"]
    assert "--secret-string file:///dev/stdin" in command
    assert '--secret-string "$TOKEN"' not in command
    assert not PLAIN.of_type("AWS::SecretsManager::Secret")["TokenSecret"].keys() & {
        "SecretString",
        "GenerateSecretString",
    }


def test_widgets_do_not_overlap() -> None:
    body = json.loads(PLAIN.resources["Dashboard"]["Properties"]["DashboardBody"])
    taken = [
        (one["x"] + x, one["y"] + y)
        for one in body["widgets"]
        for x in range(one["width"])
        for y in range(one["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_outputs_are_those_of_the_design() -> None:
    assert set(PLAIN.outputs) == {
        *("SubmitFunctionName", "SubmitFunctionArn", "FollowFunctionName", "AuditFunctionName"),
        *("NotificationsTopicArn", "TokenSecretArn", "TargetsPath", "LedgerTableName"),
        *("SubmissionsQueueUrl", "SubmissionsQueueArn", "JobsQueueUrl", "DeadLetterQueueUrl", "DeadLetterQueueArn"),
        *("JobsDeadLetterQueueUrl", "SchedulerRoleArn", "ScheduleGroupName", "DashboardUrl", "SetTokenCommand"),
        "Version",
    }


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert PLAIN.outputs["Version"]["Value"] == project["version"]


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_dashboard_is_found_in_every_partition(partition: str, region: str, host: str) -> None:
    url = Resolved({"AWS::Partition": partition, "AWS::Region": region}).outputs["DashboardUrl"]["Value"]
    assert url == f"https://{host}/cloudwatch/home?region={region}#dashboards/dashboard/Dashboard"


# ---- What a deployment refuses


def asserted(**given: str) -> dict[str, bool]:
    """Return the rules that apply to these parameters, and whether they let them pass."""
    resolved = Resolved(given)
    return {
        name: all(resolved.resolve(one["Assert"]) for one in rule["Assertions"])
        for name, rule in TEMPLATE["Rules"].items()
        if resolved.resolve(rule["RuleCondition"])
    }


@pytest.mark.parametrize(
    ("subnets", "groups", "allowed"),
    [("", "", True), ("subnet-0a", "sg-0a", True), ("subnet-0a", "", False), ("", "sg-0a", False)],
)
def test_a_network_is_given_whole_or_not_at_all(subnets: str, groups: str, *, allowed: bool) -> None:
    assert all(asserted(SubnetIds=subnets, SecurityGroupIds=groups).values()) is allowed
