"""AWS as a verification needs it, at the wire: everything is as it should be, until a test changes one thing."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from local.commserve_lambda.handler import lambda_handler as commserve
from rds_snap_backup_cli.verify import standing
from rds_snap_backup_cli.verify.acting import MADE_UP
from tests.cli.wire import OUTPUT, STACK, AwsWire
from tests.simulator.client import association, form

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:prod-backup"
QUEUES = "https://sqs.us-east-1.amazonaws.com/111122223333/"
LETTERS = f"{QUEUES}dead-letters"
OUTPUTS = {name: name for name in standing.OUTPUTS} | {
    "BackupFunctionName": "prod-backup",
    "BackupFunctionArn": FUNCTION,
    "NotificationsTopicArn": "arn:aws:sns:us-east-1:111122223333:notifications",
    "AuditFunctionName": "prod-audit",
    "DeadLetterQueueUrl": LETTERS,
    "SubmissionsQueueUrl": f"{QUEUES}submissions",
    "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/prod",
    "Version": "2.0.3",
}
PARAMETER = "<member><ParameterKey>{}</ParameterKey><ParameterValue>{}</ParameterValue></member>"
URL = "https://id.lambda-url.us-east-1.on.aws/commandcenter/api"
LAYER = "arn:aws:lambda:us-east-1:111122223333:layer:cut-short:1"
SIMULATOR = {"CommvaultApiUrl": URL, "CommServeFunctionName": "prod-commserve", "CutShortLayerArn": LAYER}
PARAMETERS = {
    "CommvaultApiUrl": "https://192.0.2.1/commandcenter/api",
    "ClientName": "aws-prod",
    "InstanceName": "orders-db",
    "SubclientName": "default",
    "TokenSecretArn": "",
    "LogLevel": "DEBUG",
    "EventsOutBusName": "central",
    "OrganizationId": "o-a1b2c3d4e5",
    "AuditMembers": "444455556666",
    "AuditRegions": "off",
}
MEMBER_DATABASE = "arn:aws:rds:eu-west-2:444455556666:db:verify-1"
INSTANCES = (
    "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance><DBInstanceArn>{}</DBInstanceArn>"
    "<DBInstanceStatus>{}</DBInstanceStatus></DBInstance></DBInstances></DescribeDBInstancesResult>"
    "</DescribeDBInstancesResponse>"
)
REBOOTED = "<RebootDBInstanceResponse><RebootDBInstanceResult/></RebootDBInstanceResponse>"
TAGS = "<Tags><member><Key>team</Key><Value>backup</Value></member></Tags>"
RESOURCE = (
    "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><PhysicalResourceId>{}"
    "</PhysicalResourceId></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
)
SUBSCRIPTIONS = (
    "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>{}</Subscriptions>"
    "</ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
)
SUBSCRIPTION = "<member><SubscriptionArn>{}</SubscriptionArn><Protocol>{}</Protocol><Endpoint>{}</Endpoint></member>"
REPORT = (
    "REPORT RequestId: a\tDuration: 812.10 ms\tMemory Size: 512 MB\tMax Memory Used: 101 MB\tInit Duration: 231.40 ms"
)
PREFLIGHT = {"ok": False, "checks": [{"name": "reach", "ok": False}]}
RULE_ARN = "arn:aws:events:us-east-1:111122223333:rule/prod-rule"
RULE = {"EventPattern": json.dumps({"detail": {"EventID": ["RDS-EVENT-0005"]}}), "State": "ENABLED", "Arn": RULE_ARN}
CREATED = datetime(2026, 1, 31, 2, tzinfo=UTC).timestamp()
SUBSCRIBED = (
    "<SubscribeResponse><SubscribeResult><SubscriptionArn>arn:a</SubscriptionArn></SubscribeResult></SubscribeResponse>"
)
PERMISSION = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Condition": {"ArnLike": {"AWS:SourceArn": RULE_ARN}},
}
TASK = {"Status": "COMPLETED", "StartedTimestamp": 1, "ApproximateNumberOfMessagesMoved": 1}
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
ALARM = {"StateValue": "ALARM", "StateUpdatedTimestamp": CREATED + 4000, "Period": 3600, "EvaluationPeriods": 26}
REFUSED = "The parameter RemoveFromVersionId doesn't match the staging label's version."

type Asked = Mapping[str, Any]


class World:
    """AWS where everything is as it should be; a test changes one thing."""

    def __init__(self, wire: AwsWire) -> None:
        self.wire = wire
        self.token = ""
        self.stages: dict[str, str] = {}
        self.timeouts: list[int] = [50]
        self.schedules: dict[str, dict[str, Any]] = {}
        self.tokens_in_log = False
        self.tries = 20
        self.identity = "{schedule}|{due}"
        self.runs = ["killed", "resumed"]
        # What the Backup function does with a delivery of a trigger that is counted.
        self.requests_of: Callable[[int], int] = lambda delivery: int(delivery == 1)
        self.settings: list[dict[str, Any]] = []
        self.status = "completed"
        self.deliveries: list[str] = []
        self.sandboxes = ["sandbox"]
        self.event = {"source": "rds-snap-backup", "detail-type": "RDS Snap Backup Notification"}
        self.findings: list[dict[str, str]] = []
        self.stack()
        for name in ("GetFunctionConfiguration", "UpdateFunctionConfiguration", "Invoke", "CreateSchedule"):
            self.answers(name)
        for name in ("PutSecretValue", "UpdateSecretVersionStage", "GetSecretValue", "FilterLogEvents"):
            self.answers(name)
        for name in ("DeleteSchedule", "SetAlarmState", "ChangeMessageVisibilityBatch"):
            wire.answer(name, {})
        wire.answers["DescribeStackResource"] = lambda asked: (200, RESOURCE.format(asked["LogicalResourceId"]))
        wire.answers["ListSubscriptionsByTopic"] = lambda _: (200, SUBSCRIPTIONS.format(self.subscriptions))
        self.subscriptions = SUBSCRIPTION.format("arn:aws:sns:mail", "email", "me@example.com")
        arns = [{"ResourceARN": FUNCTION, "Tags": [{"Key": "team", "Value": "backup"}]}]
        wire.answer("GetResources", {"ResourceTagMappingList": arns})
        wire.answer("DescribeRule", RULE)
        wire.answer("ListTargetsByRule", {"Targets": [{"Id": "BackupFunction", "Arn": FUNCTION}]})
        self.permission()
        wire.answers["TestEventPattern"] = lambda asked: (
            200,
            json.dumps({"Result": json.loads(asked["Event"])["detail"]["EventID"] == "RDS-EVENT-0005"}),
        )
        wire.answer("GetDashboard", {"DashboardBody": json.dumps({"widgets": [1, 2]})})
        for name in ("ReceiveMessage", "CreateQueue", "SendMessage"):
            self.answers(name)
        self.answers("PutRule")
        for name in ("PutTargets", "RemoveTargets", "DeleteRule", "DeleteQueue"):
            wire.answer(name, {})
        self.database()
        wire.answers["RebootDBInstance"] = lambda _: (200, REBOOTED)
        wire.answers |= {"Subscribe": lambda _: (200, SUBSCRIBED), "Unsubscribe": lambda _: (200, "<a/>")}
        wire.answers["Publish"] = lambda _: (200, "<PublishResponse><PublishResult/></PublishResponse>")
        wire.answers["GetQueueAttributes"] = lambda asked: (
            200,
            json.dumps({"Attributes": {"QueueArn": f"arn:{asked['QueueUrl']}", IN_FLIGHT: "0"}}),
        )
        wire.answer("ListMessageMoveTasks", {}, {"Results": [TASK]})
        wire.answer("StartMessageMoveTask", {"TaskHandle": "a"})
        wire.answer(
            "DescribeAlarmHistory", {"AlarmHistoryItems": [{"HistorySummary": "Successfully executed action a"}]}
        )
        wire.answer("DescribeAlarms", {"MetricAlarms": [ALARM]})
        wire.answer("GetMetricStatistics", {"Datapoints": []})

    def stack(self, parameters: Mapping[str, str] = PARAMETERS, tags: str = TAGS, **outputs: str) -> None:
        members = "".join(PARAMETER.format(name, value) for name, value in parameters.items())
        self.wire.stack(f"<Parameters>{members}</Parameters>{tags}", **OUTPUTS | outputs)

    def with_simulator(self, **outputs: str) -> None:
        """The stack's CommvaultApiUrl leads to the simulator of another stack."""
        self.stack(PARAMETERS | {"CommvaultApiUrl": URL})
        inner, members = self.wire.answers["DescribeStacks"], (SIMULATOR | outputs).items()
        other = STACK.format(
            name="prod-commserve", more="", outputs="".join(OUTPUT.format(*output) for output in members)
        )
        self.wire.answers["DescribeStacks"] = lambda asked: (
            (200, other) if asked["StackName"] == "prod-commserve" else inner(asked)
        )

    def database(self, arn: str = MEMBER_DATABASE, status: str = "available") -> None:
        self.wire.answers["DescribeDBInstances"] = lambda _: (200, INSTANCES.format(arn, status))

    def permission(self, **changed: Any) -> None:
        self.wire.answer("GetPolicy", {"Policy": json.dumps({"Statement": [PERMISSION | changed]})})

    def answers(self, operation: str) -> None:
        answer: Callable[[Asked], Any] = getattr(self, operation)

        def made(asked: Asked) -> Any:
            found = answer(asked)
            return found if isinstance(found, tuple) else (200, json.dumps(found))

        self.wire.answers[operation] = made

    # ---- Lambda

    def GetFunctionConfiguration(self, asked: Asked) -> Any:  # noqa: N802 # operations have AWS's names
        ready = {"State": "Active", "LastUpdateStatus": "Successful"}
        own = {"Timeout": self.timeouts[-1], "Environment": {"Variables": {"LEDGER_TABLE": "ledger"}}}
        return {"LoggingConfig": {"LogGroup": asked["FunctionName"]}} | own | ready

    def UpdateFunctionConfiguration(self, asked: Asked) -> Any:  # noqa: N802
        self.settings.append({name: value for name, value in asked.items() if name != "FunctionName"})
        self.timeouts.append(asked.get("Timeout", self.timeouts[-1]))
        return {}

    def Invoke(self, asked: Asked) -> Any:  # noqa: N802
        if "check" in asked:
            tail = base64.b64encode(REPORT.encode()).decode()
            return 200, json.dumps(PREFLIGHT), {"X-Amz-Log-Result": tail}
        if "audit" in asked:
            return {"findings": self.findings}
        if "control" in asked:
            log_stream = self.sandboxes.pop() if len(self.sandboxes) > 1 else self.sandboxes[0]
            return commserve(dict(asked), SimpleNamespace(log_stream_name=log_stream))
        if "schedule" in asked:
            self.deliveries.append(asked["schedule"])
            for _ in range(self.requests_of(self.deliveries.count(asked["schedule"]))):
                self.create_task()
        return 202, "", {"x-amzn-RequestId": "request-1"}

    def create_task(self) -> None:
        """Send what the Backup function sends."""
        event = {
            "requestContext": {"http": {"method": "POST"}},
            "rawPath": "/commandcenter/api/CreateTask",
            "headers": {"authtoken": self.token, "accept": "application/json"},
            "body": json.dumps(form(association())),
        }
        commserve(event, None)

    # ---- Scheduler and the dead-letter queue

    def CreateSchedule(self, asked: Asked) -> Any:  # noqa: N802
        arn = f"arn:aws:scheduler:us-east-1:111122223333:schedule/default/{asked['Name']}"
        self.schedules[arn] = {"due": f"{asked['ScheduleExpression'][3:-1]}Z", "target": asked["Target"]}
        return {"ScheduleArn": arn}

    def letters(self) -> list[dict[str, Any]]:
        """The letters of what could not be delivered, as long as they are not moved."""
        if "StartMessageMoveTask" in self.wire.operations:
            return []
        return [
            {
                "MessageId": arn,
                "ReceiptHandle": "r",
                "Body": json.dumps({"target": "default", "schedule": arn, "time": schedule["due"]}),
                "MessageAttributes": {"ERROR_CODE": {"StringValue": "NO_PERMISSIONS", "DataType": "String"}},
            }
            for arn, schedule in self.schedules.items()
            if schedule["target"]["Arn"] != FUNCTION
        ]

    def ReceiveMessage(self, asked: Asked) -> Any:  # noqa: N802
        if asked["QueueUrl"] == LETTERS:
            return {"Messages": self.letters()}
        # The first message is missed.
        heard = self.wire.asked("Publish")[1:]
        if any(asked["QueueUrl"].endswith(rule["Name"]) for rule in self.wire.asked("PutRule")):
            events = [
                {**self.event, "detail": json.loads(notification["Message"])}
                for notification in heard
                if "{" in notification["Message"]
            ]
            return {"Messages": [{"MessageId": "a", "Body": json.dumps(event)} for event in events]}
        return {"Messages": [{"MessageId": "a", "Body": notification["Message"]} for notification in heard]}

    def CreateQueue(self, asked: Asked) -> Any:  # noqa: N802
        return {"QueueUrl": f"{QUEUES}{asked['QueueName']}"}

    def SendMessage(self, _: Asked) -> Any:  # noqa: N802
        return {"MessageId": "a"}

    def PutRule(self, asked: Asked) -> Any:  # noqa: N802
        return {"RuleArn": f"arn:aws:events:us-east-1:111122223333:rule/{asked['EventBusName']}/{asked['Name']}"}

    # ---- Secrets Manager

    def PutSecretValue(self, asked: Asked) -> Any:  # noqa: N802
        version = f"{self.wire.operations.count('PutSecretValue'):032}"
        for stage in asked.get("VersionStages", ["AWSCURRENT"]):
            self.stages[stage] = version
        self.token = asked["SecretString"]
        return {"VersionId": version}

    def UpdateSecretVersionStage(self, asked: Asked) -> Any:  # noqa: N802
        if self.stages["AWSCURRENT"] != asked["RemoveFromVersionId"]:
            error = {"__type": "InvalidParameterException", "message": REFUSED}
            return 400, json.dumps(error)
        self.stages["AWSCURRENT"] = asked["MoveToVersionId"]
        return {}

    def GetSecretValue(self, _: Asked) -> Any:  # noqa: N802
        return {"VersionId": self.stages.get("AWSCURRENT"), "SecretString": self.token, "CreatedDate": CREATED}

    # ---- Logs

    def FilterLogEvents(self, asked: Asked) -> Any:  # noqa: N802
        return {"events": [{"message": line} for line in self.lines(asked["filterPattern"])]}

    def lines(self, pattern: str) -> list[str]:
        quoted = pattern.split('"')[1]
        if quoted == MEMBER_DATABASE:
            return ["No target's databases match it."] * self.wire.operations.count("RebootDBInstance")
        if quoted in self.schedules:
            due = self.schedules[quoted]["due"]
            return [
                json.dumps({"trigger": self.identity.format(schedule=quoted, due=due), "message": "Commvault answered"})
            ]
        if quoted == "request-1":
            lines = {
                "killed": f"2026-01-31T02:00:00.000Z request-1 {pattern.split('"')[-2]} after 1.00 seconds",
                "resumed": json.dumps({"trigger": "request-1", "function_request_id": "request-2"}),
            }
            return [lines[run] for run in self.runs if (pattern.count('"') > 2) == (run == "killed")]
        if quoted.startswith("verify-") and not quoted.startswith(MADE_UP):
            return [json.dumps({"trigger": quoted, "message": "Published", "status": self.status})]
        if quoted.startswith(MADE_UP):
            return [f"token {quoted}"] if self.tokens_in_log else []
        return [json.dumps({"trigger": "one", "message": "Commvault answered"})] * self.tries
