"""What can be seen of a stack that nothing happens to: the deployment, its first invocation, its rule, its listeners."""

import base64
import json
import re

from botocore.exceptions import ClientError

from rds_snap_backup_cli.functions import AUDIT, BACKUP, invoke
from tests.aws.subject import STALE_SECONDS, Finding, Subject, failed, later, passed, until

# Those that no parameter leaves out.
OUTPUTS = [
    "BackupFunctionName",
    "BackupFunctionArn",
    "AuditFunctionName",
    "AuditRoleArn",
    "NotificationsTopicArn",
    "AlarmTopicArn",
    "TokenSecretArn",
    "TargetsPath",
    "LedgerTableName",
    "SubmissionsQueueUrl",
    "SubmissionsQueueArn",
    "DeadLetterQueueUrl",
    "DeadLetterQueueArn",
    "SchedulerRoleArn",
    "ScheduleGroupName",
    "DashboardUrl",
    "SetTokenCommand",
    "Version",
]
# The rule must match the first of these RDS events, and not the second, which a backup causes.
MATCHED = {"RDS-EVENT-0005": True, "RDS-EVENT-0002": False}
# Their tags are shown by the tagging API, and their ARNs end with their names.
TAGGED = frozenset(
    f"AWS::{name}"
    for name in (
        "CloudWatch::Alarm",
        "DynamoDB::Table",
        "Lambda::Function",
        "Logs::LogGroup",
        "SNS::Topic",
        "SQS::Queue",
        "SecretsManager::Secret",
    )
)
# What the function says where RDS answered it.
UNKNOWN_TO_RDS = "RDS does not know"
# An event of a database of each kind, which RDS's two calls describe.
ASKED = {"db": "RDS-EVENT-0005", "cluster": "RDS-EVENT-0170"}
EVENT = {
    "version": "0",
    "id": "00000000-0000-0000-0000-000000000000",
    "detail-type": "RDS DB Instance Event",
    "source": "aws.rds",
    "time": "2026-01-31T02:00:00Z",
}


def deployment(subject: Subject) -> Finding:
    """CloudFormation accepted every resource, and the stack has all outputs."""
    status = subject.description["StackStatus"]
    if missing := [name for name in OUTPUTS if not subject.stack.outputs.get(name)]:
        return failed(f"outputs are missing: {', '.join(missing)}")
    if not status.endswith("_COMPLETE") or "ROLLBACK" in status:
        return failed(f"the stack is {status}")
    return passed(f"{status}, version {subject.stack.outputs['Version']}")


def tags(subject: Subject) -> Finding:
    """The stack's tags are on its resources, so that its cost can be seen apart."""
    wanted = {item["Key"]: item["Value"] for item in subject.description.get("Tags", ())}
    if not wanted:
        return failed("the stack has no tags: deploy it with tags, as docs/verify-on-aws.md says")
    pages = subject.client("resourcegroupstaggingapi").get_paginator("get_resources")
    filters = [{"Key": name, "Values": [value]} for name, value in wanted.items()]
    arns = {
        item["ResourceARN"] for page in pages.paginate(TagFilters=filters) for item in page["ResourceTagMappingList"]
    }
    # It does not show what never had a tag, so the stack says what there is.
    stacks = subject.client("cloudformation").get_paginator("list_stack_resources")
    resources = [
        item for page in stacks.paginate(StackName=subject.stack.name) for item in page["StackResourceSummaries"]
    ]
    names = [item["PhysicalResourceId"] for item in resources if item["ResourceType"] in TAGGED]
    bare = [name for name in names if not any(is_of(arn, name) for arn in arns)]
    if bare or not names:
        return failed(f"{len(bare)} of {len(names)} resources are without them: {', '.join(bare[:3])}")
    return passed(f"on {len(names)} resources: {', '.join(wanted)}")


def is_of(arn: str, physical_id: str) -> bool:
    """Tell whether an ARN is that of a resource: its physical ID is the ARN, the URL of a queue, or the name."""
    name = physical_id.rpartition("/")[2] if physical_id.startswith("https://") else physical_id
    return arn == name or arn.endswith((f":{name}", f"/{name}"))


