"""What can be seen of a stack that nothing happens to: the deployment, its first invocation, its rule, its listeners."""

import base64
import json
import re

from botocore.exceptions import ClientError

from rds_snap_backup_cli.functions import AUDIT
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
    filters = [{"Key": "aws:cloudformation:stack-name", "Values": [subject.stack.name]}]
    found = [item for page in pages.paginate(TagFilters=filters) for item in page["ResourceTagMappingList"]]
    bare = [
        item["ResourceARN"]
        for item in found
        if not wanted.items() <= {tag["Key"]: tag["Value"] for tag in item["Tags"]}.items()
    ]
    if bare or not found:
        return failed(f"{len(bare)} of {len(found)} resources are without them: {', '.join(bare[:3])}")
    return passed(f"on {len(found)} resources: {', '.join(wanted)}")


def first_invocation(subject: Subject) -> Finding:
    """The package runs on Lambda: the preflight answers, and finds that Commvault is out of reach."""
    answer = subject.client("lambda").invoke(
        FunctionName=subject.stack.output(AUDIT), Payload=json.dumps({"check": True}), LogType="Tail"
    )
    match json.loads(answer["Payload"].read() or b"null"):
        case {"ok": False, "checks": [_, *_] as rows}:
            pass
        case other:
            return failed(f"the preflight returned {json.dumps(other)[:200]}")
    report = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    figures = re.findall(r"(Duration|Init Duration|Max Memory Used): ([\d.]+ \w+)", report)
    named = ", ".join(f"{name} {value}" for name, value in figures)
    if "Init Duration" not in dict(figures):
        return later(f"{len(rows)} rows; not a cold start, so no init time: {named}. Run it again after 15 minutes")
    return passed(f"{len(rows)} rows; {named}")


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
