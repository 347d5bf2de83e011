"""The status of an event's database: of its cluster for a member, unknown to RDS, or not to be asked for."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.statuses import Statuses
from rds_snap_backup.triggers import Trigger
from tests.property.model.sdk import clients

PLACE = "arn:aws:rds:us-east-1:000000000000"


class Databases:
    """RDS with one instance, one cluster and its member; `denied` calls are refused. It counts calls."""

    def __init__(self) -> None:
        self.denied = False
        self.calls = 0

    def describe_db_instances(self, **call: Any) -> dict[str, Any]:
        self._count()
        match call["DBInstanceIdentifier"]:
            case "orders":
                row = {"DBInstanceIdentifier": "orders", "DBInstanceStatus": "backing-up"}
                return {"DBInstances": [{**row, "TagList": [{"Key": "team", "Value": "a"}, {"Key": "bare"}]}]}
            case "member":
                member = {"DBClusterIdentifier": "billing", "DBInstanceStatus": "creating"}
                return {"DBInstances": [{"DBInstanceIdentifier": "member", **member}]}
        raise refused("DBInstanceNotFound")

    def describe_db_clusters(self, **call: Any) -> dict[str, Any]:
        self._count()
        if call["DBClusterIdentifier"] == "billing":
            return {"DBClusters": [{"DBClusterIdentifier": "billing", "Status": "available"}]}
        raise refused("DBClusterNotFoundFault")

    def _count(self) -> None:
        self.calls += 1
        if self.denied:
            raise refused("AccessDenied")


def refused(code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}}
    return ClientError(response, "Describe")


def trigger(arn: str) -> Trigger:
    return Trigger("rds", "id", "now", "RDS-EVENT-0043", arn)


@pytest.fixture
def databases() -> Databases:
    return Databases()


def statuses(databases: Databases, clock: list[float]) -> Statuses:
    return Statuses(clients({"rds": databases}).rds, "000000000000", "us-east-1", lambda: clock[0])


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("db:orders", "backing-up"),
        ("db:member", "available"),
        ("cluster:billing", "available"),
        ("db:gone", None),
        ("cluster:gone", None),
    ],
)
def test_the_status_is_that_of_the_instance_or_its_cluster(databases: Databases, name: str, status: str | None) -> None:
    assert statuses(databases, [0]).status(trigger(f"{PLACE}:{name}")) == status


@pytest.mark.parametrize(
    "arn", ["arn:aws:rds:eu-west-1:000000000000:db:orders", "arn:aws:rds:us-east-1:1:db:orders", ""]
)
def test_a_database_of_another_account_or_region_is_not_asked_for(databases: Databases, arn: str) -> None:
    assert isinstance(statuses(databases, [0]).status(trigger(arn)), Problem)
    assert databases.calls == 0


def test_that_rds_cannot_be_asked_is_believed_for_a_minute(databases: Databases) -> None:
    clock = [1000.0]
    asked = statuses(databases, clock)
    databases.denied = True
    assert isinstance(asked.status(trigger(f"{PLACE}:db:orders")), Problem)
    databases.denied = False
    clock[0] += 59
    assert isinstance(asked.status(trigger(f"{PLACE}:db:orders")), Problem)
    assert databases.calls == 1
    clock[0] += 2
    assert asked.status(trigger(f"{PLACE}:db:orders")) == "backing-up"


@pytest.mark.parametrize(
    ("name", "tags"),
    [("db:orders", {"team": "a", "bare": ""}), ("db:member", {}), ("cluster:billing", {}), ("db:gone", None)],
)
def test_the_tags_are_those_of_the_database_itself(databases: Databases, name: str, tags: object) -> None:
    assert statuses(databases, [0]).tags(f"{PLACE}:{name}") == tags
