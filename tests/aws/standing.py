"""What can be seen of a stack that nothing happens to: the deployment, its first invocation, its rule, its listeners."""

import base64
import json
import re
from typing import Any

from local import rds
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.functions import AUDIT, BACKUP, invoke, unknown_answer
from tests.aws.subject import STALE_SECONDS, Later, Subject, require, until
from tests.unit.template import TEMPLATE

# Those that no parameter leaves out.
OUTPUTS = [name for name, output in TEMPLATE["Outputs"].items() if "Condition" not in output]
# The rule must match the first of these RDS events, and not the second, which a backup causes.
MATCHED = {"RDS-EVENT-0005": True, "RDS-EVENT-0002": False}
# Their tags are shown by the tagging API, and their ARNs end with their names.
TAGGED = {
    *("AWS::CloudWatch::Alarm", "AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::Logs::LogGroup"),
    *("AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"),
}
# What the function says where RDS answered it.
UNKNOWN_TO_RDS = "RDS does not know"
# An event of a database of each kind, which RDS's two calls describe.
ASKED = {"db": "RDS-EVENT-0005", "cluster": "RDS-EVENT-0170"}
MEMBER_FINDINGS = {"MEMBER_UNREADABLE", "MEMBER_EVENTS_WAITING"}


def deployment(subject: Subject) -> str:
    """CloudFormation accepted every resource, and the stack has all outputs."""
    status, missing = subject.stack.description["StackStatus"], set(OUTPUTS) - subject.stack.outputs.keys()
    require(not missing, f"outputs are missing: {', '.join(sorted(missing))}")
    require(status.endswith("_COMPLETE") and "ROLLBACK" not in status, f"the stack is {status}")
    return f"{status}, version {subject.stack.outputs['Version']}"


def tags(subject: Subject) -> str:
    """The stack's tags are on its resources, so that its cost can be seen apart."""
    wanted = {item["Key"]: item["Value"] for item in subject.stack.description.get("Tags", ())}
    require(wanted, "the stack has no tags: deploy it with tags, as docs/verify-on-aws.md says")
    filters = [{"Key": name, "Values": [value]} for name, value in wanted.items()]
    found = subject.rows("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters)
    arns = [row["ResourceARN"] for row in found]
    # It does not show what never had a tag, so the stack says what there is.
    name = subject.stack.name
    resources = subject.rows("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=name)
    names = [item["PhysicalResourceId"] for item in resources if item["ResourceType"] in TAGGED]
    bare = [name for name in names if not any(is_of(arn, name) for arn in arns)]
    bad = f"{len(bare)} of {len(names)} resources are without them: {', '.join(bare[:3])}"
    require(names and not bare, bad)
    return f"on {len(names)} resources: {', '.join(wanted)}"


def is_of(arn: str, physical_id: str) -> bool:
    """Tell whether an ARN is that of a resource: its physical ID is the ARN, the URL of a queue, or the name."""
    name = physical_id.rpartition("/")[2] if physical_id.startswith("https://") else physical_id
    return arn == name or arn.endswith((f":{name}", f"/{name}"))


def first_invocation(subject: Subject) -> str:
    """The package runs on Lambda with its rights: the preflight reads AWS, and finds that Commvault is out of reach."""
    function = subject.stack.output(AUDIT)
    answer = subject.client("lambda").invoke(FunctionName=function, Payload='{"check": true}', LogType="Tail")
    match json.loads(answer["Payload"].read() or b"null"):
        case {"ok": False, "checks": [_, *_] as rows}:
            results = {row["name"]: row["ok"] for row in rows}
        case other:
            raise CannotRun(f"the preflight returned {json.dumps(other)[:200]}")
    unread = [row["detail"] for row in rows if not row["ok"] and "cannot be read: " in row["detail"]]
    require(
        not unread and results.get("targets"), f"the preflight could not read AWS, or no target: {'; '.join(unread)}"
    )
    require(results.get("reach") is False, "the preflight does not say that Commvault is out of reach")
    report = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    figures = re.findall(r"(Duration|Init Duration|Max Memory Used): ([\d.]+ \w+)", report)
    named = ", ".join(f"{name} {value}" for name, value in figures)
    if "Init Duration" not in named:
        raise Later(f"{len(rows)} rows; not a cold start, so no init time: {named}. Run it again after 15 minutes")
    return f"{len(rows)} rows; {named}"


def rds_access(subject: Subject) -> str:
    """The function may ask RDS in the hub's account about instances and clusters."""
    for kind, event in ASKED.items():
        arn = f"arn:aws:rds:{subject.place}:{kind}:verify-no-such-database"
        said = json.dumps(invoke(subject.stack, BACKUP, {"explain": {"database": arn, "event": event}}))
        require(UNKNOWN_TO_RDS in said, f"asked about {arn}, the function says: {said[:200]}")
    return "RDS answered about an instance and a cluster that do not exist"


def rds_event(subject: Subject, event_id: str) -> dict[str, Any]:
    """Return an event of a database of the hub's account that does not exist."""
    event, arn = rds.delivered(rds.rds_event("verify", event_id)), f"arn:aws:rds:{subject.place}:db:verify"
    place = {"account": subject.stack.account, "region": subject.stack.region, "resources": [arn]}
    return {**event, **place, "time": "2026-01-31T02:00:00Z", "detail": event["detail"] | {"SourceArn": arn}}


def rds_rule(subject: Subject) -> str:
    """The rule is enabled, may invoke the function, and matches an RDS event, but not one that a backup causes."""
    rule, events = subject.resource("RdsEvents"), subject.client("events")
    function, found = subject.stack.output("BackupFunctionArn"), events.describe_rule(Name=rule)
    targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]]
    state = found["State"], targets
    require(state == ("ENABLED", [function]), f"{rule} is {found['State']}, with the targets {targets}")
    is_allowed = until(lambda: _may_invoke(subject, found["Arn"], function), STALE_SECONDS)
    require(is_allowed, f"{rule} has no permission to invoke the Backup function")
    pattern, matched = found["EventPattern"], {}
    for event_id in MATCHED:
        event = json.dumps(rds_event(subject, event_id))
        matched[event_id] = events.test_event_pattern(EventPattern=pattern, Event=event)["Result"]
    require(matched == MATCHED, f"the pattern of {rule} matches otherwise: {matched}")
    return f"{rule} matches a database's creation, and not a backup's end"


