"""The template's policies, evaluated: the roles, the keys, the VPC, the queues and the topics, and hostile parameters."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.iam import decide, listed
from tests.integration.permissions import LISTED
from tests.unit.documents import rows, spans
from tests.unit.template import MEMBER, PSEUDO, TEMPLATE, Resolved, rule_arn

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
KEY, TOKEN_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number}" for number in (1, 2))
ALARM_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"
GIVEN = {
    "KmsKeyArn": KEY,
    "TokenSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:token-AbCdEf",
    "TokenSecretKmsKeyArn": TOKEN_KEY,
    "CaCertificateParameter": "/ca",
    "SubnetIds": "subnet-0a",
    "SecurityGroupIds": "sg-0a",
    "PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "AuditMembers": "444455556666",
    "OrganizationId": "o-a1b2c3d4e5",
    "ReportBucketName": "audits",
}
FULL = Resolved(GIVEN)
FUNCTIONS = ["BackupFunction", "AuditFunction"]
POLICY_TYPES = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
TLS = {"aws:SecureTransport": "true"}


def granted(function: str, **given: str) -> list[dict[str, Any]]:
    return [statement for part in Resolved(GIVEN | given).policies_of(function).values() for statement in part]


def statements(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the statements with an ID in a part of the template."""
    match part:
        case {"Sid": _}:
            yield part
        case dict():
            yield from (statement for value in part.values() for statement in statements(value))
        case list():
            yield from (statement for value in part for statement in statements(value))


# ---- The roles

SECRET = {"GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"}


def test_the_audit_writes_and_reads_its_own_reports_only() -> None:
    mine = f"arn:aws:s3:::audits/rds-snap-backup/{ACCOUNT}/{REGION}/backups/2026/01/31/2026-01-31T06:00:00Z.json"
    own, off = granted("AuditFunction"), granted("AuditFunction", ReportBucketName="off")
    for action in ("s3:PutObject", "s3:GetObject"):
        found = [decide(own, action, it) for it in (mine, mine.replace("backups", "others"))] + [
            decide(off, action, mine)
        ]
        assert found == ["Allow", "Nothing", "Nothing"]
    assert decide(own, "s3:DeleteObject", mine) == "Nothing"


def test_the_audit_assumes_the_roles_of_this_stacks_members_in_audited_regions_only() -> None:
    role = "arn:aws:iam::444455556666:role/backups-audit-eu-west-1"

    def may(function: str, role: str = role, **given: str) -> str:
        return decide(granted(function, **given), "sts:AssumeRole", role)

    assert (may("AuditFunction"), may("BackupFunction")) == ("Allow", "Nothing")
    assert may("AuditFunction", AuditMembers="off", AuditRegions="eu-west-1") == "Allow"
    assert may("AuditFunction", AuditMembers="off") == "Nothing"
    for other in ("another-audit-eu-west-1", "backups-audit-eu-west-1-admin", "backups-audit-us-east-1"):
        assert may("AuditFunction", role.replace("backups-audit-eu-west-1", other)) != "Allow"
    for region in ("us-east-1", "us-west-2"):
        regional = role.replace("eu-west-1", region)
        assert may("AuditFunction", regional, AuditRegions="us-east-1,us-west-2") == "Allow"
    assert may("AuditFunction", AuditRegions="us-east-1,us-west-2") == "Nothing"


@pytest.mark.parametrize(
    ("organization", "sources", "expected"),
    [
        ("o-a1b2c3d4e5", ["aws.rds", "aws.rds"], "Allow"),
        ("o-zzzzzzzzzz", ["aws.rds"], "Nothing"),
        ("o-a1b2c3d4e5", ["aws.rds", "x"], "Nothing"),
        ("o-a1b2c3d4e5", [], "Nothing"),
    ],
)
def test_the_members_bus_admits_the_organizations_rds_events(
    organization: str, sources: list[str], expected: str
) -> None:
    bus = FULL.resources["MembersBus"]["Properties"]
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus['Name']}"
    context: dict[str, str | list[str]] = {"aws:PrincipalOrgID": organization, "events:source": sources}
    assert decide(bus["Policy"]["Statement"], "events:PutEvents", arn, context) == expected
    assert decide(bus["Policy"]["Statement"], "events:PutRule", arn, context) == "Nothing"


