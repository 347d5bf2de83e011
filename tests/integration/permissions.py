"""The permissions that a call of AWS needs: AWS's names of actions, and the ARNs of resources.

Actions that are not named as their operation: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from dataclasses import dataclass

from tests.integration.timeline import Call
from tests.support import ACCOUNT, REGION

# The kinds of resources that each of RDS's lists is authorized for.
LISTED = {
    "DescribeDBInstances": ("db",),
    "DescribeDBClusters": ("cluster",),
    # Narrowed to databases, it may be authorized for these too.
    "DescribeDBSnapshots": ("snapshot", "db"),
    "DescribeDBClusterSnapshots": ("cluster-snapshot", "cluster"),
}
# A transaction is authorized by its parts.
TRANSACTION = {"Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Delete": "DeleteItem"}


@dataclass(frozen=True, order=True)
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
    action, given = f"{call.service}:{call.operation}", call.parameters
    match call.service, call.operation:
        case "rds", operation if operation in LISTED:
            return {Permission(action, arn("rds", f"{kind}:*")) for kind in LISTED[operation]}
        case ("rds", "DescribeAccountAttributes") | ("cloudwatch" | "monitoring", "GetMetricData"):
            return {Permission(action.replace("monitoring", "cloudwatch"), "*")}
        case "s3", "PutObject" | "GetObject":
            return {Permission(action, f"arn:aws:s3:::{given['Bucket']}/{given['Key']}")}
        case "scheduler", "ListSchedules":
            return {Permission(action, arn("scheduler", f"schedule/{given['GroupName']}/*"))}
        case "sts", "AssumeRole":
            return {Permission(action, given["RoleArn"])}
        case "sns", "Publish" | "ListSubscriptionsByTopic":
            return {Permission(action, given["TopicArn"])}
        case "dynamodb", "BatchGetItem":
            return {Permission(action, arn("dynamodb", f"table/{name}")) for name in given["RequestItems"]}
        case "dynamodb", "TransactWriteItems":
            return {
                Permission(f"dynamodb:{TRANSACTION[kind]}", arn("dynamodb", f"table/{part['TableName']}"))
                for item in given["TransactItems"]
                for kind, part in item.items()
            }
        case "dynamodb", "Query":
            return {Permission(action, arn("dynamodb", f"table/{given['TableName']}/index/{given['IndexName']}"))}
        case "dynamodb", "UpdateItem":
            return {Permission(action, arn("dynamodb", f"table/{given['TableName']}"))}
        case "secretsmanager", "GetSecretValue" | "PutSecretValue" | "UpdateSecretVersionStage":
            return {Permission(action, given["SecretId"])}
        case "sqs", "SendMessage" | "SendMessageBatch" | "ChangeMessageVisibilityBatch":
            return {Permission(action.removesuffix("Batch"), queue_arn(given["QueueUrl"]))}
        case "ssm", "GetParameter":
            return {Permission(action, arn("ssm", f"parameter{given['Name']}"))}
        case "ssm", "GetParametersByPath":
            # Authorized for the path, with or without its last slash.
            return {Permission(action, arn("ssm", f"parameter{path}")) for path in (given["Path"], given["Path"][:-1])}
    raise NotImplementedError(f"Say here what {action} needs")


def is_meaningful(permission: Permission) -> bool:
    """Tell whether a resource is of a kind that the action is authorized for: to RDS's lists others mean nothing."""
    operation = permission.action.partition(":")[2]
    return operation not in LISTED or permission.resource.split(":")[5] in LISTED[operation]
