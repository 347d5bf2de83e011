"""What the functions' roles allow is what the functions do: each call of AWS is allowed, and nothing else is."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from local.commserve import CommServe, content
from local.emulator import Emulator
from local.rds import RdsAccount, create_instance, delivered, rds_event
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.commvault import connection
from rds_snap_backup.config import Config
from rds_snap_backup.messaging.notifications import iso
from tests.iam import Statement, decide, listed, matches
from tests.integration.pairs import LIFETIME, PairInSecret
from tests.integration.permissions import Permission, arn, is_meaningful, needed, queue_arn
from tests.integration.timeline import DAY, Call, Timeline
from tests.integration.world import associations
from tests.support import ACCOUNT, REGION
from tests.unit.template import TEMPLATE, Resolved

# One process makes all the calls: what another one records cannot be seen here.
pytestmark = pytest.mark.xdist_group("least-privilege")

FUNCTIONS = [
    name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
]
KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
MEMBERS = {"AUDIT_MEMBERS": "444455556666"}
EVERYTHING = {
    "AuditMembers": "444455556666",
    "KmsKeyArn": KEY,
    "TokenSecretKmsKeyArn": KEY,
    "SubnetIds": "subnet-0a",
    "SecurityGroupIds": "sg-0a",
}
# What AWS does in a function's name, and its code does not: logs, the event source, customer keys, the VPC.
BY_AWS = {
    *("logs:CreateLogStream", "logs:PutLogEvents"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    *("kms:Decrypt", "kms:GenerateDataKey"),
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
}


@dataclass(frozen=True)
class Recorded:
    """The template with the names of the resources, each function's calls, and the audits' requests to Commvault."""

    template: Resolved
    calls: dict[str, list[Call]]
    audited_requests: list[str]


@pytest.fixture(scope="module")
def recorded(aws: Emulator) -> Iterator[Recorded]:
    with CommServe() as commserve, pytest.MonkeyPatch.context() as patch:
        times = SimpleNamespace(time=commserve.clock.now, monotonic=time.monotonic)
        patch.setattr(connection, "time", times)
        stack = f"stack-{uuid.uuid4().hex[:8]}"
        alarms = aws.client("sns").create_topic(Name=f"{stack}-alarms")["TopicArn"]
        path = f"/rds-snap-backup/{stack}/targets/"
        aws.client("scheduler").create_schedule_group(Name=stack)
        settings = {"TARGETS_PATH": path, "ALARM_TOPIC_ARN": alarms, "POWERTOOLS_SERVICE_NAME": stack, **MEMBERS}
        settings |= {"SCHEDULE_GROUP": stack, "REPORT_BUCKET": stack}
        settings["STACK_ARN"] = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/1"
        aws.client("s3").create_bucket(Bucket=stack)
        timeline = Timeline(aws, commserve, **settings)
        PairInSecret(timeline)
        back_up(timeline)
        backup_calls, requests = list(timeline.calls), len(commserve.requests)
        timeline.calls.clear()
        audit(timeline)
        template = Resolved(
            {
                "AWS::StackName": stack,
                "AWS::Region": REGION,
                "AWS::AccountId": ACCOUNT,
                "CommvaultApiUrl": commserve.url,
                "Ledger": timeline.name,
                "Ledger.Arn": arn("dynamodb", f"table/{timeline.name}"),
                "SubmissionsQueue": timeline.submissions,
                "SubmissionsQueue.Arn": queue_arn(timeline.submissions),
                "DeadLetterQueue": timeline.dead_letter_queue,
                "DeadLetterQueue.Arn": queue_arn(timeline.dead_letter_queue),
                "Notifications": timeline.config.notifications_topic_arn,
                "AlarmTopicArn": alarms,
                "Schedules": stack,
                "ReportBucketName": stack,
                "TokenSecretArn": timeline.secret,
                "CaCertificateParameter": timeline.config.ca_certificate_parameter,
                **EVERYTHING,
            }
        )
        audited = [request.path for request in commserve.requests[requests:]]
        yield Recorded(template, {"BackupFunction": backup_calls, "AuditFunction": list(timeline.calls)}, audited)


def back_up(timeline: Timeline) -> None:
    """Drive the Backup function through every way that a submission can go."""
    rds, commserve = timeline.aws.client("rds"), timeline.commserve
    create_instance(rds, timeline.name, "mysql")
    timeline.deliver(timeline.event(timeline.name))
    timeline.deliver(delivered(rds_event(f"{timeline.name}-cluster", source_type="CLUSTER")))
    timeline.run()
    commserve.advance(LIFETIME)
    timeline.target("group", associations=associations("billing-db", "users-db"))
    for fault in ("reset_after", "maintenance", "throttled"):
        commserve.fault(fault)
        timeline.deliver(timeline.schedule(fault, "group"))
        timeline.run()
    commserve.fault("error_top", code=4)
    timeline.deliver({"target": "default", "requestId": "rejected"})
    timeline.deliver(timeline.schedule("all", "*"))
    timeline.deliver({"no": "trigger"})
    timeline.run()
    commserve.fault("maintenance")
    timeline.deliver(timeline.schedule("stuck"))
    timeline.queue.clear()


def audit(timeline: Timeline) -> None:
    """Drive the Audit function by hand, and by its schedule with something to publish and to send again."""
    rds, commserve = timeline.aws.client("rds"), timeline.commserve
    commserve.advance(DAY)
    login = {"MasterUsername": "admin", "MasterUserPassword": "fake-password"}
    rds.create_db_cluster(DBClusterIdentifier=f"{timeline.name}-cluster", Engine="aurora-mysql", **login)
    commserve.attach("aws-prod", RdsAccount((rds,)))
    commserve.set_content("aws-prod", "all", [content.everything()])
    commserve.add_job("aws-prod", "all", start=commserve.clock.now() - 60, seconds=1)
    auditor = timeline.auditor(timeline.clock)
    due = {"audit": True, "schedule": "audit", "time": iso(timeline.clock())}
    # Another run of the same time finds the report.
    for event in ({"check": True}, {"audit": True}, due, {**due, "schedule": "another"}):
        assert "refused" not in answer(auditor, event, "request", lambda: 300)
    assert timeline.queue


def made(recorded: Recorded, function: str) -> set[Permission]:
    return {permission for call in recorded.calls[function] for permission in needed(call)}


def statements(recorded: Recorded, function: str) -> list[Statement]:
    return [statement for part in recorded.template.policies_of(function).values() for statement in part]


def allowed(recorded: Recorded, function: str) -> Iterator[tuple[str, Permission]]:
    """Yield every action with every resource of the statements that allow something, where they have to do with each other."""
    for statement in statements(recorded, function):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                pairs = [Permission(action, resource) for resource in listed(statement["Resource"])]
                yield from ((statement["Sid"], permission) for permission in pairs if is_meaningful(permission))


def uses(made: set[Permission], allowed: Permission) -> bool:
    return any(
        permission.action == allowed.action and matches(allowed.resource, permission.resource) for permission in made
    )


def test_every_function_is_driven_and_finds_its_settings_in_the_template(recorded: Recorded) -> None:
    assert sorted(recorded.calls) == sorted(FUNCTIONS)
    for function in FUNCTIONS:
        config = Config.from_env(recorded.template.variables_of(function))
        assert config.token_secret_arn == recorded.template.parameters["TokenSecretArn"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_missing(recorded: Recorded, function: str) -> None:
    granted = statements(recorded, function)
    refused = [
        permission
        for permission in made(recorded, function)
        if decide(granted, permission.action, permission.resource) != "Allow"
    ]
    assert refused == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_spare(recorded: Recorded, function: str) -> None:
    calls = made(recorded, function)
    granted = [(sid, permission) for sid, permission in allowed(recorded, function) if permission.action not in BY_AWS]
    assert [(sid, permission) for sid, permission in granted if not uses(calls, permission)] == []


def test_what_aws_does_itself_is_allowed_and_never_called(recorded: Recorded) -> None:
    granted = {permission.action for function in FUNCTIONS for _, permission in allowed(recorded, function)}
    called = {permission.action for function in FUNCTIONS for permission in made(recorded, function)}
    assert granted >= BY_AWS
    assert not BY_AWS & called


def test_no_audit_submits_and_its_role_cannot(recorded: Recorded) -> None:
    """It can start nothing but what the Backup function decides about: it sends to that one's queue."""
    granted = {permission for _, permission in allowed(recorded, "AuditFunction")}
    queues = {permission.resource for permission in granted if permission.action.startswith("sqs:")}
    assert queues == {recorded.template.parameters["SubmissionsQueue.Arn"]}
    starting = ("lambda:", "states:", "events:", "scheduler:Create", "iam:", "rds:Create", "rds:Start", "rds:Restore")
    assert not [permission for permission in granted if permission.action.startswith(starting)]
    assert recorded.audited_requests
    assert "/CreateTask" not in recorded.audited_requests
