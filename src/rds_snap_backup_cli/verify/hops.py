"""Hops between AWS services and accounts: a notification to the bus, the audit into a member, a member's event to the hub."""

import json
import uuid
from contextlib import ExitStack
from typing import Any

from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.verify.acting import one_queue
from rds_snap_backup_cli.verify.subject import Finding, Subject, failed, later, passed, until

# As template.yaml has them in the pipe.
SOURCE, DETAIL_TYPE = "rds-snap-backup", "RDS Snap Backup Notification"
# A new rule may take a minute until it matches.
MATCHED_SECONDS = 180
# A restart, and RDS's report of it.
FORWARDED_SECONDS = 900
MEMBER_FINDINGS = {"MEMBER_UNREADABLE", "MEMBER_EVENTS_WAITING"}


def events_out(subject: Subject) -> Finding:
    """A notification becomes an event on the bus in EventsOutBusName: the pipe reads its queue, and puts the event."""
    bus = subject.optional("EventsOutBusName")
    if not bus:
        return later("the stack has no EventsOutBusName")
    events, sns, sqs = (subject.client(service) for service in ("events", "sns", "sqs"))
    mark = f"{subject.stack.name}-verify-{uuid.uuid4().hex[:12]}"
    notification = {"version": "2", "status": "verify", "title": mark}
    on_bus = {"EventBusName": bus}
    with ExitStack() as made:
        pattern = json.dumps({"source": [SOURCE], "detail": {"title": [mark]}})
        rule = events.put_rule(Name=mark, EventPattern=pattern, **on_bus)["RuleArn"]
        made.callback(events.delete_rule, Name=mark, **on_bus)
        url, queue = made.enter_context(one_queue(subject, mark, "events", rule))
        events.put_targets(Rule=mark, Targets=[{"Id": "verify", "Arn": queue}], **on_bus)
        made.callback(events.remove_targets, Rule=mark, Ids=["verify"], **on_bus)

        def arrived() -> dict[str, Any]:
            # Published again each time: the new rule may miss the first events.
            sns.publish(
                TopicArn=subject.stack.output("NotificationsTopicArn"),
                Message=json.dumps(notification),
                MessageAttributes={"level": {"DataType": "String", "StringValue": "info"}},
            )
            received = sqs.receive_message(QueueUrl=url).get("Messages", ())
            return next((json.loads(item["Body"]) for item in received), {})

        event = until(arrived, MATCHED_SECONDS)
    if not event:
        return failed(f"no event with the title {mark} arrived on the bus {bus}. Read the state of the pipe")
    if not {"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": notification}.items() <= event.items():
        return failed(f"another event arrived on the bus {bus}: {json.dumps(event)[:200]}")
    return passed(f"a made-up notification arrived on the bus {bus}")


def member_role(subject: Subject) -> Finding:
    """The audit assumes the role in each member and reads it; no event waits there undelivered."""
    members = [subject.optional(name) for name in ("AuditMembers", "AuditRegions")]
    if not any(members):
        return later("the stack has neither AuditMembers nor AuditRegions")
    match invoke(subject.stack, AUDIT, {"audit": True}):
        case {"findings": list(findings)}:
            bad = [finding for finding in findings if finding["code"] in MEMBER_FINDINGS]
        case answer:
            raise unknown_answer(subject.stack, AUDIT, answer)
    if bad:
        return failed(
            "; ".join(
                f"{finding['code']}, {finding['account']}, {finding['region']}: {finding['message']}" for finding in bad
            )
        )
    return passed(f"no finding about {' in '.join(filter(None, members))}")


def member_event(subject: Subject) -> Finding:
    """RDS reports the restart of a member's database, and the hub gets the event by the members' bus."""
    if not subject.optional("OrganizationId"):
        return later("the stack has no OrganizationId")
    if not (member := subject.member):
        return later("no database of a member is named: --member-database, --member-profile")
    rds, group = member.session.client("rds"), subject.log_group()
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=member.name)["DBInstances"]
    if (found["DBInstanceArn"], found["DBInstanceStatus"]) != (member.database, "available"):
        return failed(f"{found['DBInstanceArn']} is {found['DBInstanceStatus']}, and was not restarted")
    rds.reboot_db_instance(DBInstanceIdentifier=member.name)
    # An event that selects no target is logged with the reason, which names the database too.
    if not until(lambda: list(subject.log(f'"{member.database}"', group)), FORWARDED_SECONDS):
        return failed(
            f"{member.database} was restarted, and the log of {group} has no event of it. Check RdsEventIds here and "
            "there (RDS-EVENT-0006), MembersBusArn there, and the queue of undelivered events"
        )
    return passed(f"{member.database} was restarted, and the hub got the event")
