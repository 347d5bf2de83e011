"""The Audit function in this process: emulated AWS with databases of its own, the simulator, and a clock that tests move."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config as SdkConfig

from local.commserve import CommServe, Job
from local.emulator import REGION, Emulator
from local.rds import RdsAccount, create_instance
from rds_snap_backup.audit import handler
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.opening import begin
from rds_snap_backup.core.record import Change
from rds_snap_backup.triggers import Trigger
from tests.integration.world import SERVICES, World
from tests.support import Context

DAY = 86400
SCHEDULE = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/audit"
ARN = "arn:aws:rds:us-east-1:000000000000"


class AuditScene:
    """A stack whose target `default` backs up the one database `orders-db`, and whose topics have listeners.

    Commvault's client `aws-prod` is its account.
    """

    def __init__(self, aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        self.aws, self.commserve = aws, commserve
        alarms = aws.client("sns").create_topic(Name=f"alarms-{time.monotonic_ns()}")["TopicArn"]
        aws.client("sns").subscribe(TopicArn=alarms, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:000000000000:ops")
        self.world = World(aws, commserve, **{"ALARM_TOPIC_ARN": alarms, **settings})
        self.later = 0.0
        self.calls: Counter[str] = Counter()
        self._monkeypatch = monkeypatch
        commserve.attach("aws-prod", RdsAccount((aws.client("rds"),)))
        self.remove_databases()
        self.database("orders-db", hours_old=1000)
        self.cold_start()

    def cold_start(self, **clients: Any) -> None:
        """Begin another sandbox, where nothing is cached; `clients` replace some of its own."""
        own = {name: self._counting(name) for name in SERVICES}
        self._monkeypatch.setattr(handler, "AUDITOR", self.world.auditor(self.clock, **(own | clients)))

    @property
    def services(self) -> Services:
        """The services of the sandbox."""
        return handler.AUDITOR.services

    def clock(self) -> float:
        """Return the time, as much later as the test says."""
        return time.time() + self.later

    def database(self, name: str, hours_old: float = 0, **tags: str) -> None:
        """Create an instance in RDS, with tags of `rds-snap-backup:`."""
        given = {f"rds-snap-backup:{key}": value for key, value in tags.items()}
        created = datetime.fromtimestamp(time.time() - hours_old * 3600, UTC)
        create_instance(self.aws.client("rds"), name, "mysql", given, created)

    def cluster(self, name: str, member: str, engine: str = "aurora-mysql") -> None:
        """Create a cluster with a member instance."""
        rds = self.aws.client("rds")
        rds.create_db_cluster(
            DBClusterIdentifier=name, Engine=engine, MasterUsername="admin", MasterUserPassword="fake-password"
        )
        rds.create_db_instance(
            DBInstanceIdentifier=member, DBClusterIdentifier=name, Engine=engine, DBInstanceClass="db.r5.large"
        )

    def remove_databases(self) -> None:
        """Delete all databases and snapshots: those of earlier tests, which share the emulator's account."""
        remove_databases(self.aws.client("rds"))

    def back_up(self, group: str, hours_ago: float = 1, **job: Any) -> Job:
        """Let Commvault run a job of a group of `aws-prod` so many hours ago, for a minute."""
        start = self.commserve.clock.now() - hours_ago * 3600
        return self.commserve.add_job("aws-prod", group, start=start, **{"seconds": 60, **job})

    def lose_message(self, target: str = "default") -> None:
        """Let a submission's message be lost two hours ago."""
        document = self.services.targets.load(target)
        trigger = Trigger("schedule", "arn:aws:scheduler:stuck|now")
        submission = begin(trigger, document, document.request.associations, self.services.config.policy, self.clock())
        self.services.submissions.save(Change(replace(submission, wake_at=self.clock())))
        self.later += 2 * 3600

    def invoke(self, event: Any, seconds: float = 300) -> Any:
        """Invoke the function with an event."""
        context: Any = Context(seconds)
        return handler.lambda_handler(event, context)

    def by_hand(self) -> Any:
        """Return the answer to a run by hand."""
        return self.invoke({"audit": True})

    def daily(self, days: float = 1) -> Any:
        """Let days pass, then the schedule start the audit; return its answer."""
        self.later += days * DAY
        return self.deliver()

    def deliver(self) -> Any:
        """Deliver the audit that is due now; of the same day it is the same one again."""
        return self.invoke({"audit": True, "schedule": SCHEDULE, "time": f"day {self.later // DAY:.0f}"})

    def published(self) -> list[Any]:
        """Return the audits that a subscriber has received so far."""
        return [message for message in self.world.notifications() if message["status"] == "audit"]

    def _counting(self, service: str) -> Any:
        client = self.world.client(service)
        client.meta.events.register("before-call", lambda model, **_: self.calls.update([model.name]))
        return client


def unreachable(service: str) -> Any:
    """Return a client that reaches nothing."""
    session: Any = boto3.Session("test", "test", region_name=REGION)
    once = SdkConfig(connect_timeout=1, retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url="http://127.0.0.1:9", config=once)


def remove_databases(rds: Any) -> None:
    """Delete all databases and snapshots of an account."""
    for row in rds.describe_db_instances()["DBInstances"]:
        rds.delete_db_instance(DBInstanceIdentifier=row["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    for row in rds.describe_db_clusters()["DBClusters"]:
        rds.delete_db_cluster(DBClusterIdentifier=row["DBClusterIdentifier"], SkipFinalSnapshot=True)
    for row in rds.describe_db_snapshots()["DBSnapshots"]:
        rds.delete_db_snapshot(DBSnapshotIdentifier=row["DBSnapshotIdentifier"])
    for row in rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]:
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=row["DBClusterSnapshotIdentifier"])


def codes(answer: Any) -> list[tuple[str, str | None]]:
    """Return the findings' codes, each with its database or target."""
    return [(finding["code"], finding["database"] or finding["target"]) for finding in answer["findings"]]


def verdicts(answer: Any) -> dict[str, str]:
    """Return the databases' verdicts by name."""
    return {row["arn"].rpartition(":")[2]: row["verdict"] for row in answer["databases"]}