def test_no_statement_is_about_everything_or_another_account_region_or_stack() -> None:
    policies = FULL.of_type("AWS::IAM::Role") | FULL.of_type("AWS::IAM::ManagedPolicy")
    found = [each for each in statements(policies) if each["Effect"] == "Allow"]
    roles = FULL.of_type("AWS::IAM::Role")
    assert sorted(roles) == ["AuditRole", "BackupRole", "SchedulerRole"]
    assert {role["PermissionsBoundary"] for role in roles.values()} == {GIVEN["PermissionsBoundaryArn"]}
    attached = {name for role in roles.values() for name in role.get("ManagedPolicyArns", [])}
    assert attached == {"CommonPolicy", "PlatformPolicy"}, "none of AWS's"
    named = {each["Sid"] for each in found if "*" in listed(each["Resource"])}
    assert named == {"Quotas", "Schedules", "NetworkInterfaces"}
    for function in FUNCTIONS:
        allowed = [statement for statement in granted(function) if statement["Effect"] == "Allow"]
        assert not [statement for statement in allowed if "*" in str(statement["Action"])]
        resources = {arn for statement in allowed for arn in listed(statement["Resource"])}
        arns = [arn.split(":") for arn in resources if arn.startswith("arn:")]
        assert {parts[3] for parts in arns} <= {REGION, ""}
        assert {parts[4] for parts in arns if parts[2] not in {"iam", "s3"}} == {ACCOUNT}
        own = "parameter/rds-snap-backup/backups/targets"
        assert {parts[5] for parts in arns if parts[2] == "ssm"} <= {"parameter/ca", own, f"{own}/", f"{own}/*"}


def test_the_managed_policies_are_within_their_size() -> None:
    """IAM counts 6,144 characters without whitespace."""
    longest = {"AWS::StackName": "s" * 128, "AWS::Region": "ap-southeast-1", "AWS::Partition": "aws-us-gov"}
    named = dict.fromkeys(("SubmissionsQueue.Arn", "Ledger.Arn", "Notifications"), "n" * 170)
    given = GIVEN | longest | named | {"CaCertificateParameter": "/" + "c" * 1000}
    for policy in Resolved(given).of_type("AWS::IAM::ManagedPolicy").values():
        assert len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"]))) < 6144


