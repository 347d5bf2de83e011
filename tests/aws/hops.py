"""Hops between accounts: the audit into a member, and a member's event to the hub."""

from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from tests.aws.subject import Later, Subject, require, until

# A restart, and RDS's report of it.
FORWARDED_SECONDS = 900
MEMBER_FINDINGS = {"MEMBER_UNREADABLE", "MEMBER_EVENTS_WAITING"}


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


def member_event(subject: Subject) -> str:
    """RDS reports the restart of a member's database, and the hub gets the event by the members' bus."""
    subject.given("OrganizationId")
    if not (member := subject.member):
        raise Later("no database of a member is named: --member-database, --member-profile")
    rds, group = member.session.client("rds"), subject.log_group()
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=member.name)["DBInstances"]
    arn, status = found["DBInstanceArn"], found["DBInstanceStatus"]
    require((arn, status) == (member.database, "available"), f"{arn} is {status}, and was not restarted")
    rds.reboot_db_instance(DBInstanceIdentifier=member.name)
    # An event that selects no target is logged with the reason, which names the database too.
    require(
        until(lambda: subject.log(f'"{arn}"', group), FORWARDED_SECONDS),
        f"{arn} was restarted, and the log of {group} has no event of it. Check RdsEventIds here and there "
        "(RDS-EVENT-0006), MembersBusArn there, and the queue of undelivered events",
    )
    return f"{arn} was restarted, and the hub got the event"
