"""What member.yaml promises: the names that the hub looks for, what the hub may do there, and what is forwarded."""

import re
from typing import Any

from tests.iam import decide, listed
from tests.unit.template import MEMBER, TEMPLATE, Resolved, rule_arn

HUB = "arn:aws:iam::999988887777:role/backups-AuditRole-0A1B"
BUS = "arn:aws:events:eu-west-1:999988887777:event-bus/backups-members"
GIVEN = {"HubStackName": "backups", "AuditRoleArn": HUB}
FORWARDING = Resolved(GIVEN | {"MembersBusArn": BUS}, MEMBER)
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
    kinds = {
        "DBInstances": "db",
        "DBClusters": "cluster",
        "DBSnapshots": "snapshot",
        "DBClusterSnapshots": "cluster-snapshot",
    }
    for name, kind in kinds.items():
        assert decide(statements, f"rds:Describe{name}", ARN.format("rds", f"{kind}:*")) == "Allow"
    assert decide(statements, "rds:DescribeAccountAttributes", "*") == "Allow"
    assert decide(statements, "sqs:GetQueueAttributes", ARN.format("sqs", "backups-members-dead")) == "Allow"
    assert decide(statements, "sqs:GetQueueAttributes", ARN.format("sqs", "another")) == "Nothing"
    actions = {action for statement in statements for action in listed(statement["Action"])}
    assert all(re.fullmatch(r"\w+:(Describe|Get)\w+", action) for action in actions), actions


def test_what_the_hubs_rule_takes_is_forwarded_and_what_cannot_be_is_kept() -> None:
    hub = Resolved({"OrganizationId": "o-a1b2c3d4e5"}).resources
    rule = FORWARDING.resources["RdsEvents"]["Properties"]
    assert rule["EventPattern"] == hub["MembersEvents"]["Properties"]["EventPattern"]
    assert MEMBER["Parameters"]["RdsEventIds"]["Default"] == TEMPLATE["Parameters"]["RdsEventIds"]["Default"]
    (target,) = rule["Targets"]
    assert (target["Arn"], target["RoleArn"]) == (BUS, "ForwardRole.Arn")
    assert target["DeadLetterConfig"] == {"Arn": "UndeliveredEvents.Arn"}
    assert decide(allowed("ForwardRole"), "events:PutEvents", BUS) == "Allow"
    assert FORWARDING.resources["UndeliveredEvents"]["Properties"]["QueueName"] == "backups-members-dead"
    policy = FORWARDING.resources["UndeliveredEventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    given = {"aws:SecureTransport": "true", "aws:SourceArn": rule_arn("rds-events")}
    assert decide(policy, "sqs:SendMessage", "UndeliveredEvents.Arn", given, "events.amazonaws.com") == "Allow"
