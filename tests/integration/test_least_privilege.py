"""What the functions' roles allow is what the functions do: each call of AWS is allowed, and nothing else is."""

from collections.abc import Iterator

import pytest

from rds_snap_backup.config import Config
from tests.iam import Statement, decide, listed, matches
from tests.integration.permissions import Permission, is_meaningful, needed
from tests.integration.recording import Recorded
from tests.unit.template import TEMPLATE

# One process makes all the calls: what another one records cannot be seen here.
pytestmark = pytest.mark.xdist_group("recorded")

FUNCTIONS = [
    name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
]
# What AWS does in a function's name, and its code does not: logs, the event source, customer keys, the VPC.
BY_AWS = {
    *("logs:CreateLogStream", "logs:PutLogEvents"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    *("kms:Decrypt", "kms:GenerateDataKey"),
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
}


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
def test_nothing_is_missing_and_nothing_is_spare(recorded: Recorded, function: str) -> None:
    granted, calls = statements(recorded, function), made(recorded, function)
    assert [call for call in calls if decide(granted, call.action, call.resource) != "Allow"] == []
    own = [(sid, each) for sid, each in allowed(recorded, function) if each.action not in BY_AWS]
    assert [(sid, permission) for sid, permission in own if not uses(calls, permission)] == []


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


def test_commvault_is_asked_to_start_jobs_and_to_renew_the_token_and_to_change_nothing_else(recorded: Recorded) -> None:
    """Browsing restore points is a POST that only reads."""
    assert recorded.posted == {"/CreateTask", "/V4/AccessToken/Renew", "/BrowseRDSBackups"}
