"""The Audit function in this process: emulated AWS with databases of its own, the simulator, and a clock that tests move."""

import json
import time
from collections import Counter
from typing import Any

import boto3
import pytest

from local.commserve import CommServe
from local.emulator import REGION, Emulator
from rds_snap_backup.audit import handler
from rds_snap_backup.bootstrap import Services
from tests.integration.world import World
from tests.support import Context

DAY = 86400
SCHEDULE = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/audit"


class AuditScene:
    """A stack whose target `default` covers the one database `orders-db`, and has a listener: there is nothing to find."""

    def __init__(self, aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        self.aws, self.commserve = aws, commserve
        self.world = World(aws, commserve, **settings)
        self.later = 0.0
        self.calls: Counter[str] = Counter()
        self._made: list[tuple[str, str]] = []
        self._monkeypatch = monkeypatch
        self.database("orders-db")
        self.cold_start()

    def cold_start(self, **clients: Any) -> None:
        """Begin another sandbox, where nothing is cached; `clients` replace some of its own."""
        own = {name: self._counting(name) for name in ("dynamodb", "rds", "secretsmanager", "sns", "sqs", "ssm")}
        self._monkeypatch.setattr(handler, "AUDITOR", self.world.auditor(self.clock, **(own | clients)))

    @property
    def services(self) -> Services:
        """The services of the sandbox, such as its ledger."""
        return handler.AUDITOR.services

    def clock(self) -> float:
        """Return the time, as much later as the test says."""
        return time.time() + self.later

    def database(self, name: str, **tags: str) -> None:
        """Create an instance in RDS, with tags of `rds-snap-backup:`."""
        given = [{"Key": f"rds-snap-backup:{key}", "Value": value} for key, value in tags.items()]
        login = {"MasterUsername": "admin", "MasterUserPassword": "fake-password"}
        size = {"DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20}
        self.aws.client("rds").create_db_instance(
            DBInstanceIdentifier=name, Engine="mysql", Tags=given, **size, **login
        )
        self._made.append(("instance", name))

    def cluster(self, name: str, *members: str, engine: str = "aurora-mysql") -> None:
        """Create a cluster with member instances."""
        rds = self.aws.client("rds")
        rds.create_db_cluster(
            DBClusterIdentifier=name, Engine=engine, MasterUsername="admin", MasterUserPassword="fake-password"
        )
        for member in members:
            rds.create_db_instance(
                DBInstanceIdentifier=member, DBClusterIdentifier=name, Engine=engine, DBInstanceClass="db.r5.large"
            )
            self._made.append(("instance", member))
        self._made.append(("cluster", name))

    def remove_databases(self) -> None:
        """Delete what was created: the emulator's account is shared by all tests."""
        rds = self.aws.client("rds")
        for kind, name in self._made:
            if kind == "instance":
                rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
            else:
                rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
        for snapshot in rds.describe_db_snapshots()["DBSnapshots"]:
            rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"])

    def invoke(self, event: Any, seconds: float = 300) -> Any:
        """Invoke the function with an event."""
        context: Any = Context(seconds)
        return handler.lambda_handler(event, context)

    def by_hand(self) -> Any:
        """Return what a run by hand answers."""
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
        return [one for one in self.world.notifications() if one["status"] == "audit"]

    def _counting(self, service: str) -> Any:
        session: Any = boto3.Session("test", "test", region_name=REGION)
        client = session.client(service, endpoint_url=self.aws.endpoint_url)

        def count(model: Any, **_: Any) -> None:
            self.calls[model.name] += 1

        client.meta.events.register("before-call", count)
        return client


def codes(answer: Any) -> list[tuple[str, str | None]]:
    """Return the findings' codes, each with its target or database."""
    return [(one["code"], one["target"] or one["database"]) for one in answer["findings"]]


def metrics(text: str) -> Counter[str]:
    """Return the sums of the metrics in a function's output."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if '"_aws"' in line:
            document = json.loads(line)
            for directive in document["_aws"]["CloudWatchMetrics"]:
                for metric in directive["Metrics"]:
                    value = document[metric["Name"]]
                    found[metric["Name"]] += int(value[0] if isinstance(value, list) else value)
    return found
