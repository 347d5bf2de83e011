"""Targets, databases, groups and a sandbox of the Audit function whose AWS is in memory."""

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from rds_snap_backup.audit.auditor import Auditor
from rds_snap_backup.audit.coverage import Contents, Listed
from rds_snap_backup.audit.documents import StoredTarget, read_targets
from rds_snap_backup.audit.estate import Estate, judge_of
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.commvault.contents import read_content
from rds_snap_backup.commvault.inventory import Group, Instance
from rds_snap_backup.commvault.restore_points import RestorePoint
from rds_snap_backup.config import Config
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place, Resource, Snapshot
from rds_snap_backup.rds.members import Listing
from rds_snap_backup.targets import Document, Target, Targets
from tests.property.model.aws import SNS, SQS
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients
from tests.support import ENVIRONMENT

ACCOUNT, OTHER = "111122223333", "444455556666"
HOME, AWAY = Place(ACCOUNT, "us-east-1"), Place(OTHER, "us-east-1")
ARN = f"arn:aws:rds:us-east-1:{ACCOUNT}"
PATH = "/rds-snap-backup/test/targets/"
NOW = 1769824804.0
HOUR = 3600.0
RDS, DEV = Instance("aws-prod", "RDS", "210"), Instance("aws-dev", "RDS", "211")


# ---- Targets


def association(subclient: str = "nightly") -> dict[str, Any]:
    return {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": subclient}


def text(*associations: dict[str, Any], **fields: Any) -> str:
    """Return a target's document; without associations it has one."""
    return json.dumps({"associations": associations or [association()], **fields})


def stored(name: str, document: str) -> StoredTarget:
    """Return a target as it is stored."""
    client: Any = SimpleNamespace()
    (found,) = read_targets(Targets(PATH, client), [(name, Document(document, 0))])
    return found


def target(name: str = "orders", *associations: dict[str, Any], **fields: Any) -> Target:
    found = stored(name, text(*associations, **fields)).target
    assert found is not None
    return found


# ---- RDS


def resource(name: str, kind: Any = "instance", **more: Any) -> Resource:
    """Return an instance or a cluster, at home unless `at` is given; `exclude` is the value of that tag."""
    at: Place = more.pop("at", HOME)
    tags = {"rds-snap-backup:exclude": more.pop("exclude")} if "exclude" in more else {}
    arn = f"arn:aws:rds:{at.region}:{at.account}:{'db' if kind == 'instance' else 'cluster'}:{name}"
    fields = {"name": name, "arn": arn, "kind": kind, "engine": "mysql", "status": "available"}
    return Resource(**fields | {"resource_id": f"id-{name}"} | more, tags=tags)


def database(name: str, kind: Any = "instance", members: tuple[str, ...] = (), **more: Any) -> Database:
    return Database(resource(name, kind, **more), members)


def snapshot(name: str, of: Resource, hours: float = 1, **more: Any) -> Snapshot:
    """Return a manual snapshot that was made so many hours ago."""
    arn = f"arn:aws:rds:{of.place.region}:{of.account}:snapshot:{name}"
    return replace(Snapshot(of.kind, name, arn, of.name, of.resource_id, NOW - hours * HOUR, True), **more)


# ---- Commvault


def child(kind: object, name: object, **more: Any) -> dict[str, Any]:
    """Return a part of a content."""
    return {"displayName": name, "name": name, "path": "", "type": kind, "negation": False, **more}


def group(name: str, *children: Any, of: Instance = RDS, filters: Sequence[Any] = ()) -> Group:
    """Return an instance group with this content."""
    excepted = {"cloudDbFilter": {"children": list(filters)}} if filters else {}
    content = read_content({"cloudDbContent": {"children": list(children)}, **excepted})
    assert content is not None
    return Group(of, name, "101", content)


EVERYTHING = child("root", "All instances")
NIGHTLY = group("nightly", EVERYTHING)


def point(name: str, hours: float = 1, snapshot: str = "", region: str = "us-east-1") -> RestorePoint:
    """Return a restore point that was made so many hours ago."""
    return RestorePoint(name, snapshot or f"{name}-{hours:g}", NOW - hours * HOUR, region)


def judge(*databases: Database, **facts: Any) -> Judge:
    """Return a judge of these databases with one instance: its group `nightly` has everything, and no restore points."""
    groups = facts.pop("groups", (NIGHTLY,))
    instances = list(dict.fromkeys(each.instance for each in groups)) or [RDS]
    contents = Contents(groups, instances, facts.pop("unread_clients", {}), facts.pop("problem", None))
    listed = dict.fromkeys(instances, Listed((), NOW - 168 * HOUR)) | {
        instance: found if isinstance(found, Problem | Listed) else Listed(found, NOW - 168 * HOUR)
        for instance, found in facts.pop("points", {}).items()
    }
    found: dict[Place, Any] = {}
    for each in facts.pop("snapshots", ()):
        _, _, _, region, account, *_ = each.arn.split(":")
        found.setdefault(Place(account, region), {})[each.kind, each.name] = each
    places = facts.pop("places", {each.resource.place for each in databases} | {HOME})
    estate = Estate(HOME, dict.fromkeys(places, Listing([], [])), list(databases))
    judge = judge_of(Config.from_env(ENVIRONMENT), NOW, estate, facts.pop("targets", ()))
    return replace(judge, contents=contents, listed=listed, **{"found": found} | facts)


class Aws:
    """AWS in memory: the ledger, what is published, and what is sent."""

    def __init__(self) -> None:
        self.kernel = Kernel(now=NOW)
        self.sns, self.sqs = SNS(self.kernel), SQS(self.kernel)
        self.clients = clients({"dynamodb": DynamoDB(self.kernel), "sns": self.sns, "sqs": self.sqs})

    def auditor(self) -> Auditor:
        """Return a sandbox of the Audit function."""
        return Auditor.make(Config.from_env(ENVIRONMENT), self.clients, self.kernel.time)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(message.body) for queue in self.sqs.queues.values() for message in queue]