def _may_invoke(subject: Subject, rule: str, function: str) -> bool:
    """Tell whether the function's policy lets EventBridge invoke it for the rule."""
    client = subject.client("lambda")
    try:
        policy = json.loads(client.get_policy(FunctionName=function)["Policy"])
    except client.exceptions.ResourceNotFoundException:
        return False
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Principal": {"Service": "events.amazonaws.com"}}
    return any(
        allowed.items() <= item.items() and rule in item.get("Condition", {}).get("ArnLike", {}).values()
        for item in policy["Statement"]
    )


def listeners(subject: Subject) -> str:
    """A person has confirmed a subscription."""
    topic = subject.stack.output("NotificationsTopicArn")
    found = subject.rows("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
    confirmed = [item["Protocol"] for item in found if item["SubscriptionArn"].startswith("arn:")]
    require(confirmed, f"nobody listens: of {len(found)} subscriptions none is confirmed")
    return f"confirmed: {', '.join(confirmed)}"


def dashboard(subject: Subject) -> str:
    """The dashboard that the output leads to exists."""
    url = subject.stack.output("DashboardUrl")
    body = subject.client("cloudwatch").get_dashboard(DashboardName=re.split(r"[/=]", url)[-1])["DashboardBody"]
    return f"{len(json.loads(body)['widgets'])} widgets; open {url}"


def member_role(subject: Subject) -> str:
    """The audit assumes the role in each member and reads it; no event waits there undelivered."""
    members = [
        value for name in ("AuditMembers", "AuditRegions") if (value := subject.parameter(name)) not in {"", "off"}
    ]
    if not members:
        raise Later("the stack has neither AuditMembers nor AuditRegions")
    match invoke(subject.stack, AUDIT, {"audit": True}):
        case {"findings": list(findings)}:
            bad = [[one[name] for name in ("code", "account", "region", "message")] for one in findings]
        case answer:
            raise unknown_answer(subject.stack, AUDIT, answer)
    bad = [one for one in bad if one[0] in MEMBER_FINDINGS]
    require(not bad, "; ".join(", ".join(one) for one in bad))
    return f"no finding about {' in '.join(members)}"
