"""The databases of a place, one account and region, as RDS lists them, their manual snapshots and the quotas of these.

A cluster and its member instances are one database; a read replica is a separate one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Literal, Self

from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_rds import RDSClient

type Kind = Literal["instance", "cluster"]
# How snapshots are chosen.
type By = Literal["name", "database"]

# The most that AWS gives; with fewer, hundreds of databases take more calls.
PAGE_SIZE = 100
# Values of one filter: some kilobytes of a request.
MAX_FILTERED = 50
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
    `resource_id` is RDS's own ID: a database that was deleted and created again under its name has another one.
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
    resource_id: str = ""

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
            resource_id=row.get("DbiResourceId", ""),
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
            resource_id=row.get("DbClusterResourceId", ""),
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
    """What is backed up as one: an instance, or a cluster with the identifiers of its members."""

    resource: Resource
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """How RDS lists the manual snapshots of a kind of database: the call, its filters, and the fields of its rows."""

    kind: Kind
    operation: str
    rows: str
    filters: Mapping[By, str]
    name: str
    arn: str
    database: str
    resource_id: str


# A copy keeps the time of the original only where RDS says so, which it does for snapshots of instances.
FORMS: Mapping[Kind, Form] = {
    "instance": Form(
        "instance",
        "describe_db_snapshots",
        "DBSnapshots",
        {"name": "db-snapshot-id", "database": "db-instance-id"},
        "DBSnapshotIdentifier",
        "DBSnapshotArn",
        "DBInstanceIdentifier",
        "DbiResourceId",
    ),
    "cluster": Form(
        "cluster",
        "describe_db_cluster_snapshots",
        "DBClusterSnapshots",
        {"name": "db-cluster-snapshot-id", "database": "db-cluster-id"},
        "DBClusterSnapshotIdentifier",
        "DBClusterSnapshotArn",
        "DBClusterIdentifier",
        "DbClusterResourceId",
    ),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A manual snapshot as RDS lists it, of an instance or a cluster; `created` is Unix seconds, 0 if unknown."""

    kind: Kind
    name: str
    arn: str
    database: str
    resource_id: str
    created: float
    is_available: bool

    @classmethod
    def read(cls, row: Mapping[str, Any], form: Form) -> Self:
        """Read a row of a list."""
        return cls(
            kind=form.kind,
            name=clean_text(row[form.name]).lower(),
            arn=clean_text(row.get(form.arn, "")),
            database=row.get(form.database, "").lower(),
            resource_id=row.get(form.resource_id, ""),
            created=_seconds(row.get("OriginalSnapshotCreateTime") or row.get("SnapshotCreateTime")),
            is_available=row.get("Status") == "available",
        )

    def is_of(self, resource: Resource) -> bool:
        """Tell whether it is a snapshot of this database, not of an earlier one with its name."""
        if self.resource_id and resource.resource_id:
            return self.resource_id == resource.resource_id
        is_named = (self.kind, self.database) == (resource.kind, resource.name.lower())
        return is_named and self.created >= resource.created


@dataclass(frozen=True)
class Wanted:
    """The manual snapshots to read of one kind of database: by their own names, or all of these databases."""

    kind: Kind
    by: By
    values: frozenset[str]


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

    def database(self, kind: Kind, name: str) -> Database | None:
        """Return one instance or cluster, None if RDS does not know it."""
        client = self._client()
        try:
            if kind == "instance":
                instance = client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
                return Database(Resource.of_instance(instance))
            cluster = client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
            members = (clean_text(member["DBInstanceIdentifier"]) for member in cluster.get("DBClusterMembers", ()))
            return Database(Resource.of_cluster(cluster), tuple(members))
        except (client.exceptions.DBInstanceNotFoundFault, client.exceptions.DBClusterNotFoundFault, IndexError):
            return None

    def snapshots(self, wanted: Wanted) -> Iterator[Snapshot]:
        """Yield manual snapshots, page by page; a name that RDS does not know is left out."""
        client: Any = self._client()
        form = FORMS[wanted.kind]
        pages = client.get_paginator(form.operation)
        for values in batched(sorted(wanted.values), MAX_FILTERED, strict=False):
            filters = [{"Name": form.filters[wanted.by], "Values": list(values)}]
            size = {"PageSize": PAGE_SIZE}
            for page in pages.paginate(SnapshotType="manual", Filters=filters, PaginationConfig=size):
                yield from (Snapshot.read(row, form) for row in page[form.rows])

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
    members: dict[str, list[str]] = {}
    for resource in listed:
        if resource.cluster:
            members.setdefault(resource.cluster, []).append(resource.name)
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