@pytest.mark.parametrize("renews", ["true", "false"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_secret_is_written_only_where_the_token_is_renewed(function: str, renews: str) -> None:
    for given, secret in (({}, GIVEN["TokenSecretArn"]), ({"TokenSecretArn": ""}, "TokenSecret.Id")):
        found = granted(function, RenewToken=renews, **given)
        allowed = {action for action in SECRET if decide(found, f"secretsmanager:{action}", secret) == "Allow"}
        assert allowed == (SECRET if renews == "true" else {"GetSecretValue"})
        assert decide(found, "secretsmanager:GetSecretValue", f"{secret}x") == "Nothing"


# ---- The keys


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("renews", ["true", "false"])
def test_keys_are_used_through_the_services_that_encrypt_with_them(function: str, renews: str) -> None:
    found = granted(function, RenewToken=renews)

    def services(action: str, key: str) -> set[str]:
        names = ("dynamodb", "logs", "s3", "secretsmanager", "sns", "sqs", "ssm")
        via = {name: {"kms:ViaService": f"{name}.{REGION}.amazonaws.com"} for name in names}
        return {name for name in names if decide(found, f"kms:{action}", key, via[name]) == "Allow"}

    for each in (found, granted(function, KmsKeyArn="", TokenSecretKmsKeyArn="")):
        direct = [statement for statement in each if "kms:" in str(statement["Action"])]
        assert {statement["Resource"] for statement in direct} == ({KEY, TOKEN_KEY} if each is found else set())
        assert all(statement["Condition"]["StringEquals"].keys() == {"kms:ViaService"} for statement in direct)
    token = {"secretsmanager"} if renews == "true" else set()
    assert services("Decrypt", KEY) == {"dynamodb", "secretsmanager", "sns", "sqs"}
    assert services("GenerateDataKey", KEY) == {"sns", "sqs"} | token
    assert (services("Decrypt", TOKEN_KEY), services("GenerateDataKey", TOKEN_KEY)) == ({"secretsmanager"}, token)


# ---- The VPC


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambda_attaches_a_function_to_the_vpc_and_its_code_cannot(function: str) -> None:
    found = granted(function)
    (allowed,) = [statement["Action"] for statement in found if statement["Sid"] == "NetworkInterfaces"]
    by_code = {
        "lambda:SourceFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:backups-{function}-0A1B2C3D4E5F"
    }
    for action in allowed:
        assert decide(found, action, "*") == "Allow"
        assert decide(found, action, "*", by_code) == "Deny"
    assert decide(found, "sns:Publish", "Notifications", by_code) == "Allow"


# ---- Queues and topics


POLICIES = FULL.of_type("AWS::SQS::QueuePolicy") | FULL.of_type("AWS::SNS::TopicPolicy")
NAMED = [(name, each) for each in POLICIES.values() for name in each.get("Queues", each.get("Topics"))]
# The statements about each queue and topic, by its logical ID.
ABOUT = {name: policy["PolicyDocument"]["Statement"] for name, policy in NAMED}
TOPICS = FULL.of_type("AWS::SNS::Topic")
ACTIONS = {
    True: ("sns:Publish", "sns:Subscribe", "sns:SetTopicAttributes", "sns:AddPermission"),
    False: ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:PurgeQueue", "sqs:SetQueueAttributes"),
}


@pytest.mark.parametrize("name", ABOUT)
def test_plain_transport_and_foreign_accounts_are_denied(name: str) -> None:
    assert [each for each, _ in NAMED].count(name) == 1, "a second policy would replace the first"
    resource = name if name in TOPICS else f"{name}.Arn"
    ours = {**TLS, "aws:PrincipalIsAWSService": "false", "aws:PrincipalAccount": ACCOUNT}
    foreign = [{"aws:SecureTransport": "false"}, {"aws:PrincipalAccount": "999988887777"}]
    for action in ACTIONS[name in TOPICS]:
        assert decide(ABOUT[name], action, resource, ours) == "Nothing", "the role's own permissions decide"
        # The last has no credentials.
        denied = [decide(ABOUT[name], action, resource, by) for by in (*(ours | each for each in foreign), TLS)]
        assert denied == ["Deny"] * 3


ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:any"
ADMITTED = [
    ("events", "sqs:SendMessage", "DeadLetterQueue", rule_arn("rds-events")),
    ("events", "sqs:SendMessage", "DeadLetterQueue", rule_arn("members-events", "backups-members")),
    ("cloudwatch", "sns:Publish", "AlarmTopic", ALARM),
]


@pytest.mark.parametrize(("service", "action", "name", "source"), ADMITTED)
def test_a_service_is_admitted_for_the_stacks_own_sources(service: str, action: str, name: str, source: str) -> None:
    theirs = {**TLS, "aws:PrincipalIsAWSService": "true", "aws:SourceAccount": ACCOUNT, "aws:SourceArn": source}
    resource = name if name in TOPICS else f"{name}.Arn"
    by = f"{service}.amazonaws.com"
    assert decide(ABOUT[name], action, resource, theirs, by) == "Allow"
    assert decide(ABOUT[name], action, resource, theirs | {"aws:SourceArn": f"another-{source}"}, by) == "Nothing"
    assert decide(ABOUT[name], action, resource, theirs | {"aws:SecureTransport": "false"}, by) == "Deny"
    assert decide(ABOUT[name], action, resource, theirs, "s3.amazonaws.com") == "Nothing"


# ---- Hostile parameters


POLICY_TEXTS = str([part for part in TEMPLATE["Resources"].values() if part["Type"] in POLICY_TYPES])
IN_POLICIES = TEMPLATE["Parameters"].keys() & re.findall(r"(?:'Ref': '|\$\{)(\w+)['}]", POLICY_TEXTS)


@pytest.mark.parametrize("name", sorted(IN_POLICIES))
@pytest.mark.parametrize("hostile", ["*", "?", "${aws:PrincipalTag/x}", " ", "\n", '"', ",", "[a]", "{a,b}", "\\"])
def test_no_parameter_widens_a_policy(name: str, hostile: str) -> None:
    proper = (GIVEN | {"AlarmTopicArn": ALARM_TOPIC, "AuditRegions": "us-east-1,eu-west-1"})[name]
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
    assert re.fullmatch(pattern, proper)
    admitted = "," if name == "PermissionsBoundaryArn" else ""  # a policy's name may have it, and it separates nothing
    for at in range(len(proper) + 1):
        widened = proper[:at] + hostile + proper[at:]
        assert hostile == admitted or not re.fullmatch(pattern, widened), widened
    assert not re.fullmatch(pattern, hostile)


# ---- What member.yaml promises: names, what the hub may do there, and what is forwarded

HUB = "arn:aws:iam::999988887777:role/backups-AuditRole-0A1B"
HUBS_BUS = "arn:aws:events:eu-west-1:999988887777:event-bus/backups-members"
MEMBERS_GIVEN = {"HubStackName": "backups", "AuditRoleArn": HUB}
FORWARDING = Resolved(MEMBERS_GIVEN | {"MembersBusArn": HUBS_BUS}, MEMBER)
ARN = "arn:aws:{}:eu-west-1:111122223333:{}"


def allowed(role: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = FORWARDING.resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return found


def test_the_hubs_audit_role_alone_is_trusted() -> None:
    role = FORWARDING.resources["AuditRole"]["Properties"]
    assert role["RoleName"] == "backups-audit-eu-west-1"
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": "arn:aws:iam::999988887777:root"}
    assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": HUB}}


def test_the_hub_may_only_look() -> None:
    statements = allowed("AuditRole")
    for operation, kinds in LISTED.items():
        for kind in kinds:
            assert decide(statements, f"rds:{operation}", ARN.format("rds", f"{kind}:*")) == "Allow"
    assert decide(statements, "rds:DescribeAccountAttributes", "*") == "Allow"
    assert decide(statements, "sqs:GetQueueAttributes", ARN.format("sqs", "backups-members-dead")) == "Allow"
    assert decide(statements, "sqs:GetQueueAttributes", ARN.format("sqs", "another")) == "Nothing"
    actions = {action for statement in statements for action in listed(statement["Action"])}
    assert all(re.fullmatch(r"\w+:(Describe|Get)\w+", action) for action in actions), actions
    _, (_, documented), _ = rows("docs/fleet.md", "What a service control policy must allow")
    assert set(spans(documented)) == actions


def test_what_the_hubs_rule_takes_is_forwarded_and_what_cannot_be_is_kept() -> None:
    hub = Resolved({"OrganizationId": "o-a1b2c3d4e5"}).resources
    rule = FORWARDING.resources["RdsEvents"]["Properties"]
    assert rule["EventPattern"] == hub["MembersEvents"]["Properties"]["EventPattern"]
    assert MEMBER["Parameters"]["RdsEventIds"]["Default"] == TEMPLATE["Parameters"]["RdsEventIds"]["Default"]
    (target,) = rule["Targets"]
    assert (target["Arn"], target["RoleArn"]) == (HUBS_BUS, "ForwardRole.Arn")
    assert target["DeadLetterConfig"] == {"Arn": "UndeliveredEvents.Arn"}
    assert decide(allowed("ForwardRole"), "events:PutEvents", HUBS_BUS) == "Allow"
    assert FORWARDING.resources["UndeliveredEvents"]["Properties"]["QueueName"] == "backups-members-dead"
    policy = FORWARDING.resources["UndeliveredEventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    given = {"aws:SecureTransport": "true", "aws:SourceArn": rule_arn("rds-events")}
    assert decide(policy, "sqs:SendMessage", "UndeliveredEvents.Arn", given, "events.amazonaws.com") == "Allow"
