"""What can be seen of a stack that nothing happens to: the deployment, its first invocation, its rule, its listeners."""

import base64
import json
import re
from typing import Any

from botocore.exceptions import ClientError

from ops.functions import SUBMIT
from ops.stack import ROOT
from ops.verify.subject import Finding, Subject, failed, later, passed

# Those that no parameter leaves out.
OUTPUTS = (
    "SubmitFunctionName",
    "SubmitFunctionArn",
    "AuditFunctionName",
    "NotificationsTopicArn",
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
)
SAMPLES = ROOT / "events"


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
    wanted = {one["Key"]: one["Value"] for one in subject.description.get("Tags", ())}
    if not wanted:
        return failed("the stack has no tags: deploy it with tags, as docs/verify-on-aws.md says")
    pages = subject.client("resourcegroupstaggingapi").get_paginator("get_resources")
    filters = [{"Key": "aws:cloudformation:stack-name", "Values": [subject.stack.name]}]
    found = [one for page in pages.paginate(TagFilters=filters) for one in page["ResourceTagMappingList"]]
    bare = [
        one["ResourceARN"]
        for one in found
        if not wanted.items() <= {tag["Key"]: tag["Value"] for tag in one["Tags"]}.items()
    ]
    if bare or not found:
        return failed(f"{len(bare)} of {len(found)} resources are without them: {', '.join(bare[:3])}")
    return passed(f"on {len(found)} resources: {', '.join(wanted)}")


def first_invocation(subject: Subject) -> Finding:
    """The package runs on Lambda: the preflight answers, and finds that Commvault is out of reach."""
    answer = subject.client("lambda").invoke(
        FunctionName=subject.stack.output(SUBMIT), Payload=json.dumps({"check": True}), LogType="Tail"
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
    """EventBridge itself matches the rule's pattern with an RDS event, and not with one that a backup causes."""
    bus, _, rule = subject.resource("SubmitFunctionRdsEvents").rpartition("|")
    events = subject.client("events")
    pattern = events.describe_rule(Name=rule, **({"EventBusName": bus} if bus else {}))["EventPattern"]
    account = subject.stack.output("SubmitFunctionArn").split(":")[4]
    matched = {}
    for name in ("rds-instance-created", "never-instance-backup-finished"):
        event = json.loads((SAMPLES / f"{name}.json").read_text()) | {"account": account}
        matched[name] = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
    if matched != {"rds-instance-created": True, "never-instance-backup-finished": False}:
        return failed(f"the pattern of {rule} matches otherwise: {matched}")
    return passed(f"{rule} matches a database's creation, and not a backup's end")


def listeners(subject: Subject) -> Finding:
    """A person has confirmed a subscription."""
    pages = subject.client("sns").get_paginator("list_subscriptions_by_topic")
    topic = subject.stack.output("NotificationsTopicArn")
    found = [one for page in pages.paginate(TopicArn=topic) for one in page["Subscriptions"]]
    others = [one for one in found if not _is_jobs_queue(subject, one)]
    confirmed = [one["Protocol"] for one in others if one["SubscriptionArn"].startswith("arn:")]
    if not confirmed:
        return failed(f"nobody listens: of {len(others)} subscriptions besides the Jobs queue none is confirmed")
    return passed(f"confirmed: {', '.join(confirmed)}")


def _is_jobs_queue(subject: Subject, subscription: dict[str, Any]) -> bool:
    queue = subject.stack.outputs.get("JobsQueueUrl", "").rpartition("/")[2]
    return bool(queue) and subscription["Protocol"] == "sqs" and subscription["Endpoint"].endswith(f":{queue}")


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
