"""The status of an event's database: of its cluster for a member, unknown to RDS, or not to be asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.statuses import Statuses
from rds_snap_backup.triggers import Trigger
from tests.property.model.sdk import clients

PLACE = "arn:aws:rds:us-east-1:000000000000"


TAGS = [{"Key": "team", "Value": "a"}, {"Key": "bare"}]
ROWS = {
    "orders": {"DBInstanceIdentifier": "orders", "DBInstanceStatus": "backing-up", "TagList": TAGS},
    "member": {"DBInstanceIdentifier": "member", "DBClusterIdentifier": "billing", "DBInstanceStatus": "creating"},
    "billing": {"DBClusterIdentifier": "billing", "Status": "available"},
}


class Rds:
    """RDS with one instance, one cluster and its member; `denied` calls are refused. It counts calls."""

    denied, calls = False, 0

    def describe_db_instances(self, **call: Any) -> dict[str, Any]:
        return {"DBInstances": [self._found(call["DBInstanceIdentifier"], "DBInstanceNotFound")]}

    def describe_db_clusters(self, **call: Any) -> dict[str, Any]:
        return {"DBClusters": [self._found(call["DBClusterIdentifier"], "DBClusterNotFoundFault")]}

    def _found(self, name: str, otherwise: str) -> Any:
        self.calls += 1
        if self.denied or name not in ROWS:
            code = "AccessDenied" if self.denied else otherwise
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Describe")
        return ROWS[name]


def trigger(arn: str) -> Trigger:
    return Trigger("rds", "id", "now", "RDS-EVENT-0043", arn)


def statuses(rds: Rds, clock: Callable[[], float] = lambda: 0) -> Statuses:
    return Statuses(clients({"rds": rds}).rds, "000000000000", "us-east-1", clock)


@pytest.mark.parametrize(
    ("name", "status", "tags"),
    [
        ("db:orders", "backing-up", {"team": "a", "bare": ""}),
        ("db:member", "available", {}),  # The status of its cluster, and its own tags.
        ("cluster:billing", "available", {}),
        ("db:gone", None, None),
        ("cluster:gone", None, None),
    ],
)
def test_the_status_is_that_of_the_instance_or_its_cluster(name: str, status: str | None, tags: object) -> None:
    assert statuses(Rds()).status(trigger(f"{PLACE}:{name}")) == status
    assert statuses(Rds()).tags(f"{PLACE}:{name}") == tags


@pytest.mark.parametrize(
    "arn", ["arn:aws:rds:eu-west-1:000000000000:db:orders", "arn:aws:rds:us-east-1:1:db:orders", ""]
)
def test_a_database_of_another_account_or_region_is_not_asked_for(arn: str) -> None:
    rds = Rds()
    assert isinstance(statuses(rds).status(trigger(arn)), Problem)
    assert rds.calls == 0


def test_that_rds_cannot_be_asked_is_believed_for_a_minute() -> None:
    rds, clock = Rds(), [1000.0]
    asked, orders = statuses(rds, lambda: clock[0]), trigger(f"{PLACE}:db:orders")
    rds.denied = True
    assert isinstance(asked.status(orders), Problem)
    rds.denied = False
    clock[0] += 59
    assert isinstance(asked.status(orders), Problem)
    assert rds.calls == 1
    clock[0] += 2
    assert asked.status(orders) == "backing-up"
