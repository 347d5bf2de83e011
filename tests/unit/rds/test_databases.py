"""RDS's lists: all pages, members with their cluster, without other services and what is being deleted."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.rds import databases as module
from rds_snap_backup.rds.databases import FORMS, MAX_FILTERED, Database, Databases, Resource, Snapshot, databases_of

ARN = "arn:aws:rds:us-east-1:111122223333"
AT = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def rds() -> Iterator[Stubber]:
    with Stubber(boto3.client("rds")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def client_of(rds: Stubber) -> Any:
    return rds.client


def instance_row(name: str, **more: Any) -> dict[str, Any]:
    row = {"DBInstanceIdentifier": name, "DBInstanceArn": f"{ARN}:db:{name}"}
    return {**row, "Engine": "mysql", "DBInstanceStatus": "available", **more}


def cluster_row(name: str, **more: Any) -> dict[str, Any]:
    row = {"DBClusterIdentifier": name, "DBClusterArn": f"{ARN}:cluster:{name}"}
    return {**row, "Engine": "aurora-mysql", "Status": "available", **more}


def instance(name: str, **more: Any) -> Resource:
    return Resource.of_instance(instance_row(name, **more))


def cluster(name: str, **more: Any) -> Resource:
    return Resource.of_cluster(cluster_row(name, **more))


def test_all_pages_of_clusters_and_instances_are_read(rds: Stubber) -> None:
    tags = [{"Key": "rds-snap-backup:exclude", "Value": "true"}, {"Key": "odd"}]
    clusters = [cluster_row("one"), cluster_row("two", TagList=tags)]
    instances = [instance_row("three"), instance_row("four", DBClusterIdentifier="one")]
    for field, rows in (("clusters", clusters), ("instances", instances)):
        name, size = f"DB{field.title()}", {"MaxRecords": 100}
        rds.add_response(f"describe_db_{field}", {name: rows[:1], "Marker": "more"}, size)
        rds.add_response(f"describe_db_{field}", {name: rows[1:]}, size | {"Marker": "more"})
    found = list(Databases(lambda: client_of(rds)).resources())
    assert [(resource.name, resource.kind, resource.cluster) for resource in found] == [
        ("one", "cluster", ""),
        ("two", "cluster", ""),
        ("three", "instance", ""),
        ("four", "instance", "one"),
    ]
    assert found[1].tags == {"rds-snap-backup:exclude": "true", "odd": ""}
    assert found[1].place == module.Place("111122223333", "us-east-1")


def test_members_are_of_their_cluster_and_other_services_and_what_is_being_deleted_are_left_out() -> None:
    members = (instance("shop-1", DBClusterIdentifier="shop"), instance("shop-2", DBClusterIdentifier="shop"))
    replica = instance("orders-replica", ReadReplicaSourceDBInstanceIdentifier="orders")
    shop, orders = cluster("shop"), instance("orders")
    others = [cluster(engine, Engine=engine) for engine in ("docdb", "neptune")]
    others += [instance("docdb-1", Engine="docdb", DBClusterIdentifier="docdb")]
    others += [instance("old", DBInstanceStatus="deleting"), cluster("older", Status="deleting")]
    listed = databases_of([*others, *members, shop, replica, orders])
    assert listed == [Database(orders), Database(replica), Database(shop, ("shop-1", "shop-2"))]


def snapshot_row(name: str, **more: Any) -> dict[str, Any]:
    fields = {"DBSnapshotArn": f"{ARN}:snapshot:{name}", "DBInstanceIdentifier": "orders", "DbiResourceId": "db-A"}
    return {"DBSnapshotIdentifier": name, "Status": "available", "SnapshotCreateTime": AT, **fields, **more}


def snapshots(rds: Stubber, kind: module.Kind, by: module.By, *values: str) -> list[Snapshot]:
    return list(Databases(lambda: client_of(rds)).snapshots(module.Wanted(kind, by, frozenset(values))))


def asked(name: str, *values: str) -> dict[str, Any]:
    return {"SnapshotType": "manual", "Filters": [{"Name": name, "Values": [*values]}], "MaxRecords": 100}


def test_snapshots_are_asked_for_by_many_names_at_a_time(rds: Stubber) -> None:
    names = [f"s-{number:03}" for number in range(MAX_FILTERED + 1)]
    for some in (names[:MAX_FILTERED], names[MAX_FILTERED:]):
        answer = {"DBSnapshots": [snapshot_row(some[0])]}
        rds.add_response("describe_db_snapshots", answer, asked("db-snapshot-id", *some))
    assert [snapshot.name for snapshot in snapshots(rds, "instance", "name", *names)] == [names[0], names[-1]]


def test_snapshots_of_clusters_are_asked_for_by_database(rds: Stubber) -> None:
    row = {"DBClusterSnapshotIdentifier": "S", "DBClusterSnapshotArn": "arn:aws:rds:x", "DBClusterIdentifier": "Shop"}
    answer = {"DBClusterSnapshots": [row]}
    rds.add_response("describe_db_cluster_snapshots", answer, asked("db-cluster-id", "shop"))
    (found,) = snapshots(rds, "cluster", "database", "shop")
    assert found == Snapshot("cluster", "s", "arn:aws:rds:x", "shop", "", 0, is_available=False)


@pytest.mark.parametrize(
    ("fields", "is_of"),
    [
        ({}, True),
        ({"DbiResourceId": "db-B"}, False),
        ({"DbiResourceId": "db-A", "DBInstanceIdentifier": "renamed"}, True),
        # Without RDS's own ID its name and time say it.
        ({"DbiResourceId": ""}, True),
        ({"DbiResourceId": "", "DBInstanceIdentifier": "crm"}, False),
        ({"DbiResourceId": "", "SnapshotCreateTime": AT.replace(year=2025)}, False),
    ],
)
def test_a_snapshot_is_of_a_database(fields: dict[str, Any], is_of: bool) -> None:
    orders = instance("orders", DbiResourceId="db-A", InstanceCreateTime=AT)
    read = Snapshot.read(snapshot_row("s", **fields), FORMS["instance"])
    assert (read.is_of(orders), read.is_available) == (is_of, True)
    copy = Snapshot.read(snapshot_row("s", OriginalSnapshotCreateTime=AT.replace(hour=5)), FORMS["instance"])
    assert copy.created == AT.replace(hour=5).timestamp(), "a copy has the time of the original"


def test_one_database_is_read_and_one_that_rds_does_not_know_is_none(rds: Stubber) -> None:
    rds.add_response("describe_db_instances", {"DBInstances": [instance_row("a")]}, {"DBInstanceIdentifier": "a"})
    row = cluster_row("shop", DBClusterMembers=[{"DBInstanceIdentifier": "shop-1"}])
    rds.add_response("describe_db_clusters", {"DBClusters": [row]}, {"DBClusterIdentifier": "shop"})
    rds.add_client_error("describe_db_instances", "DBInstanceNotFound")
    rds.add_client_error("describe_db_clusters", "DBClusterNotFoundFault")
    databases = Databases(lambda: client_of(rds))
    assert databases.database("instance", "a") == Database(instance("a"))
    assert databases.database("cluster", "shop") == Database(cluster("shop"), ("shop-1",))
    assert databases.database("instance", "b") is databases.database("cluster", "b") is None


@pytest.mark.parametrize(
    ("resource", "created", "is_replica"),
    [
        (instance("a", InstanceCreateTime=AT), AT.timestamp(), False),
        (instance("a", ReadReplicaSourceDBClusterIdentifier="b"), 0, True),
        (cluster("a", ClusterCreateTime=AT, ReplicationSourceIdentifier=""), AT.timestamp(), False),
        (cluster("a", ReplicationSourceIdentifier="arn"), 0, True),
    ],
)
def test_the_age_and_the_source_of_a_database(resource: Resource, created: float, is_replica: bool) -> None:
    assert (resource.created, resource.is_replica) == (created, is_replica)
