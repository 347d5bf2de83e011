"""What the template's policies decide: the key, the VPC, the queues and the topic; and what cannot be put into them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.iam import decide, listed
from tests.unit.template import PSEUDO, TEMPLATE, Resolved, rule_arn

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
KEY, TOKEN_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number}" for number in (1, 2))
GIVEN = {
    "KmsKeyArn": KEY,
    "TokenSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:token-AbCdEf",
    "TokenSecretKmsKeyArn": TOKEN_KEY,
    "CaCertificateParameter": "/ca",
    "SubnetIds": "subnet-0a",
    "SecurityGroupIds": "sg-0a",
    "PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
}
FULL = Resolved(GIVEN)
FUNCTIONS = FULL.of_type("AWS::Serverless::Function")
POLICY_TYPES = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
TLS = {"aws:SecureTransport": "true"}
PRINCIPAL = {**TLS, "aws:PrincipalIsAWSService": "false"}


def granted(function: str, **given: str) -> list[dict[str, Any]]:
    return [one for part in Resolved(GIVEN | given).policies_of(function).values() for one in part]


# ---- The key


def key_use(function: str, key: str, **given: str) -> dict[str, set[str]]:
    """Return the services through which a function may use a key, by action."""
    services = ("dynamodb", "logs", "s3", "secretsmanager", "sns", "sqs", "ssm")
    statements = granted(function, **given)
    return {
        action: {
            service
            for service in services
            if decide(statements, action, key, {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}) == "Allow"
        }
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    }


def test_the_stacks_key_is_used_through_the_services_that_encrypt_with_it() -> None:
    read = {"dynamodb", "sns", "sqs"}
    assert key_use("SubmitFunction", KEY) == {"kms:Decrypt": read, "kms:GenerateDataKey": {"sns", "sqs"}}
    assert key_use("FollowFunction", KEY) == {"kms:Decrypt": read, "kms:GenerateDataKey": {"sns"}}
    assert key_use("AuditFunction", KEY) == {"kms:Decrypt": read, "kms:GenerateDataKey": {"sns", "sqs"}}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("renews", ["true", "false"])
def test_the_tokens_key_is_used_through_secrets_manager_and_to_write_only_to_renew(function: str, renews: str) -> None:
    writes = {"secretsmanager"} if renews == "true" else set()
    expected = {"kms:Decrypt": {"secretsmanager"}, "kms:GenerateDataKey": writes}
    assert key_use(function, TOKEN_KEY, RenewToken=renews) == expected
    # Without one of its own it is the stack's, as for a secret that the stack creates.
    for given in ({"TokenSecretKmsKeyArn": ""}, {"TokenSecretArn": ""}):
        found = key_use(function, KEY, RenewToken=renews, **given)
        assert {action: services & {"secretsmanager"} for action, services in found.items()} == expected


def test_no_key_is_used_directly_and_none_without_one() -> None:
    for roles in (FULL, Resolved()):
        policies = roles.of_type("AWS::IAM::Role") | roles.of_type("AWS::IAM::ManagedPolicy")
        statements = [
            one for one in found(policies) if any(action.startswith("kms:") for action in listed(one["Action"]))
        ]
        assert bool(statements) is (roles is FULL)
        assert all(one["Condition"]["StringEquals"].keys() == {"kms:ViaService"} for one in statements)
        assert all(one["Resource"] in {KEY, TOKEN_KEY} for one in statements)


def found(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the statements with an ID in a part of the template."""
    match part:
        case {"Sid": _}:
            yield part
        case dict():
            yield from (one for value in part.values() for one in found(value))
        case list():
            yield from (one for value in part for one in found(value))


# ---- The audit


def test_the_audit_can_submit_nothing() -> None:
    own = FULL.policies_of("AuditFunction")["AuditRole"]
    assert {action for one in own for action in listed(one["Action"])} == {
        *("logs:CreateLogStream", "logs:PutLogEvents"),
        *("rds:DescribeDBInstances", "rds:DescribeDBClusters"),
        *("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots"),
        *("dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:Query"),
        *("ssm:GetParametersByPath", "ssm:GetParameter"),
        *("sns:ListSubscriptionsByTopic", "sns:Publish"),
        *("sqs:SendMessage", "kms:GenerateDataKey"),
    }
    statements = granted("AuditFunction")
    reached = {
        one for statement in own for one in listed(statement["Resource"]) if "sqs:SendMessage" in statement["Action"]
    }
    assert reached == {"SubmissionsQueue.Arn"}
    for action in (
        "lambda:InvokeFunction",
        "dynamodb:PutItem",
        "dynamodb:DeleteItem",
        "rds:CreateDBSnapshot",
        "rds:DeleteDBInstance",
    ):
        assert decide(statements, action, "*") == "Nothing"


