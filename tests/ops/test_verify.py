"""The verification, at the wire: what every step calls a success, and what it does not."""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import redrive
from ops.command import Exit
from ops.verify import __main__ as verify
from ops.verify import standing, subject
from ops.verify.acting import MADE_UP
from tests.ops.wire import AwsWire
from tests.unit.documents import first_column, section
from tests.unit.template import TEMPLATE

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:prod-submit"
QUEUES = "https://sqs.us-east-1.amazonaws.com/111122223333/"
LETTERS = f"{QUEUES}dead-letters"
OUTPUTS = {name: name for name in standing.OUTPUTS} | {
    "SubmitFunctionName": "prod-submit",
    "SubmitFunctionArn": FUNCTION,
    "FollowFunctionName": "prod-follow",
    "DeadLetterQueueUrl": LETTERS,
    "SubmissionsQueueUrl": f"{QUEUES}submissions",
    "JobsQueueUrl": f"{QUEUES}jobs",
    "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/prod",
    "Version": "1.2.3",
}
PARAMETER = "<member><ParameterKey>{}</ParameterKey><ParameterValue>{}</ParameterValue></member>"
PARAMETERS = {
    "CommvaultApiUrl": "https://192.0.2.1/commandcenter/api",
    "MissedBackupAlarmHours": "1",
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
OURS = SUBSCRIPTION.format("arn:aws:sns:jobs", "sqs", "arn:aws:sqs:us-east-1:111122223333:jobs")
REPORT = (
    "REPORT RequestId: a\tDuration: 812.10 ms\tMemory Size: 512 MB\tMax Memory Used: 101 MB\tInit Duration: 231.40 ms"
)
PREFLIGHT = {"ok": False, "checks": [{"name": "reach", "ok": False}]}
RULE = {"EventPattern": json.dumps({"detail": {"EventID": ["RDS-EVENT-0005"]}})}
CREATED = datetime(2026, 1, 31, 2, tzinfo=UTC).timestamp()
TASK = {"Status": "COMPLETED", "StartedTimestamp": 1, "ApproximateNumberOfMessagesMoved": 1}
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
        self.deferrals = 20
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
        self.subscriptions = OURS + SUBSCRIPTION.format("arn:aws:sns:mail", "email", "me@example.com")
        arns = [{"ResourceARN": FUNCTION, "Tags": [{"Key": "team", "Value": "backup"}]}]
        wire.answer("GetResources", {"ResourceTagMappingList": arns})
        wire.answer("DescribeRule", RULE)
        wire.answers["TestEventPattern"] = lambda asked: (
            200,
            json.dumps({"Result": json.loads(asked["Event"])["detail"]["EventID"] == "RDS-EVENT-0005"}),
        )
        wire.answer("GetDashboard", {"DashboardBody": json.dumps({"widgets": [1, 2]})})
        wire.answers["ReceiveMessage"] = lambda _: (200, json.dumps({"Messages": self.letters()}))
        wire.answers["GetQueueAttributes"] = lambda asked: (
            200,
            json.dumps({"Attributes": {"QueueArn": f"arn:{asked['QueueUrl']}"}}),
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
            return [json.dumps({"trigger": self.identity.format(schedule=quoted, due=due), "message": "Deferred"})]
        if quoted == "request-1":
            lines = {
                "killed": "2026-01-31T02:00:00.000Z request-1 Task timed out after 1.00 seconds",
                "resumed": json.dumps({"trigger": "request-1", "function_request_id": "request-2"}),
            }
            return [lines[one] for one in self.runs if ("Task timed out" in pattern) == (one == "killed")]
        if quoted.startswith(MADE_UP):
            return [f"token {quoted}"] if self.tokens_in_log else []
        return [json.dumps({"trigger": "one", "message": "Deferred"})] * self.deferrals


@pytest.fixture
def world(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(subject, "POLL_SECONDS", 0)
    monkeypatch.setattr(redrive, "POLL_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "240")
    return World(wire)


def run(*names: str) -> Exit:
    return verify.main(["prod", *(part for name in names for part in ("--only", name))])


def test_every_step_passes_where_aws_does_as_its_documentation_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == Exit.OK
    printed = capsys.readouterr().out
    assert printed.endswith(f"prod: {len(verify.STEPS)} passed, 0 failed, 0 cannot be seen yet.\n")
    assert "Init Duration 231.40 ms" in printed
    assert "kept as NO_PERMISSIONS; 1 moved and handled" in printed
    assert "in alarm 1.1 h after the stack was created, set to 1 h" in printed
    assert MADE_UP not in printed


def test_what_was_made_or_changed_is_undone(world: World) -> None:
    assert run() == Exit.OK
    made = {asked["Name"] for asked in world.wire.asked("CreateSchedule")}
    assert {asked["Name"] for asked in world.wire.asked("DeleteSchedule")} == made
    assert len(made) == 2
    assert world.timeouts == [50, 1, 50]


def test_a_stack_that_could_start_a_backup_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.stack(PARAMETERS | {"CommvaultApiUrl": "https://commvault.example.com/commandcenter/api"})
    assert run() == Exit.COULD_NOT_RUN
    assert set(world.wire.operations) == {"DescribeStacks"}
    assert "https://192.0.2.1/commandcenter/api" in capsys.readouterr().err


def rolled_back(world: World) -> None:
    inner = world.wire.answers["DescribeStacks"]
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("CREATE_C", "ROLLBACK_C"))


def logged(world: World) -> None:
    world.tokens_in_log, world.token = True, f"{MADE_UP}1"


PENDING = SUBSCRIPTION.format("PendingConfirmation", "email", "me@example.com")
QUIET = {"MetricAlarms": [{"StateValue": "OK", "StateUpdatedTimestamp": CREATED}]}

# What AWS does otherwise, for the step whose name it begins with.
BREAKS: dict[str, Callable[[World], Any]] = {
    "deployment: an output is missing": lambda world: world.stack(Version=""),
    "deployment: it was rolled back": rolled_back,
    "tags: none": lambda world: world.stack(tags=""),
    "tags: not on all": lambda world: world.wire.answer(
        "GetResources", {"ResourceTagMappingList": [{"ResourceARN": FUNCTION, "Tags": []}]}
    ),
    "tags: on nothing": lambda world: world.wire.answer("GetResources", {"ResourceTagMappingList": []}),
    "first-invocation: it fails": lambda world: world.wire.answer("Invoke", {"errorMessage": "Unable to import"}),
    "first-invocation: Commvault answers": lambda world: world.wire.answer("Invoke", PREFLIGHT | {"ok": True}),
    "rds-rule: nothing matches": lambda world: world.wire.answer("TestEventPattern", {"Result": False}),
    "rds-rule: everything matches": lambda world: world.wire.answer("TestEventPattern", {"Result": True}),
    "listeners: the Jobs queue alone": lambda world: setattr(world, "subscriptions", OURS),
    "listeners: not confirmed": lambda world: setattr(world, "subscriptions", OURS + PENDING),
    "dashboard: it is not there": lambda world: world.wire.fail("GetDashboard", 404, "ResourceNotFound", "None"),
    "compare-and-set: the label is moved from anywhere": lambda world: world.wire.answer(
        "UpdateSecretVersionStage", {}
    ),
    "compare-and-set: another error": lambda world: world.wire.fail(
        "UpdateSecretVersionStage", 400, "ResourceNotFoundException", "No such version."
    ),
    "compare-and-set: a stale answer": lambda world: world.wire.answer(
        "GetSecretValue", {"VersionId": "v1", "SecretString": "x", "CreatedDate": CREATED}
    ),
    "placeholders: they are not filled in": lambda world: setattr(world, "identity", "{schedule}|<aws.scheduler.x>"),
    "placeholders: it never fires": lambda world: world.wire.answer("FilterLogEvents", {"events": []}),
    "dead-letters: none": lambda world: world.wire.answer("ReceiveMessage", {}),
    "dead-letters: the move fails": lambda world: world.wire.answer(
        "ListMessageMoveTasks", {}, {"Results": [TASK | {"Status": "FAILED"}]}
    ),
    "dead-letters: moved and not handled": lambda world: world.wire.answer("FilterLogEvents", {"events": []}),
    "dead-letters: not allowed": lambda world: world.wire.fail(
        "StartMessageMoveTask", 403, "AccessDeniedException", "Not authorized"
    ),
    "killed-run: it is not killed": lambda world: setattr(world, "runs", ["resumed"]),
    "killed-run: it is lost": lambda world: setattr(world, "runs", ["killed"]),
    "alarm-action: none": lambda world: world.wire.answer("DescribeAlarmHistory", {"AlarmHistoryItems": []}),
    "alarm-action: it fails": lambda world: world.wire.answer(
        "DescribeAlarmHistory", {"AlarmHistoryItems": [{"HistorySummary": "Failed to execute action"}]}
    ),
    "dead-mans-switch: it says nothing": lambda world: world.wire.answer("DescribeAlarms", QUIET),
    "dead-mans-switch: it is not there": lambda world: world.stack(PARAMETERS | {"MissedBackupAlarmHours": "0"}),
    "recursion: one is dropped": lambda world: world.wire.answer("GetMetricStatistics", {"Datapoints": [{"Sum": 1.0}]}),
    "redaction: the token is logged": logged,
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_step_fails_where_aws_does_otherwise(world: World, capsys: pytest.CaptureFixture[str], what: str) -> None:
    BREAKS[what](world)
    name = what.partition(":")[0]
    assert run(name) == Exit.FINDINGS
    assert capsys.readouterr().out.endswith("prod: 0 passed, 1 failed, 0 cannot be seen yet.\n")
    assert world.timeouts[-1] == 50
    assert len(world.wire.asked("DeleteSchedule")) == len(world.wire.asked("CreateSchedule"))


def test_every_step_can_fail() -> None:
    assert {what.partition(":")[0] for what in BREAKS} == set(verify.STEPS)


def test_a_failed_step_does_not_stop_the_others(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    BREAKS["dead-letters: not allowed"](world)
    assert run() == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert f"prod: {len(verify.STEPS) - 1} passed, 1 failed" in printed
    assert "Not authorized. Ask for that permission" in printed


def test_what_cannot_be_seen_yet_does_not_fail(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    young = time.time()
    inner = world.wire.answers["DescribeStacks"]
    now = datetime.fromtimestamp(young, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("2026-01-31T02:00:00Z", now))
    quiet = {"MetricAlarms": [{"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": young}]}
    world.wire.answer("DescribeAlarms", quiet)
    warm = base64.b64encode(REPORT.partition("\tInit")[0].encode()).decode()
    world.wire.answers["Invoke"] = lambda _: (200, json.dumps(PREFLIGHT), {"X-Amz-Log-Result": warm})
    world.deferrals = 3
    assert run("dead-mans-switch", "first-invocation", "recursion", "redaction") == Exit.OK
    printed = capsys.readouterr().out
    assert "prod: 0 passed, 0 failed, 4 cannot be seen yet." in printed
    assert "at most 3 deferrals" in printed


def test_redaction_is_not_proven_by_silence(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.token, world.deferrals = f"{MADE_UP}1", 0
    assert run("redaction") == Exit.OK
    assert "no submission was made since the token was stored" in capsys.readouterr().out


def test_the_secret_of_another_owner_is_left_alone(world: World) -> None:
    world.stack(PARAMETERS | {"TokenSecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:own"})
    assert run("compare-and-set") == Exit.OK
    assert "PutSecretValue" not in world.wire.operations


def test_a_rule_of_a_custom_bus_is_found(world: World) -> None:
    world.wire.answers["DescribeStackResource"] = lambda _: (200, RESOURCE.format("central|prod-rule"))
    assert run("rds-rule") == Exit.OK
    assert world.wire.asked("DescribeRule") == [{"Name": "prod-rule", "EventBusName": "central"}]


def test_the_outputs_are_the_templates() -> None:
    conditional = {name for name, one in TEMPLATE["Outputs"].items() if "Condition" in one}
    assert set(standing.OUTPUTS) >= set(TEMPLATE["Outputs"]) - conditional - {"ScheduleGroupName"}


# ---- The document


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What the command proves") == list(verify.STEPS)


IAM_PREFIX = {"monitoring": "cloudwatch", "tagging": "tag"}
IAM_ACTION = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# What AWS asks for beyond the calls: Scheduler gets a role, and SQS moves messages in the caller's name.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
BEYOND = {"iam:PassRole", "sqs:DeleteMessage", "sqs:SendMessage"}


def test_the_documents_policy_is_what_the_command_needs(world: World) -> None:
    assert run() == Exit.OK
    called = set()
    for operation, _, authorization in world.wire.calls:
        service = authorization.split("/")[3]
        action = f"{IAM_PREFIX.get(service, service)}:{operation}"
        called.add(IAM_ACTION.get(action, action))
    sample = re.search(r"```json\n(.*?)```", section("docs/verify-on-aws.md", "Permissions"), re.DOTALL)
    assert sample
    actions = [statement["Action"] for statement in json.loads(sample[1])["Statement"]]
    assert {one for some in actions for one in ([some] if isinstance(some, str) else some)} == called | BEYOND
