"""What the functions' roles allow is what the functions do: each call at the wire is allowed, and nothing else is."""

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from tests.iam import Statement, decide, listed, matches
from tests.integration.drive import Recorded, drive
from tests.integration.permissions import Permission, is_meaningful, needed
from tests.unit.documents import rows, spans
from tests.unit.template import TEMPLATE, Resolved

# One process makes all the calls: what another one records cannot be seen here.
pytestmark = pytest.mark.xdist_group("least-privilege")

FUNCTIONS = [name for name, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::Serverless::Function"]
KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
EVERYTHING = {"KmsKeyArn": KEY, "SubnetIds": "subnet-0a", "SecurityGroupIds": "sg-0a"}
# What AWS does in a function's name, and its code does not.
BY_AWS = {
    **dict.fromkeys(("logs:CreateLogStream", "logs:PutLogEvents"), "Lambda writes the function's log"),
    **dict.fromkeys(
        ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), "Lambda polls the queue for the function"
    ),
    **dict.fromkeys(("kms:Decrypt", "kms:GenerateDataKey"), "the service that is called uses the key"),
    **dict.fromkeys(
        (
            *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
            *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
        ),
        "Lambda attaches the function to the VPC",
    ),
}


@pytest.fixture(scope="module")
def recorded(aws: Emulator) -> Recorded:
    return drive(aws)


def templates(recorded: Recorded) -> list[Resolved]:
    """Return the template with the names of the resources and all that parameters can add; they exclude each other once."""
    with_key = [EVERYTHING, EVERYTHING | {"TokenSecretKmsKeyArn": KEY}]
    return [Resolved(recorded.template.parameters | given) for given in with_key]


def made(recorded: Recorded, function: str) -> set[Permission]:
    return {one for call in recorded.calls[function] for one in needed(call)}


def statements(recorded: Recorded, function: str) -> Iterator[tuple[str, Statement]]:
    """Yield every statement that a function's role can have, with the role or policy that it is of."""
    for template in templates(recorded):
        for policy, its_statements in template.policies_of(function).items():
            yield from ((policy, statement) for statement in its_statements)


def allowed(recorded: Recorded, function: str) -> Iterator[tuple[str, str, Permission]]:
    """Yield every action with every resource of the statements that allow something, where the two have to do with each other."""
    for policy, statement in statements(recorded, function):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                pairs = [Permission(action, resource) for resource in listed(statement["Resource"])]
                yield from ((policy, statement["Sid"], one) for one in pairs if is_meaningful(one))


def uses(made: set[Permission], allowed: Permission) -> bool:
    return any(one.action == allowed.action and matches(allowed.resource, one.resource) for one in made)


def test_every_function_is_driven(recorded: Recorded) -> None:
    assert sorted(recorded.calls) == sorted(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_missing(recorded: Recorded, function: str) -> None:
    granted = [statement for _, statement in statements(recorded, function)]
    refused = [one for one in made(recorded, function) if decide(granted, one.action, one.resource) != "Allow"]
    assert refused == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_spare(recorded: Recorded, function: str) -> None:
    calls = made(recorded, function)
    spare = [
        (policy, sid, permission)
        for policy, sid, permission in allowed(recorded, function)
        if permission.action not in BY_AWS and not uses(calls, permission)
    ]
    assert spare == []


def test_no_audit_submits_and_its_role_cannot(recorded: Recorded) -> None:
    """It can start nothing but what the Submit function decides about: it sends to that one's queue."""
    granted = {permission for *_, permission in allowed(recorded, "AuditFunction")}
    queues = {one.resource for one in granted if one.action.startswith("sqs:")}
    assert queues == {recorded.template.parameters["SubmissionsQueue.Arn"]}
    starting = ("lambda:", "states:", "events:", "scheduler:", "iam:", "rds:Create", "rds:Start", "rds:Restore")
    assert not [one for one in granted if one.action.startswith(starting)]
    assert recorded.audited_requests
    assert "/CreateTask" not in recorded.audited_requests


def test_what_aws_does_itself_is_allowed_and_never_called(recorded: Recorded) -> None:
    granted = {permission.action for function in FUNCTIONS for *_, permission in allowed(recorded, function)}
    called = {permission.action for function in FUNCTIONS for permission in made(recorded, function)}
    assert BY_AWS.keys() <= granted
    assert not BY_AWS.keys() & called


def test_the_table_of_permissions_is_what_was_recorded_and_what_aws_does(recorded: Recorded) -> None:
    happens = {
        (policy, sid, permission.action)
        for function in FUNCTIONS
        for policy, sid, permission in allowed(recorded, function)
        if permission.action in BY_AWS or uses(made(recorded, function), permission)
    }
    of_the_functions = {policy for policy, *_ in happens}
    table = {
        (policy, sid, action)
        for row in rows("docs/reference.md", "Roles")
        for (policy,), (sid,) in [(spans(row[0]), spans(row[1]))]
        for action in spans(row[2])
        if policy in of_the_functions and not row[2].startswith("denies")
    }
    assert table == happens