@pytest.mark.parametrize("function", ["SubmitFunction", "AuditFunction"])
@pytest.mark.parametrize(("index", "may"), [("open-submissions", "Allow"), ("another", "Nothing"), ("", "Nothing")])
def test_what_queries_the_ledger_queries_one_index(function: str, index: str, may: str) -> None:
    resource = "Ledger.Arn" + (f"/index/{index}" if index else "")
    assert decide(granted(function), "dynamodb:Query", resource) == may
    (its_index,) = FULL.of_type("AWS::DynamoDB::Table")["Ledger"]["GlobalSecondaryIndexes"]
    assert its_index["IndexName"] == "open-submissions"


@pytest.mark.parametrize("kind", ["db", "cluster", "snapshot", "cluster-snapshot"])
def test_the_audit_reads_databases_of_its_account_and_region(kind: str) -> None:
    statements = granted("AuditFunction")
    action = "rds:DescribeDBSnapshots" if "snapshot" in kind else "rds:DescribeDBInstances"
    assert decide(statements, action, f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:orders") == "Allow"
    assert decide(statements, action, f"arn:aws:rds:us-west-2:{ACCOUNT}:{kind}:orders") == "Nothing"
    assert decide(statements, action, f"arn:aws:rds:{REGION}:999988887777:{kind}:orders") == "Nothing"


@pytest.mark.parametrize("function", ["SubmitFunction", "AuditFunction"])
def test_schedules_may_start_the_functions_that_are_scheduled(function: str) -> None:
    schedules = list(found(FULL.of_type("AWS::IAM::Role")["SchedulerRole"]))
    assert decide(schedules, "lambda:InvokeFunction", f"{function}.Arn") == "Allow"
    assert decide(schedules, "lambda:InvokeFunction", "FollowFunction.Arn") == "Nothing"


# ---- The VPC


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambda_attaches_a_function_to_the_vpc_and_its_code_cannot(function: str) -> None:
    statements = granted(function)
    (allowed,) = [one["Action"] for one in statements if one["Sid"] == "NetworkInterfaces"]
    long_name = (
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:a-name-that-cloudformation-shor-{function[:4]}-0A1B2C3D4E5F"
    )
    by_code = {"lambda:SourceFunctionArn": long_name}
    for action in allowed:
        assert decide(statements, action, "*") == "Allow"
        assert decide(statements, action, "*", by_code) == "Deny"
    assert decide(statements, "ec2:DetachNetworkInterface", "*") == "Nothing"
    # What the code needs is not denied to it.
    assert decide(statements, "sns:Publish", "Notifications", by_code) == "Allow"
    assert not [one for one in granted(function, SubnetIds="", SecurityGroupIds="") if "ec2:" in str(one["Action"])]


# ---- Queues and topic


def resource_policies() -> dict[str, list[dict[str, Any]]]:
    """Return the statements about each queue and topic, by its logical id."""
    queues, topics = FULL.of_type("AWS::SQS::QueuePolicy"), FULL.of_type("AWS::SNS::TopicPolicy")
    return {
        name: policy["PolicyDocument"]["Statement"]
        for policy in (queues | topics).values()
        for name in policy.get("Queues") or policy["Topics"]
    }


ABOUT = resource_policies()
ACTIONS = {
    "SQS": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:PurgeQueue", "sqs:SetQueueAttributes"),
    "SNS": ("sns:Publish", "sns:Subscribe", "sns:SetTopicAttributes", "sns:AddPermission"),
}


def test_each_queue_and_the_topic_has_one_policy() -> None:
    assert sorted(ABOUT) == sorted(FULL.of_type("AWS::SQS::Queue") | FULL.of_type("AWS::SNS::Topic"))
    policies = FULL.of_type("AWS::SQS::QueuePolicy") | FULL.of_type("AWS::SNS::TopicPolicy")
    assert len(policies) == len(ABOUT), "a second policy would replace the first"


@pytest.mark.parametrize("name", ABOUT)
def test_plain_transport_and_foreign_accounts_are_denied(name: str) -> None:
    statements = ABOUT[name]
    is_topic = name == "Notifications"
    resource = name if is_topic else f"{name}.Arn"
    ours = {**PRINCIPAL, "aws:PrincipalAccount": ACCOUNT}
    for action in ACTIONS["SNS" if is_topic else "SQS"]:
        assert decide(statements, action, resource, ours) == "Nothing", "the role's own permissions decide"
        assert decide(statements, action, resource, ours | {"aws:SecureTransport": "false"}) == "Deny"
        assert decide(statements, action, resource, ours | {"aws:PrincipalAccount": "999988887777"}) == "Deny"
        assert decide(statements, action, resource, TLS) == "Deny", "without any credentials"


RULE, TOPIC = rule_arn("rds-events"), "Notifications"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:any"


@pytest.mark.parametrize(
    ("service", "action", "name", "source"),
    [
        ("events", "sqs:SendMessage", "DeadLetterQueue", RULE),
        ("sns", "sqs:SendMessage", "JobsQueue", TOPIC),
        ("sns", "sqs:SendMessage", "JobsDeadLetterQueue", TOPIC),
        ("cloudwatch", "sns:Publish", "Notifications", ALARM),
    ],
)
def test_a_service_is_admitted_for_what_is_ours(service: str, action: str, name: str, source: str) -> None:
    resource = name if name == "Notifications" else f"{name}.Arn"
    theirs = {**TLS, "aws:PrincipalIsAWSService": "true", "aws:SourceAccount": ACCOUNT, "aws:SourceArn": source}
    by = f"{service}.amazonaws.com"
    assert decide(ABOUT[name], action, resource, theirs, by) == "Allow"
    assert decide(ABOUT[name], action, resource, theirs | {"aws:SourceArn": f"{source}x:y"[::-1]}, by) == "Nothing"
    assert decide(ABOUT[name], action, resource, theirs | {"aws:SecureTransport": "false"}, by) == "Deny"
    assert decide(ABOUT[name], action, resource, theirs, "s3.amazonaws.com") == "Nothing"
    assert decide(ABOUT["SubmissionsQueue"], "sqs:SendMessage", "SubmissionsQueue.Arn", theirs, by) == "Nothing"


# ---- What cannot be put into a policy


def parameters_in(part: Any) -> set[str]:
    """Return the parameters that a part of the template refers to."""
    names = re.findall(r"'Ref': '(\w+)'|\$\{(\w+)\}", str(part))
    return {name for pair in names for name in pair if name in TEMPLATE["Parameters"]}


IN_POLICIES = {
    name for one in TEMPLATE["Resources"].values() if one["Type"] in POLICY_TYPES for name in parameters_in(one)
}


def test_the_parameters_that_enter_policies() -> None:
    assert {
        *("TokenSecretArn", "TokenSecretKmsKeyArn", "KmsKeyArn", "CaCertificateParameter", "PermissionsBoundaryArn")
    } == IN_POLICIES


@pytest.mark.parametrize("name", sorted(IN_POLICIES))
@pytest.mark.parametrize("hostile", ["*", "?", "${aws:PrincipalTag/x}", " ", "\n", '"', ",", "[a]", "{a,b}", "\\"])
def test_no_parameter_widens_a_policy(name: str, hostile: str) -> None:
    pattern, proper = TEMPLATE["Parameters"][name]["AllowedPattern"], GIVEN[name]
    assert re.fullmatch(pattern, proper)
    admitted = "," if name == "PermissionsBoundaryArn" else ""  # a policy's name may have it, and it separates nothing
    for at in range(len(proper) + 1):
        widened = proper[:at] + hostile + proper[at:]
        assert hostile == admitted or not re.fullmatch(pattern, widened), widened
    assert not re.fullmatch(pattern, hostile)


@pytest.mark.parametrize(
    "arn",
    [
        "*",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:*",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:token-??????",
        "arn:aws:secretsmanager:*:111122223333:secret:token-AbCdEf",
        "arn:aws:secretsmanager:eu-west-1:*:secret:token-AbCdEf",
        "arn:*:secretsmanager:eu-west-1:111122223333:secret:token-AbCdEf",
    ],
)
def test_the_secret_is_one_secret(arn: str) -> None:
    assert not re.fullmatch(TEMPLATE["Parameters"]["TokenSecretArn"]["AllowedPattern"], arn)
