"""The databases of a place, one account and region, as RDS lists them, and its quotas of manual snapshots.

A cluster and its member instances are one database; a read replica is a separate one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_rds import RDSClient

type Kind = Literal["instance", "cluster"]

# The most that AWS gives; with fewer, hundreds of databases take more calls.
PAGE_SIZE = 100
# RDS lists the databases of these services too, and Commvault's RDS snap backups are not for them.
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html
OTHER_SERVICES = frozenset({"docdb", "neptune"})
# It needs no backup any more.
DELETING = "deleting"
SNAPSHOT_QUOTAS = frozenset({"ManualSnapshots", "ManualClusterSnapshots"})


@dataclass(frozen=True, order=True)
class Place:
    """An account and a region."""

    account: str
    region: str

    def __str__(self) -> str:
        """Return `ACCOUNT/REGION`."""
        return f"{self.account}/{self.region}"


@dataclass(frozen=True)
class Quota:
    """A quota of a region, and how much of it is used."""

    name: str
    used: int
    limit: int


@dataclass(frozen=True)
class Resource:
    """An instance or a cluster as RDS lists it.

    `cluster` names the one that an instance is a member of, else it is empty. `created` is Unix seconds, 0 if unknown.
    """

    name: str
    arn: str
    kind: Kind
    engine: str
    status: str
    tags: Mapping[str, str]
    cluster: str = ""
    created: float = 0
    is_replica: bool = False

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
            created=_seconds(row.get("InstanceCreateTime")),
            is_replica=any(row.get(f"ReadReplicaSourceDB{kind}Identifier") for kind in ("Instance", "Cluster")),
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
            created=_seconds(row.get("ClusterCreateTime")),
            is_replica=bool(row.get("ReplicationSourceIdentifier")),
        )

    @property
    def account(self) -> str:
        """The account, from the ARN."""
        return self.arn.split(":")[4]

    @property
    def place(self) -> Place:
        """The account and region, from the ARN."""
        return Place(self.account, self.arn.split(":")[3])


@dataclass(frozen=True)
class Database:
    """What is backed up as one: an instance, or a cluster with its members."""

    resource: Resource
    members: tuple[Resource, ...] = ()


class Databases:
    """RDS in one place. `client` makes the client when it is first needed."""

    def __init__(self, client: "Callable[[], RDSClient]") -> None:
        self._client = client

    def resources(self) -> Iterator[Resource]:
        """Yield all clusters and instances of every engine, page by page."""
        client = self._client()
        size: Any = {"PageSize": PAGE_SIZE}
        for clusters in client.get_paginator("describe_db_clusters").paginate(PaginationConfig=size):
            yield from map(Resource.of_cluster, clusters["DBClusters"])
        for instances in client.get_paginator("describe_db_instances").paginate(PaginationConfig=size):
            yield from map(Resource.of_instance, instances["DBInstances"])

    def quotas(self) -> list[Quota]:
        """Return the quotas of manual snapshots, which Commvault's snap backups use up."""
        rows = self._client().describe_account_attributes()["AccountQuotas"]
        return [
            Quota(row["AccountQuotaName"], row["Used"], row["Max"])
            for row in rows
            if row["AccountQuotaName"] in SNAPSHOT_QUOTAS
        ]


def databases_of(resources: Iterable[Resource]) -> list[Database]:
    """Return the databases in a listing, by name: members with their cluster, and those of other services left out."""
    listed = [
        resource for resource in resources if resource.engine not in OTHER_SERVICES and resource.status != DELETING
    ]
    members: dict[str, list[Resource]] = {}
    for resource in listed:
        if resource.cluster:
            members.setdefault(resource.cluster, []).append(resource)
    databases = [
        Database(resource, tuple(members.get(resource.name, ())) if resource.kind == "cluster" else ())
        for resource in listed
        if not resource.cluster
    ]
    return sorted(databases, key=lambda database: (database.resource.name, database.resource.kind))


def _seconds(time: "datetime | None") -> float:
    return time.timestamp() if time else 0


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in row.get("TagList", [])}
