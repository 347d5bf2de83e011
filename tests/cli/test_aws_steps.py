"""The verification on AWS: its document has every step, it acts on no stack or database that is in use, and a step fails
without what it proves: AWS at the wire is that of a healthy stack, or of a broken one.
"""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.stack import DeployedStack, session_of
from tests.aws import standing
from tests.aws.steps import COUNTED, STEPS
from tests.aws.subject import Member, Subject
from tests.cli.wire import AwsWire
from tests.unit.documents import first_column
from tests.unit.template import TEMPLATE

MEMBER = "arn:aws:rds:eu-west-2:444455556666:db:verify-1"


@pytest.fixture
def stack(wire: AwsWire) -> DeployedStack:
    wire.no_stack(400, "ValidationError", "Stack with id prod-commserve does not exist")
    arn = "arn:aws:cloudformation:us-east-1:111122223333:stack/prod/1"
    return DeployedStack("prod", session_of("us-east-1", None), {"StackId": arn})


def given(stack: DeployedStack, url: str) -> DeployedStack:
    parameters = [{"ParameterKey": "CommvaultApiUrl", "ParameterValue": url}]
    return DeployedStack(stack.name, stack.session, {**stack.description, "Parameters": parameters})


def test_a_stack_that_could_start_a_backup_is_refused(stack: DeployedStack) -> None:
    assert Subject.of(given(stack, "https://192.0.2.1/commandcenter/api")).simulator == {}
    for url in ("https://commvault.example.com/commandcenter/api", "https://id.lambda-url.us-east-1.on.aws/api", ""):
        with pytest.raises(CannotRun, match="it is not made for this"):
            Subject.of(given(stack, url))


@pytest.mark.parametrize(
    "database",
    [
        MEMBER.replace("verify-1", "orders"),
        MEMBER.replace(":db:", ":cluster:"),
        "verify-1",
        "arn:aws:rds:us-east-1:111122223333:db:verify-1",
    ],
)
def test_no_database_in_use_is_restarted(stack: DeployedStack, database: str) -> None:
    assert Member.of(MEMBER, None, stack).name == "verify-1"
    with pytest.raises(CannotRun):
        Member.of(database, None, stack)


def test_the_outputs_are_the_templates() -> None:
    conditional = {name for name, output in TEMPLATE["Outputs"].items() if "Condition" in output}
    assert set(standing.OUTPUTS) >= set(TEMPLATE["Outputs"]) - conditional


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What it proves") == list(STEPS)
    assert first_column("docs/verify-on-aws.md", "Counting jobs") == list(COUNTED)


# ---- Healthy and broken stacks

ARN = "arn:aws:cloudformation:us-east-1:111122223333:stack/prod/1"
SQS, TOPIC = "https://sqs.us-east-1.amazonaws.com/111122223333/", "arn:aws:sns:us-east-1:111122223333:prod-topic"
MARK, RUN = "verify-000000000000", "run-1"
SCHEDULE = "arn:aws:scheduler:us-east-1:111122223333:schedule/prod/verify-000000000000"
OUTPUTS = {
    "BackupFunctionName": "prod-backup",
    "BackupFunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:prod-backup",
    "AuditFunctionName": "prod-audit",
    "NotificationsTopicArn": TOPIC,
    "SubmissionsQueueUrl": f"{SQS}prod-submissions",
    "DeadLetterQueueUrl": f"{SQS}prod-dead",
    "TargetsPath": "/rds-snap-backup/prod/targets/",
    "ScheduleGroupName": "prod",
    "SchedulerRoleArn": "arn:aws:iam::111122223333:role/prod",
    "DeadLetterQueueArn": "arn:aws:sqs:us-east-1:111122223333:prod-dead",
}
DENIED = "An error occurred (AccessDeniedException): it is not authorized."


def xml(operation: str, result: str) -> tuple[int, str]:
    return 200, f"<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"


def members(*items: str) -> str:
    return "".join(f"<member>{item}</member>" for item in items)


def line(trigger: str, message: str = "Commvault answered", outcome: str = "Unavailable", run: str = "run-2") -> str:
    return json.dumps({"message": message, "outcome": outcome, "trigger": trigger, "function_request_id": run})


def logs(wire: AwsWire, *lines: str) -> None:
    wire.answer("FilterLogEvents", {"events": [{"message": item} for item in lines]})


