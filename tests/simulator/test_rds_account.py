"""Jobs of the simulator snapshot the databases of an attached RDS: the emulator's, in two regions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from local.commserve import CommServe, content
from local.emulator import CREDENTIALS, REGION, Emulator
from local.rds import RdsAccount, create_instance

FAR = "eu-central-1"
CREATED = datetime(2026, 1, 31, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def client(aws: Emulator, region: str) -> Any:
    session: Any = boto3.Session(
        CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=region
    )
    return session.client("rds", endpoint_url=aws.endpoint_url)


def test_a_job_makes_manual_snapshots_of_the_available_databases(aws: Emulator) -> None:
    near, far = client(aws, REGION), client(aws, FAR)
    login = {"MasterUsername": "owner", "MasterUserPassword": "fake-password"}
    near.create_db_cluster(DBClusterIdentifier="sales", Engine="aurora-mysql", **login)
    near.create_db_instance(
        DBInstanceIdentifier="sales-1",
        DBClusterIdentifier="sales",
        Engine="aurora-mysql",
        DBInstanceClass="db.r5.large",
    )
    near.create_db_cluster(DBClusterIdentifier="papers", Engine="docdb", **login)
    create_instance(near, "orders", "mysql", created=CREATED)
    create_instance(far, "orders", "postgres")
    create_instance(far, "stopped", "postgres")
    far.stop_db_instance(DBInstanceIdentifier="stopped")

    with CommServe() as server:
        server.frozen = True
        server.attach("aws-prod", RdsAccount((near, far)))
        server.set_content("aws-prod", "all", [content.everything()])
        start = server.clock.now() - 86400
        job = server.add_job("aws-prod", "all", start=start)

    at = datetime.fromtimestamp(int(start), UTC)
    made = {f"{name}-{at:%Y%m%dt%H%M%Sz}" for name in (f"orders-{REGION}", f"sales-{REGION}", f"orders-{FAR}")}
    assert {snapshot.name for snapshot in job.taken.snapshots} == made
    assert [database.name for database in job.taken.skipped] == ["stopped"]
    rows = [row for rds in (near, far) for row in rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]]
    clusters = near.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert {row["DBSnapshotIdentifier"] for row in rows} | {
        row["DBClusterSnapshotIdentifier"] for row in clusters
    } == made
    assert {row["SnapshotCreateTime"] for row in rows + clusters} == {at}
    assert {row["OriginalSnapshotCreateTime"] for row in rows} == {at}
    assert {row["Status"] for row in rows + clusters} == {"available"}
    assert near.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]["InstanceCreateTime"] == CREATED
