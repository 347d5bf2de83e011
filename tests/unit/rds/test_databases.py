"""RDS's lists: read page by page, members with their cluster, other services and what is being deleted left out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.rds.databases import Database, Databases, Resource, Snapshot, databases_of, newest_of

ARN = "arn:aws:rds:us-east-1:111122223333"


@pytest.fixture
def rds() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("rds")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def instance_row(name: str, **more: Any) -> dict[str, Any]:
    return {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": f"{ARN}:db:{name}",
        "Engine": "mysql",
        "DBInstanceStatus": "available",
        **more,
    }


def cluster_row(name: str, **more: Any) -> dict[str, Any]:
    row = {"DBClusterIdentifier": name, "DBClusterArn": f"{ARN}:cluster:{name}"}
    return {**row, "Engine": "aurora-mysql", "Status": "available", **more}


def stub_pages(stubber: Stubber, operation: str, field: str, rows: list[dict[str, Any]], **asked: Any) -> None:
    """Answer a listing in two pages, and require how it is asked for."""
    first = {"MaxRecords": 100, **asked}
    stubber.add_response(operation, {field: rows[:1], "Marker": "more"}, first)
    stubber.add_response(operation, {field: rows[1:]}, {**first, "Marker": "more"})


def instance(name: str, **more: Any) -> Resource:
    return Resource.of_instance(instance_row(name, **more))


def cluster(name: str, **more: Any) -> Resource:
    return Resource.of_cluster(cluster_row(name, **more))


def test_all_pages_of_clusters_and_instances_are_read(rds: tuple[Any, Stubber]) -> None:
    client, stubber = rds
    tags = [{"Key": "rds-snap-backup:target", "Value": "orders"}, {"Key": "odd"}]
    stub_pages(stubber, "describe_db_clusters", "DBClusters", [cluster_row("one"), cluster_row("two", TagList=tags)])
    rows = [instance_row("three"), instance_row("four", DBClusterIdentifier="one")]
    stub_pages(stubber, "describe_db_instances", "DBInstances", rows)
    found = list(Databases(lambda: client).resources())
    assert [(one.name, one.kind, one.cluster) for one in found] == [
        ("one", "cluster", ""),
        ("two", "cluster", ""),
        ("three", "instance", ""),
        ("four", "instance", "one"),
    ]
    assert found[1] == Resource(
        name="two",
        arn=f"{ARN}:cluster:two",
        kind="cluster",
        engine="aurora-mysql",
        status="available",
        tags={"rds-snap-backup:target": "orders", "odd": ""},
    )


def test_the_client_is_made_when_it_is_needed() -> None:
    def make() -> Any:
        raise AssertionError("nothing is asked")

    Databases(make).resources()  # Not begun: a page is read when its first row is asked for.


def test_members_are_of_their_cluster_and_a_replica_is_a_database() -> None:
    members = (instance("shop-1", DBClusterIdentifier="shop"), instance("shop-2", DBClusterIdentifier="shop"))
    replica = instance("orders-replica", ReadReplicaSourceDBInstanceIdentifier="orders")
    shop, orders = cluster("shop"), instance("orders")
    assert databases_of([*members, shop, replica, orders]) == [
        Database(orders),
        Database(replica),
        Database(shop, members),
    ]


@pytest.mark.parametrize("engine", ["docdb", "neptune"])
def test_databases_of_other_services_are_none_of_rds(engine: str) -> None:
    rows = [cluster("other", Engine=engine), instance("other-1", Engine=engine, DBClusterIdentifier="other")]
    assert databases_of([*rows, instance("orders")]) == [Database(instance("orders"))]


def test_what_is_being_deleted_needs_no_backup() -> None:
    assert databases_of([instance("old", DBInstanceStatus="deleting"), cluster("older", Status="deleting")]) == []


def test_all_pages_of_manual_snapshots_are_read(rds: tuple[Any, Stubber]) -> None:
    client, stubber = rds
    at = datetime(2026, 1, 31, tzinfo=UTC)
    of_cluster = {"DBClusterIdentifier": "shop", "SnapshotCreateTime": at, "Status": "available"}
    clusters = [{**of_cluster, "DBClusterSnapshotIdentifier": f"shop-{number}"} for number in range(2)]
    stub_pages(stubber, "describe_db_cluster_snapshots", "DBClusterSnapshots", clusters, SnapshotType="manual")
    of_instance = {"DBInstanceIdentifier": "orders", "SnapshotCreateTime": at, "Status": "available"}
    instances: list[dict[str, Any]] = [
        {**of_instance, "DBSnapshotIdentifier": "being-created", "Status": "creating"},
        {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "no-time", "Status": "available"},
        {**of_instance, "DBSnapshotIdentifier": "orders-0"},
    ]
    stub_pages(stubber, "describe_db_snapshots", "DBSnapshots", instances, SnapshotType="manual")
    assert list(Databases(lambda: client).snapshots()) == [
        Snapshot("shop-0", "cluster", "shop", at.timestamp()),
        Snapshot("shop-1", "cluster", "shop", at.timestamp()),
        Snapshot("orders-0", "instance", "orders", at.timestamp()),
    ]


def test_the_newest_snapshot_of_each_database_is_kept() -> None:
    old, new, newer = (Snapshot(f"s-{at}", "instance", "orders", at) for at in (1.0, 2.0, 3.0))
    other = Snapshot("c", "cluster", "orders", 0.5)
    assert newest_of([new, newer, other, old]) == {("instance", "orders"): newer, ("cluster", "orders"): other}
