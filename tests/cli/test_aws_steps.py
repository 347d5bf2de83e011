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
from tests.aws.steps import COUNTED, STEPS, attempt
from tests.aws.subject import Member, Subject
from tests.cli.wire import AwsWire, members
from tests.unit.documents import first_column

PLACE = "us-east-1:111122223333"
MEMBER = "arn:aws:rds:eu-west-2:444455556666:db:verify-1"
SQS = "https://sqs.us-east-1.amazonaws.com/111122223333/"
MARK, RUN = "verify-000000000000", "run-1"
OUTPUTS = {
    "BackupFunctionName": "prod-backup",
    "BackupFunctionArn": f"arn:aws:lambda:{PLACE}:function:prod-backup",
    "AuditFunctionName": "prod-audit",
    "NotificationsTopicArn": f"arn:aws:sns:{PLACE}:prod-topic",
    "SubmissionsQueueUrl": f"{SQS}prod-submissions",
    "DeadLetterQueueUrl": f"{SQS}prod-dead",
    "DeadLetterQueueArn": f"arn:aws:sqs:{PLACE}:prod-dead",
    "TargetsPath": "/rds-snap-backup/prod/targets/",
}
NOWHERE = "https://192.0.2.1/commandcenter/api"


def stack(url: str = NOWHERE) -> DeployedStack:
    """Return a stack with this CommvaultApiUrl."""
    parameters = {"CommvaultApiUrl": url, "AuditScheduleExpression": "cron(0 6 * * ? *)"}
    description = {
        "StackId": f"arn:aws:cloudformation:{PLACE}:stack/prod/1",
        "CreationTime": datetime.now(UTC) - timedelta(days=9),
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS.items()],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Tags": [{"Key": "purpose", "Value": "verify-on-aws"}],
    }
    return DeployedStack("prod", session_of("us-east-1", None), description)


def test_a_stack_that_could_start_a_backup_is_refused(wire: AwsWire) -> None:
    wire.no_stack("prod-commserve")
    assert Subject.of(stack()).simulator == {}
    for url in ("https://commvault.example.com/commandcenter/api", "https://id.lambda-url.us-east-1.on.aws/api", ""):
        with pytest.raises(CannotRun, match="it is not made for this"):
            Subject.of(stack(url))


def test_no_database_in_use_is_restarted() -> None:
    assert Member.of(MEMBER, None, stack()).name == "verify-1"
    own = f"arn:aws:rds:{PLACE}:db:verify-1"
    for database in (MEMBER.replace("verify-1", "orders"), MEMBER.replace(":db:", ":cluster:"), "verify-1", own):
        with pytest.raises(CannotRun):
            Member.of(database, None, stack())


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What it proves") == list(STEPS)
    assert first_column("docs/verify-on-aws.md", "Counting jobs") == list(COUNTED)


# ---- Healthy and broken stacks

DENIED = "An error occurred (AccessDeniedException): it is not authorized."
REACH, UNREADABLE = ("reach", "It timed out."), ("targets", f"The parameters cannot be read: {DENIED}")
UNKNOWN, NOT_ASKED = "RDS does not know arn, so no tags select anything here.", f"RDS could not be asked: {DENIED}"
RESOURCES = {f"{SQS}prod-dead": "SQS::Queue", "prod-backup": "Lambda::Function", "prod-role": "IAM::Role"}


def line(trigger: str, message: str = "Commvault answered", outcome: str = "Unavailable", run: str = "run-2") -> str:
    return json.dumps({"message": message, "outcome": outcome, "trigger": trigger, "function_request_id": run})


def logs(wire: AwsWire, *lines: str) -> None:
    wire.answer("FilterLogEvents", {"events": [{"message": item} for item in lines]})


def preflight(wire: AwsWire, *failing: tuple[str, str], ok: tuple[str, ...] = ("targets", "document")) -> None:
    rows = [{"name": name, "ok": True, "detail": ""} for name in ok]
    rows += [{"name": name, "ok": False, "detail": detail} for name, detail in failing]
    report = {"X-Amz-Log-Result": "SW5pdCBEdXJhdGlvbjogMSBtcw=="}  # Init Duration: 1 ms
    wire.answers["Invoke"] = lambda _: (200, json.dumps({"ok": False, "checks": rows}), report)


def warned(wire: AwsWire, *warnings: str) -> None:
    wire.answer("Invoke", *({"explain": {}, "warning": warning} for warning in warnings))


