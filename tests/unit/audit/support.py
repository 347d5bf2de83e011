"""Targets, databases and a sandbox of the Audit function whose AWS is in memory."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import EndpointConnectionError

from rds_snap_backup.audit.coverage import Candidate, Coverage
from rds_snap_backup.audit.daily import Auditor
from rds_snap_backup.audit.documents import StoredTarget, read_targets
from rds_snap_backup.bootstrap import Clients
from rds_snap_backup.config import Config
from rds_snap_backup.rds.databases import Database, Place, Resource
from rds_snap_backup.targets import Document, Targets
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Schedule
from tests.support import ENVIRONMENT

ACCOUNT = "111122223333"
HOME = Place(ACCOUNT, "us-east-1")
ARN = f"arn:aws:rds:us-east-1:{ACCOUNT}"
PATH = "/rds-snap-backup/test/targets/"


def association(instance: str = "elsewhere", subclient: str = "default", **more: Any) -> dict[str, Any]:
    """Return a document's association."""
    return {"clientName": "aws-prod", "instanceName": instance, "subclientName": subclient, **more}


def text(*associations: dict[str, Any], **fields: Any) -> str:
    """Return a target's document; without associations it has one."""
    return json.dumps({"associations": associations or [association()], **fields})


def stored(name: str, document: str, changed_at: float = 0) -> StoredTarget:
    """Return a target as it is stored."""
    client: Any = SimpleNamespace()
    (found,) = read_targets(Targets(PATH, client), [(name, Document(document, changed_at))])
    return found


def coverage(changed_at: float = 0, /, **documents: str) -> Coverage:
    """Return the associations of these targets."""
    return Coverage([stored(name, document, changed_at) for name, document in documents.items()], HOME)


def backup(document: str = "", name: str = "orders", changed_at: float = 0) -> Candidate:
    """Return the one association of a target."""
    (found,) = coverage(changed_at, **{name: document or text()}).associations
    return found


def resource(name: str, kind: Any = "instance", **more: Any) -> Resource:
    """Return an instance or a cluster, at home unless `at` is given; `exclude` is the value of that tag."""
    at: Place = more.pop("at", HOME)
    tags = {"rds-snap-backup:exclude": more.pop("exclude")} if "exclude" in more else {}
    arn = f"arn:aws:rds:{at.region}:{at.account}:{'db' if kind == 'instance' else 'cluster'}:{name}"
    return Resource(
        **{"name": name, "arn": arn, "kind": kind, "engine": "mysql", "status": "available"} | more, tags=tags
    )


def database(name: str, kind: Any = "instance", members: tuple[Resource, ...] = (), **more: Any) -> Database:
    """Return a database."""
    return Database(resource(name, kind, **more), members)


class Aws:
    """AWS in memory: the ledger, and what is published and sent. `now` is the time, `failing` a call that fails."""

    def __init__(self) -> None:
        self.now = 1769824804.0
        self.published: list[dict[str, Any]] = []
        self.levels: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.failing = ""
        ledger: Any = DynamoDB(Kernel({"aws": Schedule(())}, Schedule(())))
        here: Any = self
        self.clients = Clients(
            dynamodb=ledger,
            rds=lambda: here,
            secretsmanager=here,
            sns=here,
            sqs=lambda: here,
            ssm=boto3.client("ssm"),
        )
        self.config = Config.from_env(ENVIRONMENT)

    def auditor(self) -> Auditor:
        """Return a sandbox of the Audit function."""
        return Auditor.make(self.config, self.clients, lambda: self.now)

    def publish(self, **call: Any) -> None:
        """Be SNS."""
        self._fail("publish")
        self.published.append(json.loads(json.loads(call["Message"])["default"]))
        self.levels.append(call["MessageAttributes"]["level"]["StringValue"])

    def send_message(self, **call: Any) -> None:
        """Be SQS."""
        self._fail("send_message")
        self.sent.append(json.loads(call["MessageBody"]))

    def _fail(self, operation: str) -> None:
        if self.failing == operation:
            raise EndpointConnectionError(endpoint_url="https://aws.example")
