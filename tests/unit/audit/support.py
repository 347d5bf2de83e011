"""Targets and databases as the audit has read them."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import EndpointConnectionError

from rds_snap_backup.audit.daily import Auditor
from rds_snap_backup.audit.documents import StoredTarget, read_targets
from rds_snap_backup.bootstrap import Clients
from rds_snap_backup.config import Config
from rds_snap_backup.rds.databases import Database, Resource
from rds_snap_backup.targets import Document, Targets
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Schedule
from tests.support import ENVIRONMENT

ARN = "arn:aws:rds:us-east-1:111122223333"
PATH = "/rds-snap-backup/test/targets/"


def text(instance: str = "elsewhere", **fields: Any) -> str:
    """Return a target's document with one association, unless `fields` has others."""
    one = {"clientName": "aws-prod", "instanceName": instance, "subclientName": "default"}
    return json.dumps({"associations": [one], **fields})


def stored(name: str, document: str, changed_at: float = 0) -> StoredTarget:
    """Return a target as it is stored."""
    client: Any = SimpleNamespace()  # nothing is asked
    (found,) = read_targets(Targets(PATH, client), [(name, Document(document, changed_at))])
    return found


def resource(name: str, kind: Any = "instance", cluster: str = "", **tags: str) -> Resource:
    """Return an instance or a cluster; of a tag's name the part behind `rds-snap-backup:` is given."""
    part = "db" if kind == "instance" else "cluster"
    named = {f"rds-snap-backup:{key}": value for key, value in tags.items()}
    return Resource(name, f"{ARN}:{part}:{name}", kind, "mysql", "available", named, cluster)


def database(name: str, kind: Any = "instance", members: tuple[Resource, ...] = (), **tags: str) -> Database:
    """Return a database of its own."""
    return Database(resource(name, kind, **tags), members)


class Aws:
    """The services of a sandbox whose AWS is in memory: the ledger, and what is published and sent; `now` is the time."""

    def __init__(self) -> None:
        self.now = 1769824804.0
        self.published: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.failing = ""
        self.dynamodb = DynamoDB(Kernel({"aws": Schedule(())}, Schedule(())))
        here: Any = self
        table: Any = self.dynamodb
        self.clients = Clients(
            dynamodb=table,
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

    def send_message(self, **call: Any) -> None:
        """Be SQS."""
        self._fail("send_message")
        self.sent.append(call)

    def _fail(self, operation: str) -> None:
        if self.failing == operation:
            raise EndpointConnectionError(endpoint_url="https://aws.example")