def tagged(wire: AwsWire, *arns: str) -> None:
    wire.answer("GetResources", {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": []} for arn in arns]})


def messages(wire: AwsWire, published: str = "", letter: str = "") -> None:
    """The subscribed queue has a message, and the dead-letter queue a letter of this target."""

    def receive(asked: Any) -> tuple[int, str]:
        text = json.dumps({"target": letter, "requestId": "1"}) if asked["QueueUrl"].endswith("-dead") else published
        item = {"MessageId": "1", "ReceiptHandle": "1", "Body": text, "Attributes": {"SentTimestamp": "1500"}}
        return 200, json.dumps({"Messages": [item] if text else []})

    wire.answers["ReceiveMessage"] = receive


def switch(wire: AwsWire, state: str, *completed_hours_ago: float) -> None:
    alarm = {"AlarmName": "missed", "StateValue": state, "Period": 3600, "EvaluationPeriods": 26}
    wire.answer("DescribeAlarms", {"MetricAlarms": [alarm]})

    def statistics(asked: Any) -> tuple[int, str]:
        since = datetime.now(UTC) - datetime.fromtimestamp(asked["StartTime"], UTC)
        points = [{"Sum": 1.0} for hours in completed_hours_ago if timedelta(hours=hours) < since]
        return 200, json.dumps({"Datapoints": points})

    wire.answers["GetMetricStatistics"] = statistics


REPORT = f"REPORT RequestId: {RUN}"
# Each step, what AWS says of a healthy stack, and of broken ones.
CASES: list[tuple[str, str, Callable[[AwsWire], None]]] = [
    ("tags", "ok", lambda wire: tagged(wire, OUTPUTS["DeadLetterQueueArn"], OUTPUTS["BackupFunctionArn"])),
    ("tags", "failed", lambda wire: tagged(wire, OUTPUTS["DeadLetterQueueArn"])),
    ("first-invocation", "ok", lambda wire: preflight(wire, ("secret", "It holds no token."), REACH)),
    ("first-invocation", "failed", lambda wire: preflight(wire, UNREADABLE, REACH, ok=())),
    ("rds-access", "ok", lambda wire: warned(wire, UNKNOWN)),
    ("rds-access", "failed", lambda wire: warned(wire, UNKNOWN, NOT_ASKED)),
    ("topic", "ok", lambda wire: messages(wire, MARK, letter=MARK)),
    ("topic", "failed", lambda wire: messages(wire, letter=MARK)),
    ("topic", "failed", lambda wire: messages(wire, MARK)),
    ("queue", "ok", lambda wire: logs(wire, line(MARK))),
    ("queue", "failed", lambda wire: logs(wire, line(MARK, outcome="Unauthorized"))),
    ("killed-run", "ok", lambda wire: logs(wire, REPORT, line(RUN))),
    ("killed-run", "failed", lambda wire: logs(wire, REPORT, line(RUN, run=RUN))),
    ("metrics", "ok", lambda wire: wire.answer("GetMetricStatistics", {"Datapoints": [{"Sum": 1.0}]})),
    ("metrics", "failed", lambda wire: wire.answer("GetMetricStatistics", {"Datapoints": []})),
    ("dead-mans-switch", "ok", lambda wire: switch(wire, "ALARM")),
    ("dead-mans-switch", "failed", lambda wire: switch(wire, "OK")),
    # At any hour after an audit, and before its metric is there.
    *(("dead-mans-switch", "later", lambda wire, h=hours: switch(wire, "OK", h)) for hours in (0.1, 9, 25, 27)),
    ("dead-mans-switch", "later", lambda wire: switch(wire, "ALARM", 0.1)),
    ("dead-mans-switch", "failed", lambda wire: switch(wire, "ALARM", 9)),
]


@pytest.fixture
def healthy(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A stack of which AWS answers what each case does not say."""
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=0))
    monkeypatch.setattr("tests.aws.subject.time.sleep", lambda _: None)
    settings = {"LoggingConfig": {"LogGroup": "prod"}, "Timeout": 50, "Handler": "h", "LastUpdateStatus": "Successful"}
    for operation in ("GetFunctionConfiguration", "UpdateFunctionConfiguration"):
        wire.answer(operation, settings)
    for operation in ("PutParameter", "DeleteParameter", "DeleteQueue", "SendMessage", "ChangeMessageVisibilityBatch"):
        wire.answer(operation, {})
    wire.answer("CreateQueue", {"QueueUrl": f"{SQS}{MARK}"})
    wire.answer("DeleteMessageBatch", {"Successful": [{"Id": "0"}], "Failed": []})
    wire.answer("GetQueueAttributes", {"Attributes": {"ApproximateNumberOfMessagesNotVisible": "0"}})
    wire.answers["Invoke"] = lambda _: (200, "{}", {"x-amzn-RequestId": RUN})
    listed = "<ResourceType>AWS::{}</ResourceType><PhysicalResourceId>{}</PhysicalResourceId>"
    summaries = members(*(listed.format(kind, name) for name, kind in RESOURCES.items()))
    wire.result("ListStackResources", f"<StackResourceSummaries>{summaries}</StackResourceSummaries>")
    missed = "<StackResourceDetail><PhysicalResourceId>missed</PhysicalResourceId></StackResourceDetail>"
    wire.result("DescribeStackResource", missed)
    wire.result("Subscribe", "<SubscriptionArn>arn:aws:sns:1</SubscriptionArn>")
    wire.result("Unsubscribe", "")
    return Subject.of(stack())


@pytest.mark.parametrize(("step", "verdict", "answers"), CASES, ids=[f"{step}-{verdict}" for step, verdict, _ in CASES])
def test_a_step_fails_without_what_it_proves(
    healthy: Subject, wire: AwsWire, step: str, verdict: str, answers: Callable[[AwsWire], None]
) -> None:
    answers(wire)
    found, seen = attempt(STEPS[step], healthy)
    assert found == verdict, seen


def test_what_a_step_makes_is_deleted(healthy: Subject, wire: AwsWire) -> None:
    logs(wire)
    messages(wire)
    for step in ("topic", "queue", "killed-run"):
        assert attempt(STEPS[step], healthy)[0] == "failed"
    count = wire.operations.count
    assert count("PutParameter") == count("DeleteParameter") == 2
    assert count("CreateQueue") == count("DeleteQueue") == count("Unsubscribe") == 1
    changed = [asked["Handler"] for asked in wire.asked("UpdateFunctionConfiguration")]
    assert changed == ["verify_no_such_module.handler", "h"]
