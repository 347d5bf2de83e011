"""Targets and databases as the audit has read them."""

import json
from typing import Any

from rds_snap_backup.audit.documents import StoredTarget, read_targets
from rds_snap_backup.rds.databases import Database, Resource
from rds_snap_backup.targets import Document, Targets

ARN = "arn:aws:rds:us-east-1:111122223333"
PATH = "/rds-snap-backup/test/targets/"


def text(instance: str = "elsewhere", **fields: Any) -> str:
    """Return a target's document with one association, unless `fields` has others."""
    one = {"clientName": "aws-prod", "instanceName": instance, "subclientName": "default"}
    return json.dumps({"associations": [one], **fields})


def stored(name: str, document: str, changed_at: float = 0) -> StoredTarget:
    """Return a target as it is stored."""
    client: Any = None  # nothing is asked
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
