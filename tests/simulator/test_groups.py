"""The simulator's instance groups: contents, what a job of a group snapshots, and restore points."""

import pytest

from local.commserve import CommServe, content
from local.commserve.content import Content, Database
from tests.simulator.client import Wire, association

FAR = "eu-central-1"
ESTATE = Database("orders-db"), Database("orders-db", FAR), Database("Billing-DB"), Database("billing", is_cluster=True)


@pytest.mark.parametrize(
    ("children", "filters", "selected"),
    [
        ([content.everything()], [], {0, 1, 2, 3}),
        ([content.region(FAR)], [], {1}),
        ([{**content.region(FAR), "type": "region"}], [], {1}),
        ([content.instance("orders-db")], [], {0}),
        ([{**content.instance("ORDERS-DB"), "type": "instance"}], [], {0}),
        ([content.instance("billing")], [], set()),
        ([content.cluster("billing"), content.instance("billing-db")], [], {2, 3}),
        ([content.rule("^orders")], [], {0, 1}),
        ([content.rule("^orders", negation=True)], [], {2, 3}),
        ([content.rule("(")], [], set()),
        ([{**content.instance("orders-db", FAR), "type": 7}], [], {1}),
        ([{**content.instance("orders-db"), "type": "tag"}], [], set()),
        ([content.everything()], [content.region(FAR), content.cluster("billing")], {0, 2}),
        ([], [], set()),
    ],
)
def test_a_content_selects_databases(
    children: list[content.Child], filters: list[content.Child], selected: set[int]
) -> None:
    group = Content(children, filters)
    assert {place for place, database in enumerate(ESTATE) if group.selects(database)} == selected


def test_a_job_skips_what_is_not_available(server: CommServe, wire: Wire) -> None:
    server.put_database("aws-prod", "orders-db", zones=("us-east-1a", "us-east-1b"))
    server.put_database("aws-prod", "users-db", status="backing-up", engine="postgres")
    server.put_database("aws-prod", "billing-db", status="stopped")
    server.put_database("aws-prod", "elsewhere-db")
    job_id = wire.create_job(association("nightly"))
    server.advance(100)
    assert (wire.status(job_id), server.jobs[job_id].as_dict()["skipped"]) == ("Completed", ["billing-db"])
    entity = {"instanceId": server.catalogue.instances["aws-prod", "RDS"]}
    span = {"copyPresedence": 0, "includeAgedData": 0, "startTime": 0, "endTime": 0}
    first, second = wire.send("POST", "/BrowseRDSBackups", {"entity": entity, **span}).json()["snapList"]
    assert (first["dbName"], second["dbName"]) == ("orders-db", "users-db")
    assert first["rdsAttributes"] == {"availabilityZone": "us-east-1a,us-east-1b", "dbSubnetGroup": "default"}
    assert (first["status"], second["dbType"]) == (0, "postgres")
