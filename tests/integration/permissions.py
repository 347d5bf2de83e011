"""The permissions that a call to AWS needs, read from what was sent: AWS's names of actions, and the ARNs of resources.

Actions that are not named as their operation: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tests.integration.kill.stalling import Call
from tests.support import ACCOUNT, REGION

# The kinds of resources that RDS's lists are authorized for.
LISTED = {
    "DescribeDBInstances": ("db",),
    "DescribeDBClusters": ("cluster",),
    "DescribeDBSnapshots": ("db", "snapshot"),
    "DescribeDBClusterSnapshots": ("cluster", "cluster-snapshot"),
}
# A transaction is authorized by its parts.
TRANSACTION = {"Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Delete": "DeleteItem"}


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """An action on a resource."""

    action: str
    resource: str


def arn(service: str, name: str) -> str:
    """Return the ARN of a resource in the emulator's one account and region."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def queue_arn(url: str) -> str:
    """Return the ARN of a queue."""
    return arn("sqs", url.rpartition("/")[2])


def needed(call: Call) -> set[Permission]:
    """Return the permissions that a call needs; raise for one of which nothing is known here."""
    action = f"{call.service}:{call.operation}"
    match call.service, call.operation:
        case "rds", operation if operation in LISTED:
            return {Permission(action, arn("rds", f"{kind}:*")) for kind in LISTED[operation]}
        case "sns", "Publish" | "ListSubscriptionsByTopic":
            return {Permission(action, parse_qs(call.body.decode())["TopicArn"][0])}
        case "dynamodb", "BatchGetItem":
            return {Permission(action, arn("dynamodb", f"table/{name}")) for name in _body(call)["RequestItems"]}
        case "dynamodb", "TransactWriteItems":
            return {
                Permission(f"dynamodb:{TRANSACTION[kind]}", arn("dynamodb", f"table/{part['TableName']}"))
                for item in _body(call)["TransactItems"]
                for kind, part in item.items()
            }
        case "dynamodb", "Query":
            return {
                Permission(
                    action, arn("dynamodb", f"table/{_body(call)['TableName']}/index/{_body(call)['IndexName']}")
                )
            }
        case "dynamodb", "UpdateItem":
            return {Permission(action, arn("dynamodb", f"table/{_body(call)['TableName']}"))}
        case "secretsmanager", "GetSecretValue" | "PutSecretValue" | "UpdateSecretVersionStage":
            return {Permission(action, _body(call)["SecretId"])}
        case "sqs", "SendMessage" | "ChangeMessageVisibility":
            return {Permission(action, queue_arn(_body(call)["QueueUrl"]))}
        case "sqs", "SendMessageBatch":
            return {Permission("sqs:SendMessage", queue_arn(_body(call)["QueueUrl"]))}
        case "ssm", "GetParameter":
            return {Permission(action, arn("ssm", f"parameter{_body(call)['Name']}"))}
        case "ssm", "GetParametersByPath":
            return {Permission(action, arn("ssm", f"parameter{_body(call)['Path']}"))}
    raise NotImplementedError(f"Say here what {action} needs")


def _body(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(call.body)
    return body


def is_meaningful(permission: Permission) -> bool:
    """Tell whether a resource is of a kind that the action is authorized for: to RDS's lists others mean nothing."""
    service, _, operation = permission.action.partition(":")
    kinds = LISTED.get(operation) if service == "rds" else None
    return kinds is None or permission.resource.split(":")[5] in kinds
