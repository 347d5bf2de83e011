"""The databases of the stack's account and region, as RDS lists them, and their manual snapshots.

A cluster and its member instances are one database; a read replica is one of its own. Rows are read page by page, so that
whoever asks can stop when the time is over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

type Kind = Literal["instance", "cluster"]

# The most that AWS gives; with fewer, hundreds of databases take more calls.
PAGE_SIZE = 100
# RDS lists the databases of these services too, and Commvault's RDS snap backups are not for them.
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html
OTHER_SERVICES = frozenset({"docdb", "neptune"})
# What is being deleted needs no backup any more.
DELETING = "deleting"


@dataclass(frozen=True)
class Resource:
    """An instance or a cluster as RDS lists it. `cluster` names the one that an instance is a member of; else empty."""

    name: str
    arn: str
    kind: Kind
    engine: str
    status: str
    tags: Mapping[str, str]
    cluster: str = ""

    @classmethod
    def of_instance(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `DescribeDBInstances`; `DBClusterIdentifier` is only on members."""
        return cls(
            name=clean_text(row["DBInstanceIdentifier"]),
            arn=clean_text(row["DBInstanceArn"]),
            kind="instance",
            engine=clean_text(row.get("Engine", "")),
            status=row.get("DBInstanceStatus", ""),
            tags=_tags(row),
            cluster=row.get("DBClusterIdentifier", ""),
        )

    @classmethod
    def of_cluster(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `DescribeDBClusters`."""
        return cls(
            name=clean_text(row["DBClusterIdentifier"]),
            arn=clean_text(row["DBClusterArn"]),
            kind="cluster",
            engine=clean_text(row.get("Engine", "")),
            status=row.get("Status", ""),
            tags=_tags(row),
        )


@dataclass(frozen=True)
class Database:
    """What is backed up as one: an instance, or a cluster with its members, whose events are the cluster's too."""

    resource: Resource
    members: tuple[Resource, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A manual snapshot that is available, of the instance or cluster `database`; `at` in Unix seconds."""

    name: str
    kind: Kind
    database: str
    at: float


class Databases:
    """RDS in one account and region. The client is made when it is first needed."""

    def __init__(self, client: Callable[[], "RDSClient"]) -> None:
        self._make_client = client

    def resources(self) -> Iterator[Resource]:
        """Yield all clusters and instances, of every engine."""
        client = self._make_client()
        size: Any = {"PageSize": PAGE_SIZE}
        for clusters in client.get_paginator("describe_db_clusters").paginate(PaginationConfig=size):
            yield from map(Resource.of_cluster, clusters["DBClusters"])
        for instances in client.get_paginator("describe_db_instances").paginate(PaginationConfig=size):
            yield from map(Resource.of_instance, instances["DBInstances"])

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the manual snapshots of all databases: one listing for all of them, not one for each."""
        client = self._make_client()
        size: Any = {"PageSize": PAGE_SIZE}
        for page in client.get_paginator("describe_db_cluster_snapshots").paginate(
            SnapshotType="manual", PaginationConfig=size
        ):
            yield from _snapshots(page["DBClusterSnapshots"], "cluster", "DBCluster")
        for part in client.get_paginator("describe_db_snapshots").paginate(
            SnapshotType="manual", PaginationConfig=size
        ):
            yield from _snapshots(part["DBSnapshots"], "instance", "DBInstance")


def databases_of(resources: Iterable[Resource]) -> list[Database]:
    """Return the databases in a listing, by name: members with their cluster, and those of other services left out."""
    listed = [one for one in resources if one.engine not in OTHER_SERVICES and one.status != DELETING]
    members: dict[str, list[Resource]] = {}
    for one in listed:
        if one.cluster:
            members.setdefault(one.cluster, []).append(one)
    databases = [Database(one, tuple(members.get(one.name, ()))) for one in listed if one.kind == "cluster"]
    databases += [Database(one) for one in listed if one.kind == "instance" and not one.cluster]
    return sorted(databases, key=lambda one: (one.resource.name, one.resource.kind))


def newest_of(snapshots: Iterable[Snapshot]) -> dict[tuple[Kind, str], Snapshot]:
    """Return the newest snapshot of each database, by its kind and name."""
    newest: dict[tuple[Kind, str], Snapshot] = {}
    for one in snapshots:
        key = (one.kind, one.database)
        if key not in newest or one.at > newest[key].at:
            newest[key] = one
    return newest


def _snapshots(rows: Iterable[Mapping[str, Any]], kind: Kind, entity: str) -> Iterator[Snapshot]:
    """Read rows of a listing of snapshots; one that is still being created has no time yet."""
    snapshot = "DBClusterSnapshotIdentifier" if kind == "cluster" else "DBSnapshotIdentifier"
    for row in rows:
        if row.get("Status") == "available" and "SnapshotCreateTime" in row:
            yield Snapshot(
                name=clean_text(row[snapshot]),
                kind=kind,
                database=clean_text(row[f"{entity}Identifier"]),
                at=row["SnapshotCreateTime"].timestamp(),
            )


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in row.get("TagList", [])}