def preflight(wire: AwsWire, *failing: tuple[str, str], ok: tuple[str, ...] = ("targets", "document")) -> None:
    rows = [{"name": name, "ok": True, "detail": ""} for name in ok]
    rows += [{"name": name, "ok": False, "detail": detail} for name, detail in failing]
    report = {"X-Amz-Log-Result": "SW5pdCBEdXJhdGlvbjogMSBtcw=="}  # Init Duration: 1 ms
    body = json.dumps({"ok": False, "checks": rows})
    wire.answers["Invoke"] = lambda _: (200, body, report)


def tagged(wire: AwsWire, *arns: str) -> None:
    wire.answer("GetResources", {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": []} for arn in arns]})


def switch(wire: AwsWire, state: str, *completed_hours_ago: float) -> None:
    alarm = {"AlarmName": "missed", "StateValue": state, "Period": 3600, "EvaluationPeriods": 26}
    wire.answer("DescribeAlarms", {"MetricAlarms": [alarm]})

    def statistics(asked: Any) -> tuple[int, str]:
        since = datetime.now(UTC) - datetime.fromtimestamp(asked["StartTime"], UTC)
        points = [{"Sum": 1.0} for hours in completed_hours_ago if timedelta(hours=hours) < since]
        return 200, json.dumps({"Datapoints": points})

    wire.answers["GetMetricStatistics"] = statistics


REACH, UNREADABLE = ("reach", "It timed out."), ("targets", f"The parameters cannot be read: {DENIED}")
UNKNOWN, NOT_ASKED = "RDS does not know arn, so no tags select anything here.", f"RDS could not be asked: {DENIED}"
RESOURCES = ("SQS::Queue", f"{SQS}prod-dead"), ("Lambda::Function", "prod-backup"), ("IAM::Role", "prod-role")
QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:prod-dead"
# Each step, what AWS says of a healthy stack, and of broken ones.
CASES: list[tuple[str, str, Callable[[AwsWire], None]]] = [
    ("tags", "ok", lambda wire: tagged(wire, QUEUE_ARN, OUTPUTS["BackupFunctionArn"])),
    ("tags", "failed", lambda wire: tagged(wire, QUEUE_ARN)),
    ("first-invocation", "ok", lambda wire: preflight(wire, ("secret", "It holds no token."), REACH)),
    ("first-invocation", "failed", lambda wire: preflight(wire, UNREADABLE, REACH, ok=())),
    ("first-invocation", "failed", lambda wire: preflight(wire, ("secret", "It holds no token."))),
    ("rds-access", "ok", lambda wire: wire.answer("Invoke", {"explain": {}, "warning": UNKNOWN})),
    ("rds-access", "failed", lambda wire: wire.answer("Invoke", {"explain": {}, "warning": NOT_ASKED})),
    ("rds-access", "failed", lambda wire: wire.answer("Invoke", {"warning": UNKNOWN}, {"warning": NOT_ASKED})),
    ("topic", "ok", lambda wire: messages(wire, MARK, letter=MARK)),
    ("topic", "failed", lambda wire: messages(wire, letter=MARK)),
    ("topic", "failed", lambda wire: messages(wire, MARK)),
    ("queue", "ok", lambda wire: logs(wire, line(MARK))),
    ("queue", "failed", lambda wire: logs(wire, line(MARK, "A message failed; it is received again"))),
    ("queue", "failed", lambda wire: logs(wire, line(MARK, outcome="Unauthorized"))),
    ("killed-run", "ok", lambda wire: logs(wire, f"REPORT RequestId: {RUN}", line(RUN))),
    ("killed-run", "failed", lambda wire: logs(wire, f"REPORT RequestId: {RUN}", line(RUN, run=RUN))),
    ("killed-run", "failed", lambda wire: logs(wire, f"REPORT RequestId: {RUN}")),
    ("metrics", "ok", lambda wire: wire.answer("GetMetricStatistics", {"Datapoints": [{"Sum": 1.0}]})),
    ("metrics", "failed", lambda wire: wire.answer("GetMetricStatistics", {"Datapoints": []})),
    ("dead-mans-switch", "ok", lambda wire: switch(wire, "ALARM")),
    ("dead-mans-switch", "failed", lambda wire: switch(wire, "OK")),
    # At any hour after an audit, and before its metric is there.
    *(("dead-mans-switch", "later", lambda wire, h=hours: switch(wire, "OK", h)) for hours in (0.1, 1, 9, 23, 25, 27)),
    ("dead-mans-switch", "later", lambda wire: switch(wire, "ALARM", 0.1)),
    ("dead-mans-switch", "failed", lambda wire: switch(wire, "ALARM", 9)),
]


def messages(wire: AwsWire, published: str = "", letter: str = "") -> None:
    """The subscribed queue has a message, and the dead-letter queue a letter of this target."""

    def receive(asked: Any) -> tuple[int, str]:
        text = json.dumps({"target": letter, "requestId": "1"}) if asked["QueueUrl"].endswith("-dead") else published
        item = {"MessageId": "1", "ReceiptHandle": "1", "Body": text, "Attributes": {"SentTimestamp": "1500"}}
        return 200, json.dumps({"Messages": [item] if text else []})

    wire.answers["ReceiveMessage"] = receive


@pytest.fixture
def healthy(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A stack of which AWS answers what each case does not say."""
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=0))
    monkeypatch.setattr("tests.aws.subject.time.sleep", lambda _: None)
    settings = {"LoggingConfig": {"LogGroup": "prod"}, "Timeout": 50, "Handler": "h", "LastUpdateStatus": "Successful"}
    for operation, body in {
        "Invoke": {},
        "GetFunctionConfiguration": settings,
        "UpdateFunctionConfiguration": settings,
        "PutParameter": {},
        "DeleteParameter": {},
        "SendMessage": {"MessageId": "1"},
        "CreateQueue": {"QueueUrl": f"{SQS}{MARK}"},
        "DeleteQueue": {},
        "DeleteMessageBatch": {"Successful": [{"Id": "0"}], "Failed": []},
        "ChangeMessageVisibilityBatch": {"Successful": [], "Failed": []},
        "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessagesNotVisible": "0"}},
    }.items():
        wire.answer(operation, body)
    wire.answers["Invoke"] = lambda _: (200, "{}", {"x-amzn-RequestId": RUN})
    listed = members(
        *(
            f"<ResourceType>AWS::{kind}</ResourceType><PhysicalResourceId>{name}</PhysicalResourceId>"
            for kind, name in RESOURCES
        )
    )
    summaries = f"<StackResourceSummaries>{listed}</StackResourceSummaries>"
    detail = "<StackResourceDetail><PhysicalResourceId>missed</PhysicalResourceId></StackResourceDetail>"
    wire.answers |= {
        "ListStackResources": lambda _: xml("ListStackResources", summaries),
        "DescribeStackResource": lambda _: xml("DescribeStackResource", detail),
        "Subscribe": lambda _: xml("Subscribe", f"<SubscriptionArn>{TOPIC}:1</SubscriptionArn>"),
        "Unsubscribe": lambda _: xml("Unsubscribe", ""),
    }
    parameters = {"CommvaultApiUrl": "https://192.0.2.1/api", "AuditScheduleExpression": "cron(0 6 * * ? *)"}
    description = {
        "StackId": ARN,
        "CreationTime": datetime.now(UTC) - timedelta(days=9),
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS.items()],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Tags": [{"Key": "purpose", "Value": "verify-on-aws"}],
    }
    return Subject.of(DeployedStack("prod", session_of("us-east-1", None), description))


@pytest.mark.parametrize(("step", "verdict", "answers"), CASES, ids=[f"{step}-{verdict}" for step, verdict, _ in CASES])
def test_a_step_fails_without_what_it_proves(
    healthy: Subject, wire: AwsWire, step: str, verdict: str, answers: Callable[[AwsWire], None]
) -> None:
    answers(wire)
    found, seen = STEPS[step](healthy)
    assert found == verdict, seen


def test_what_a_step_makes_is_deleted(healthy: Subject, wire: AwsWire) -> None:
    logs(wire)
    messages(wire)
    for step in ("topic", "queue", "killed-run"):
        assert STEPS[step](healthy)[0] == "failed"
    count = wire.operations.count
    assert count("PutParameter") == count("DeleteParameter") == 2
    assert count("CreateQueue") == count("DeleteQueue") == count("Unsubscribe") == 1
    changed = [asked["Handler"] for asked in wire.asked("UpdateFunctionConfiguration")]
    assert changed == ["verify_no_such_module.handler", "h"]
