"""Fourteen days of a stack on this machine, with faults of each kind, and the reports of its daily audits.

The functions, Commvault's simulator and emulated AWS share a clock that is moved. The same days have the same reports.
"""

import json
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from local.commserve import CommServe, content
from local.emulator import ACCOUNT, REGION, Emulator
from local.rds import RdsAccount, create_instance
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.commvault import connection
from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup_cli.report.content import Content
from rds_snap_backup_cli.report.days import Link, Stored, history_of, last_days, link_of
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.report.picture import page_of
from tests.integration.timeline import DAY, HOUR, Timeline
from tests.integration.world import associations
from tests.metrics import ToCloudWatch

BEGIN = datetime(2026, 1, 18, tzinfo=UTC)
DAYS = 14
STACK, MEMBER, BUCKET = "prod", "111122223333", "example-audits"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{STACK}/audit"
COMMVAULT = "https://commvault.example.com/commandcenter/api"
OLD = BEGIN - timedelta(days=100)
GROUPS = ("orders-db", "billing-db", "users-db", "reports-db", "sales-db", "crm-db")


@dataclass(frozen=True)
class Pages:
    """The pages of the last report and of the history, and the last message, with the address of an example."""

    report: str
    history: str
    message: str
    problems: list[str]


class Fortnight:
    """The stack and its days."""

    def __init__(self, aws: Emulator, commserve: CommServe) -> None:
        commserve.clock.freeze()
        commserve.advance(BEGIN.timestamp() - commserve.clock.now())
        alarms = aws.client("sns").create_topic(Name="fortnight-alarms")["TopicArn"]
        aws.client("sns").subscribe(TopicArn=alarms, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:ops")
        aws.client("s3").create_bucket(Bucket=BUCKET)
        self.aws, self.commserve = aws, commserve
        self.world = Timeline(
            aws,
            commserve,
            POWERTOOLS_SERVICE_NAME=STACK,
            STACK_ARN=f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/8d7c2f10-f3a1-11f0-9c53-0affd1a2b3c4",
            PRODUCT_VERSION="2.0.0",
            ALARM_TOPIC_ARN=alarms,
            AUDIT_MEMBERS=MEMBER,
            REPORT_BUCKET=BUCKET,
            LEDGER_DAYS="3650",
        )
        self.rds = aws.client("rds")
        commserve.attach("aws-prod", RdsAccount((self.rds,)))
        member: Any = boto3.Session(MEMBER, "any", region_name=REGION)
        self.member_iam = member.client("iam", endpoint_url=aws.endpoint_url)
        self.member_rds = member.client("rds", endpoint_url=aws.endpoint_url)
        commserve.attach("aws-finance", RdsAccount((self.member_rds,)))
        self.auditor = self.world.auditor(self.world.clock)

    def prepare(self) -> None:
        """Make the databases, the groups and the targets."""
        create = create_instance
        for name in ("orders-db", "billing-db", "users-db", "reports-db", "web-sessions", "archive-db"):
            create(self.rds, name, "postgres", created=OLD)
        create(self.rds, "scratch-db", "mysql", {"rds-snap-backup:exclude": "true"}, OLD)
        for name in ("ledger-db", "payroll-db", "analytics-db"):
            create(self.member_rds, name, "mysql", created=OLD)
        odd = {**content.instance("analytics-db"), "type": "tag"}
        commserve = self.commserve
        commserve.set_content("aws-finance", "tagged", [odd])
        commserve.set_content("aws-prod", "archive", [content.instance("archive-db")])
        for group in ("sales-db", "crm-db"):
            commserve.set_content("aws-prod", group, [content.instance(group)])
        commserve.set_content("aws-finance", "plan", [content.instance("ledger-db"), content.instance("payroll-db")])
        for group in GROUPS:
            self.world.target(group, associations=associations(group))
        self.world.target("archive", associations=associations("archive"), maxAgeHours=24 * 8)
        self.world.target("default", associations=associations("orders-db"), databases=["orders-*"], enabled=False)
        self.admit_hub(True)

    def admit_hub(self, is_admitted: bool) -> None:
        """Let the hub's audit read the member, or no longer."""
        name = f"{STACK}-audit-{REGION}"
        if not is_admitted:
            self.member_iam.delete_role_policy(RoleName=name, PolicyName="look")
            self.member_iam.delete_role(RoleName=name)
            return
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        }
        trust = {"Version": "2012-10-17", "Statement": [statement]}
        self.member_iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        look = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds:Describe*", "Resource": "*"}]}
        self.member_iam.put_role_policy(RoleName=name, PolicyName="look", PolicyDocument=json.dumps(look))

    def before(self, day: int) -> None:
        """Let happen what happens before a day's backups."""
        commserve, plan = self.commserve, self.commserve.plan_jobs
        match day:
            case 2:
                plan(group="orders-db", ending="Failed", reason="The snapshot could not be created.")
            case 3:
                plan(group="billing-db", ending="Completed w/ one or more errors", reason="One database was skipped.")
            case 4:
                plan(group="users-db", ending="Killed", reason="The job was killed by a user.")
            case 5:
                commserve.fault("throttled", times=2)
            case 6:
                create_instance(self.rds, "sales-db", "postgres", created=BEGIN + timedelta(days=day, hours=4))
            case 8:
                self.rds.stop_db_instance(DBInstanceIdentifier="reports-db")
            case 9:
                commserve.set_content("aws-prod", "web", [content.instance("web-sessions")])
                self.world.target("web", associations=associations("web"))
            case 10:
                self.rds.start_db_instance(DBInstanceIdentifier="reports-db")
                self.rds.delete_db_instance(DBInstanceIdentifier="scratch-db", SkipFinalSnapshot=True)
                commserve.fault("reset_after")
            case 11:
                self.admit_hub(False)
            case 12:
                self.admit_hub(True)
                create_instance(self.rds, "crm-db", "mysql", created=BEGIN + timedelta(days=day, hours=4))
            case 13:
                self.rds.stop_db_instance(DBInstanceIdentifier="users-db")
                self.commserve.plan_jobs(group="billing-db", ending="Completed w/ one or more errors")

    def move_to(self, day: int, hour: float) -> None:
        """Move the clock, and run what is due meanwhile."""
        at = BEGIN.timestamp() + day * DAY + hour * HOUR
        self.world.run(at - self.world.clock())
        self.commserve.advance(max(0.0, at - self.world.clock()))

    def live(self) -> None:
        """Let the days pass."""
        world = self.world
        self.prepare()
        for day in range(DAYS):
            self.before(day)
            self.move_to(day, 3)
            for group in GROUPS:
                world.deliver(world.schedule("nightly", group))
            if day >= 9:
                world.deliver(world.schedule("nightly", "web"))
            if day % 7 == 1:
                world.deliver(world.schedule("weekly", "archive"))
            if day == 7:
                world.deliver(world.event("orders-db"))
            self.commserve.add_job("aws-finance", "plan", seconds=300)
            self.move_to(day, 6)
            if day == 7:
                self.commserve.fault("maintenance", None, "*")
            self.audit()
            if day == 7:
                self.commserve.clear_faults()

    def audit(self) -> None:
        """Let the schedule start the audit."""
        sys.stdout.flush()
        due = {"audit": True, "schedule": SCHEDULE, "time": iso(self.world.clock())}
        assert "refused" not in answer(self.auditor, due, "request", lambda: 300.0)

    def pages(self) -> Pages:
        """Return the pages."""
        s3: Any = self.aws.client("s3")
        keys = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        stored = [Stored(key, s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
        (item,) = self.world.items("audit")
        last: Link | None = link_of(json.loads(item["record"])["report"])
        days = last_days((BEGIN + timedelta(days=DAYS - 1)).date(), DAYS)
        place = f"{STACK} (account {ACCOUNT}, {REGION})"
        history = history_of(place, stored, last, days)
        *_, published = [message for message in self.world.notifications() if message["status"] == "audit"]
        message = json.loads(audit_messages.message(published))["email"]
        report = html_of(Content.read(json.loads(stored[-1].body)))
        return Pages(self.shown(report), self.shown(page_of(history)), self.shown(message), list(history.problems))

    def shown(self, text: str) -> str:
        """Return a text with the address of an example instead of the simulator's."""
        return text.replace(self.commserve.url, COMMVAULT)


def pages_of(aws: Emulator) -> Pages:
    """Let the days pass on an emulator, and return the pages."""
    with CommServe(job_seconds=600) as commserve, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "time", SimpleNamespace(time=commserve.clock.now, monotonic=time.monotonic))
        fortnight = Fortnight(aws, commserve)
        with redirect_stdout(ToCloudWatch(aws.client("cloudwatch"), fortnight.world.clock)):
            fortnight.live()
        return fortnight.pages()
