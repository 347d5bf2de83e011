"""RDS's databases, and its events as it puts them on the bus, for tests and the demo.

The samples in `events/` are complete ones of each kind.
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from local.commserve.content import Database
from local.emulator import ACCOUNT, REGION

# For each source type: the event's detail-type, and the kind of resource in its ARN.
SOURCES = {
    "DB_INSTANCE": ("RDS DB Instance Event", "db"),
    "CLUSTER": ("RDS DB Cluster Event", "cluster"),
    "SNAPSHOT": ("RDS DB Snapshot Event", "snapshot"),
    "CLUSTER_SNAPSHOT": ("RDS DB Cluster Snapshot Event", "cluster-snapshot"),
}
RESTORED = "RDS-EVENT-0043"
# Engines that share RDS's API, and whose databases other Commvault instances hold.
FOREIGN = ("docdb", "neptune")


@dataclass(frozen=True, slots=True)
class RdsAccount:
    """An account's RDS as the simulated Commvault sees it: `clients` has a client of RDS for each region."""

    clients: Sequence[Any]

    def databases(self) -> list[Database]:
        """Return the instances that are no cluster's members, and the clusters."""
        return [
            database
            for client in self.clients
            for name in ("describe_db_instances", "describe_db_clusters")
            for page in client.get_paginator(name).paginate()
            for row in page.get("DBInstances", []) + page.get("DBClusters", [])
            if row["Engine"] not in FOREIGN and bool(row.get("DBClusterIdentifier")) == ("DBClusters" in page)
            for database in [_database(row, client.meta.region_name)]
        ]

    def snapshot(self, database: Database, name: str, at: int) -> bool:
        """Make a manual snapshot that was created at a Unix time; False if RDS refuses."""
        tags = created_at(datetime.fromtimestamp(at, UTC))
        client = next(client for client in self.clients if client.meta.region_name == database.region)
        try:
            if database.is_cluster:
                client.create_db_cluster_snapshot(
                    DBClusterSnapshotIdentifier=name, DBClusterIdentifier=database.name, Tags=tags
                )
            else:
                client.create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier=database.name, Tags=tags)
        except ClientError:
            return False
        return True


def _database(row: Mapping[str, Any], region: str) -> Database:
    is_cluster = "DBInstanceIdentifier" not in row
    zones = row.get("AvailabilityZones", []) if is_cluster else [row.get("AvailabilityZone") or f"{region}a"]
    return Database(
        row["DBClusterIdentifier" if is_cluster else "DBInstanceIdentifier"],
        region,
        is_cluster,
        row.get("Status" if is_cluster else "DBInstanceStatus", ""),
        row["Engine"],
        tuple(zones),
    )


def created_at(moment: datetime) -> list[dict[str, str]]:
    """Return the tags by which the emulator takes a database or a snapshot for one that was created then."""
    return [{"Key": "emulator:created", "Value": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"}]


def create_instance(
    rds: Any, name: str, engine: str, tags: Mapping[str, str] | None = None, created: datetime | None = None
) -> None:
    """Create an instance in the emulated RDS, which makes its records and no database; `rds` is a client of it."""
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.micro",
        Engine=engine,
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword=secrets.token_hex(12),
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        + (created_at(created) if created else []),
    )


def rds_event(
    name: str,
    event_id: str = RESTORED,
    *,
    source_type: str = "DB_INSTANCE",
    date: str | None = None,
    tags: Mapping[str, str] | None = None,
    message: str = "Restored from snapshot nightly-17.",
) -> dict[str, Any]:
    """Return an event about the database `name`; without a `date` it happened now."""
    detail_type, kind = SOURCES[source_type]
    happened = date or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name}"
    detail: dict[str, Any] = {
        "EventCategories": ["creation"],
        "SourceType": source_type,
        "SourceArn": arn,
        "Date": happened,
        "Message": message,
        "SourceIdentifier": name,
        "EventID": event_id,
    }
    if tags is not None:
        detail["Tags"] = dict(tags)
    return {"source": "aws.rds", "detail-type": detail_type, "resources": [arn], "detail": detail}


def delivered(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as the bus hands it to a function."""
    bus = {"version": "0", "id": str(uuid.uuid4()), "account": ACCOUNT, "region": REGION}
    return {**bus, "time": event["detail"]["Date"], **event}
