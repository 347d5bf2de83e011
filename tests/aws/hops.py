"""Hops between accounts: the audit into a member, and a member's event to the hub."""

from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from tests.aws.subject import Finding, Subject, failed, later, passed, until

# A restart, and RDS's report of it.
FORWARDED_SECONDS = 900
MEMBER_FINDINGS = {"MEMBER_UNREADABLE", "MEMBER_EVENTS_WAITING"}


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
