"""The calls of AWS that both functions make, driven through every way that submissions and audits can go."""

import time
import uuid
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from local.commserve import CommServe, content
from local.emulator import Emulator
from local.rds import RdsAccount, create_instance, delivered, rds_event
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.commvault import connection
from rds_snap_backup.messaging.notifications import iso
from tests.integration.clients import LIFETIME, PairInSecret
from tests.integration.permissions import arn, queue_arn
from tests.integration.timeline import DAY, Call, Timeline
from tests.integration.world import associations
from tests.support import ACCOUNT, REGION
from tests.unit.template import Resolved

KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
MEMBERS = {"AUDIT_MEMBERS": "444455556666"}
EVERYTHING = {
    "AuditMembers": "444455556666",
    "KmsKeyArn": KEY,
    "TokenSecretKmsKeyArn": KEY,
    "SubnetIds": "subnet-0a",
    "SecurityGroupIds": "sg-0a",
}


@dataclass(frozen=True)
class Recorded:
    """The template with the names of the resources, each function's calls, and the requests to Commvault."""

    template: Resolved
    calls: dict[str, list[Call]]
    audited_requests: list[str]
    posted: set[str]


def recording(aws: Emulator) -> Recorded:
    """Drive both functions."""
    with CommServe() as commserve, pytest.MonkeyPatch.context() as patch:
        times = SimpleNamespace(time=commserve.clock.now, monotonic=time.monotonic)
        patch.setattr(connection, "time", times)
        stack = f"stack-{uuid.uuid4().hex[:8]}"
        alarms = aws.client("sns").create_topic(Name=f"{stack}-alarms")["TopicArn"]
        path = f"/rds-snap-backup/{stack}/targets/"
        aws.client("scheduler").create_schedule_group(Name=stack)
        settings = {"TARGETS_PATH": path, "ALARM_TOPIC_ARN": alarms, "POWERTOOLS_SERVICE_NAME": stack, **MEMBERS}
        settings |= {"SCHEDULE_GROUP": stack, "REPORT_BUCKET": stack}
        settings["STACK_ARN"] = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/1"
        aws.client("s3").create_bucket(Bucket=stack)
        timeline = Timeline(aws, commserve, **settings)
        PairInSecret(timeline)
        back_up(timeline)
        backup_calls, requests = list(timeline.calls), len(commserve.requests)
        timeline.calls.clear()
        audit(timeline)
        template = Resolved(
            {
                "AWS::StackName": stack,
                "AWS::Region": REGION,
                "AWS::AccountId": ACCOUNT,
                "CommvaultApiUrl": commserve.url,
                "Ledger": timeline.name,
                "Ledger.Arn": arn("dynamodb", f"table/{timeline.name}"),
                "SubmissionsQueue": timeline.submissions,
                "SubmissionsQueue.Arn": queue_arn(timeline.submissions),
                "DeadLetterQueue": timeline.dead_letter_queue,
                "DeadLetterQueue.Arn": queue_arn(timeline.dead_letter_queue),
                "Notifications": timeline.config.notifications_topic_arn,
                "AlarmTopicArn": alarms,
                "Schedules": stack,
                "ReportBucketName": stack,
                "TokenSecretArn": timeline.secret,
                "CaCertificateParameter": timeline.config.ca_certificate_parameter,
                **EVERYTHING,
            }
        )
        audited = [request.path for request in commserve.requests[requests:]]
        posted = {request.path for request in commserve.requests if request.method != "GET"}
        calls = {"BackupFunction": backup_calls, "AuditFunction": list(timeline.calls)}
        return Recorded(template, calls, audited, posted)


def back_up(timeline: Timeline) -> None:
    """Drive the Backup function through every way that a submission can go."""
    rds, commserve = timeline.aws.client("rds"), timeline.commserve
    create_instance(rds, timeline.name, "mysql")
    timeline.deliver(timeline.event(timeline.name))
    timeline.deliver(delivered(rds_event(f"{timeline.name}-cluster", source_type="CLUSTER")))
    timeline.run()
    commserve.advance(LIFETIME)
    timeline.target("group", associations=associations("billing-db", "users-db"))
    for fault in ("reset_after", "maintenance", "throttled"):
        commserve.fault(fault)
        timeline.deliver(timeline.schedule(fault, "group"))
        timeline.run()
    commserve.fault("error_top", code=4)
    timeline.deliver({"target": "default", "requestId": "rejected"})
    timeline.deliver(timeline.schedule("all", "*"))
    timeline.deliver({"no": "trigger"})
    timeline.run()
    commserve.fault("maintenance")
    timeline.deliver(timeline.schedule("stuck"))
    timeline.queue.clear()


def audit(timeline: Timeline) -> None:
    """Drive the Audit function by hand, and by its schedule with something to publish and to send again."""
    rds, commserve = timeline.aws.client("rds"), timeline.commserve
    commserve.advance(DAY)
    login = {"MasterUsername": "admin", "MasterUserPassword": "fake-password"}
    rds.create_db_cluster(DBClusterIdentifier=f"{timeline.name}-cluster", Engine="aurora-mysql", **login)
    commserve.attach("aws-prod", RdsAccount((rds,)))
    commserve.set_content("aws-prod", "all", [content.everything()])
    commserve.add_job("aws-prod", "all", start=commserve.clock.now() - 60, seconds=1)
    auditor = timeline.auditor(timeline.clock)
    due = {"audit": True, "schedule": "audit", "time": iso(timeline.clock())}
    # Another run of the same time finds the report.
    for event in ({"check": True}, {"audit": True}, due, {**due, "schedule": "another"}):
        assert "refused" not in answer(auditor, event, "request", lambda: 300)
    assert timeline.queue
