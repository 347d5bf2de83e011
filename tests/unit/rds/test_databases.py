"""RDS's lists: all pages, members with their cluster, without other services and what is being deleted."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.rds.databases import Database, Databases, Place, Quota, Resource, databases_of

ARN = "arn:aws:rds:us-east-1:111122223333"
AT = datetime(2026, 1, 31, tzinfo=UTC)


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


def test_all_pages_of_clusters_and_instances_are_read() -> None:
    client = boto3.client("rds")
    tags = [{"Key": "rds-snap-backup:exclude", "Value": "true"}, {"Key": "odd"}]
    lists = {
        "describe_db_clusters": ("DBClusters", [cluster_row("one"), cluster_row("two", TagList=tags)]),
        "describe_db_instances": (
            "DBInstances",
            [instance_row("three"), instance_row("four", DBClusterIdentifier="one")],
        ),
    }
    with Stubber(client) as stubber:
        for operation, (field, rows) in lists.items():
            stubber.add_response(operation, {field: rows[:1], "Marker": "more"}, {"MaxRecords": 100})
            stubber.add_response(operation, {field: rows[1:]}, {"MaxRecords": 100, "Marker": "more"})
        found = list(Databases(lambda: client).resources())
    assert [(resource.name, resource.kind, resource.cluster) for resource in found] == [
        ("one", "cluster", ""),
        ("two", "cluster", ""),
        ("three", "instance", ""),
        ("four", "instance", "one"),
    ]
    assert found[1].tags == {"rds-snap-backup:exclude": "true", "odd": ""}
    assert found[1].place == Place("111122223333", "us-east-1")


def test_members_are_of_their_cluster_and_a_replica_is_a_database() -> None:
    members = (instance("shop-1", DBClusterIdentifier="shop"), instance("shop-2", DBClusterIdentifier="shop"))
    replica = instance("orders-replica", ReadReplicaSourceDBInstanceIdentifier="orders")
    shop, orders = cluster("shop"), instance("orders")
    listed = [*members, shop, replica, orders]
    assert databases_of(listed) == [Database(orders), Database(replica), Database(shop, members)]


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


def test_other_services_and_what_is_being_deleted_are_left_out() -> None:
    others = [cluster(engine, Engine=engine) for engine in ("docdb", "neptune")]
    others += [instance("docdb-1", Engine="docdb", DBClusterIdentifier="docdb")]
    deleted = [instance("old", DBInstanceStatus="deleting"), cluster("older", Status="deleting")]
    assert databases_of([*others, *deleted, instance("orders")]) == [Database(instance("orders"))]


def test_the_quotas_of_manual_snapshots_are_read() -> None:
    client = boto3.client("rds")
    rows = [
        {"AccountQuotaName": name, "Used": 91, "Max": 100} for name in ("ManualSnapshots", "DBInstances", "DBClusters")
    ]
    with Stubber(client) as stubber:
        stubber.add_response("describe_account_attributes", {"AccountQuotas": rows})
        assert Databases(lambda: client).quotas() == [Quota("ManualSnapshots", 91, 100)]
