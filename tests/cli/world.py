"""AWS as a verification needs it, at the wire: everything is as it should be, until a test changes one thing."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rds_snap_backup_cli.verify import standing
from rds_snap_backup_cli.verify.acting import MADE_UP
from tests.cli.wire import AwsWire

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:prod-backup"
QUEUES = "https://sqs.us-east-1.amazonaws.com/111122223333/"
LETTERS = f"{QUEUES}dead-letters"
OUTPUTS = {name: name for name in standing.OUTPUTS} | {
    "BackupFunctionName": "prod-backup",
    "BackupFunctionArn": FUNCTION,
    "AuditFunctionName": "prod-audit",
    "DeadLetterQueueUrl": LETTERS,
    "SubmissionsQueueUrl": f"{QUEUES}submissions",
    "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/prod",
    "Version": "2.0.3",
}
PARAMETER = "<member><ParameterKey>{}</ParameterKey><ParameterValue>{}</ParameterValue></member>"
PARAMETERS = {
    "CommvaultApiUrl": "https://192.0.2.1/commandcenter/api",
    "TokenSecretArn": "",
    "LogLevel": "DEBUG",
}
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
TASK = {"Status": "COMPLETED", "StartedTimestamp": 1, "ApproximateNumberOfMessagesMoved": 1}
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
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
        wire.answer("GetPolicy", {"Policy": json.dumps({"Statement": [{"Condition": RULE_ARN}]})})
        wire.answers["TestEventPattern"] = lambda asked: (
            200,
            json.dumps({"Result": json.loads(asked["Event"])["detail"]["EventID"] == "RDS-EVENT-0005"}),
        )
        wire.answer("GetDashboard", {"DashboardBody": json.dumps({"widgets": [1, 2]})})
        wire.answers["ReceiveMessage"] = lambda _: (200, json.dumps({"Messages": self.letters()}))
        wire.answers["GetQueueAttributes"] = lambda asked: (
            200,
            json.dumps({"Attributes": {"QueueArn": f"arn:{asked['QueueUrl']}", IN_FLIGHT: "0"}}),
        )
        wire.answer("ListMessageMoveTasks", {}, {"Results": [TASK]})
        wire.answer("StartMessageMoveTask", {"TaskHandle": "a"})
        wire.answer(
            "DescribeAlarmHistory", {"AlarmHistoryItems": [{"HistorySummary": "Successfully executed action a"}]}
        )
        wire.answer(
            "DescribeAlarms", {"MetricAlarms": [{"StateValue": "ALARM", "StateUpdatedTimestamp": CREATED + 4000}]}
        )
        wire.answer("GetMetricStatistics", {"Datapoints": []})

    def stack(self, parameters: Mapping[str, str] = PARAMETERS, tags: str = TAGS, **outputs: str) -> None:
        members = "".join(PARAMETER.format(name, value) for name, value in parameters.items())
        self.wire.stack(f"<Parameters>{members}</Parameters>{tags}", **OUTPUTS | outputs)

    def answers(self, operation: str) -> None:
        answer: Callable[[Asked], Any] = getattr(self, operation)

        def made(asked: Asked) -> Any:
            found = answer(asked)
            return found if isinstance(found, tuple) else (200, json.dumps(found))

        self.wire.answers[operation] = made

    # ---- Lambda

    def GetFunctionConfiguration(self, asked: Asked) -> Any:  # noqa: N802 # operations have AWS's names
        ready = {"State": "Active", "LastUpdateStatus": "Successful"}
        return {"LoggingConfig": {"LogGroup": asked["FunctionName"]}, "Timeout": self.timeouts[-1]} | ready

    def UpdateFunctionConfiguration(self, asked: Asked) -> Any:  # noqa: N802
        self.timeouts.append(asked["Timeout"])
        return {}

    def Invoke(self, asked: Asked) -> Any:  # noqa: N802
        if "check" in asked:
            tail = base64.b64encode(REPORT.encode()).decode()
            return 200, json.dumps(PREFLIGHT), {"X-Amz-Log-Result": tail}
        return 202, "", {"x-amzn-RequestId": "request-1"}

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
                "Body": json.dumps({"target": "default", "schedule": arn, "time": one["due"]}),
                "MessageAttributes": {"ERROR_CODE": {"StringValue": "NO_PERMISSIONS", "DataType": "String"}},
            }
            for arn, one in self.schedules.items()
            if one["target"]["Arn"] != FUNCTION
        ]

    # ---- Secrets Manager

    def PutSecretValue(self, asked: Asked) -> Any:  # noqa: N802
        version = f"{self.wire.operations.count('PutSecretValue'):032}"
        for stage in asked["VersionStages"]:
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
        if quoted in self.schedules:
            due = self.schedules[quoted]["due"]
            return [
                json.dumps({"trigger": self.identity.format(schedule=quoted, due=due), "message": "Commvault answered"})
            ]
        if quoted == "request-1":
            lines = {
                "killed": "2026-01-31T02:00:00.000Z request-1 Task timed out after 1.00 seconds",
                "resumed": json.dumps({"trigger": "request-1", "function_request_id": "request-2"}),
            }
            return [lines[one] for one in self.runs if ("Task timed out" in pattern) == (one == "killed")]
        if quoted.startswith(MADE_UP):
            return [f"token {quoted}"] if self.tokens_in_log else []
        return [json.dumps({"trigger": "one", "message": "Commvault answered"})] * self.tries