def first_invocation(subject: Subject) -> Finding:
    """The package runs on Lambda with its rights: the preflight reads AWS, and finds that Commvault is out of reach."""
    answer = subject.client("lambda").invoke(
        FunctionName=subject.stack.output(AUDIT), Payload=json.dumps({"check": True}), LogType="Tail"
    )
    match json.loads(answer["Payload"].read() or b"null"):
        case {"ok": False, "checks": [_, *_] as rows}:
            pass
        case other:
            return failed(f"the preflight returned {json.dumps(other)[:200]}")
    results = {row["name"]: row["ok"] for row in rows}
    unread = [row["detail"] for row in rows if not row["ok"] and "cannot be read: " in row["detail"]]
    if unread or not results.get("targets"):
        return failed(f"the preflight could not read AWS: {'; '.join(unread) or 'it has no check of the targets'}")
    if results.get("reach") is not False:
        return failed("the preflight does not say that Commvault is out of reach")
    report = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    figures = re.findall(r"(Duration|Init Duration|Max Memory Used): ([\d.]+ \w+)", report)
    named = ", ".join(f"{name} {value}" for name, value in figures)
    if "Init Duration" not in dict(figures):
        return later(f"{len(rows)} rows; not a cold start, so no init time: {named}. Run it again after 15 minutes")
    return passed(f"{len(rows)} rows; {named}")


def rds_access(subject: Subject) -> Finding:
    """The function may ask RDS in the hub's account about instances and clusters."""
    for kind, event in ASKED.items():
        arn = f"arn:aws:rds:{subject.stack.region}:{subject.stack.account}:{kind}:verify-no-such-database"
        answer = invoke(subject.stack, BACKUP, {"explain": {"database": arn, "event": event}})
        said = answer.get("warning", "") if isinstance(answer, dict) else ""
        if UNKNOWN_TO_RDS not in said:
            return failed(f"asked about {arn}, the function says: {said or json.dumps(answer)[:200]}")
    return passed("RDS answered about an instance and a cluster that do not exist")


def rds_rule(subject: Subject) -> Finding:
    """The rule is enabled, may invoke the function, and matches an RDS event, but not one that a backup causes."""
    rule = subject.resource("RdsEvents")
    events, function = subject.client("events"), subject.stack.output("BackupFunctionArn")
    found = events.describe_rule(Name=rule)
    targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]]
    if found["State"] != "ENABLED" or targets != [function]:
        return failed(f"{rule} is {found['State']}, with the targets {targets}")
    if not until(lambda: _may_invoke(subject, found["Arn"], function), STALE_SECONDS):
        return failed(f"{rule} has no permission to invoke the Backup function")
    arn = f"arn:aws:rds:{subject.stack.region}:{subject.stack.account}:db:verify"
    matched = {}
    for event_id in MATCHED:
        detail = {"EventID": event_id, "SourceType": "DB_INSTANCE", "SourceArn": arn, "SourceIdentifier": "verify"}
        place = {"account": subject.stack.account, "region": subject.stack.region, "resources": [arn]}
        event = json.dumps({**EVENT, **place, "detail": detail})
        matched[event_id] = events.test_event_pattern(EventPattern=found["EventPattern"], Event=event)["Result"]
    if matched != MATCHED:
        return failed(f"the pattern of {rule} matches otherwise: {matched}")
    return passed(f"{rule} matches a database's creation, and not a backup's end")


def _may_invoke(subject: Subject, rule: str, function: str) -> bool:
    """Tell whether the function's policy lets EventBridge invoke it for the rule."""
    try:
        policy = json.loads(subject.client("lambda").get_policy(FunctionName=function)["Policy"])
    except ClientError as error:
        if "NotFound" not in error.response["Error"].get("Code", ""):
            raise
        return False
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Principal": {"Service": "events.amazonaws.com"}}
    return any(
        allowed.items() <= item.items() and rule in item.get("Condition", {}).get("ArnLike", {}).values()
        for item in policy["Statement"]
    )


def listeners(subject: Subject) -> Finding:
    """A person has confirmed a subscription."""
    pages = subject.client("sns").get_paginator("list_subscriptions_by_topic")
    topic = subject.stack.output("NotificationsTopicArn")
    found = [subscription for page in pages.paginate(TopicArn=topic) for subscription in page["Subscriptions"]]
    confirmed = [item["Protocol"] for item in found if item["SubscriptionArn"].startswith("arn:")]
    if not confirmed:
        return failed(f"nobody listens: of {len(found)} subscriptions none is confirmed")
    return passed(f"confirmed: {', '.join(confirmed)}")


def dashboard(subject: Subject) -> Finding:
    """The dashboard that the output leads to exists."""
    url = subject.stack.output("DashboardUrl")
    name = re.split(r"[/=]", url)[-1]
    try:
        body = subject.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    except ClientError as error:
        if "NotFound" not in error.response["Error"].get("Code", ""):
            raise
        return failed(f"there is no dashboard {name}, which the output DashboardUrl leads to")
    return passed(f"{len(json.loads(body)['widgets'])} widgets; open {url}")
