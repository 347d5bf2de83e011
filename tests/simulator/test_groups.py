"""The simulator's instance groups: contents, what a job of a group snapshots, and restore points."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe, content
from local.commserve.content import Content, Database
from tests.simulator.client import TOKEN, Wire, association

FAR = "eu-central-1"
BROWSE = "/BrowseRDSBackups"
ESTATE = (
    Database("orders-db"),
    Database("orders-db", FAR),
    Database("Billing-DB"),
    Database("billing", is_cluster=True),
)


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=100) as running:
        running.frozen = True
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


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


def contents(wire: Wire, path: str) -> dict[str, Any]:
    rows = wire.get(path)["subClientProperties"]
    return {
        row["subClientEntity"]["subclientName"]: (row.get("cloudDbContent"), row.get("cloudDbFilter")) for row in rows
    }


def test_a_content_is_shown_in_the_list_or_alone(server: CommServe, wire: Wire) -> None:
    children, filters = [content.everything()], [content.rule("^tmp-")]
    server.set_content("aws-new", "nightly", children, filters)
    (client,) = (client for name, client in server.catalogue.clients.items() if name == "aws-new")
    listed, alone = f"/Subclient?clientId={client}&applicationId=134&propertyLevel=20", "/Subclient/107"
    shown = {"nightly": ({"children": children}, {"children": filters})}

    assert contents(wire, listed) == contents(wire, alone) == shown
    server.lists_content = False
    assert contents(wire, listed) == {"nightly": (None, None)}
    assert contents(wire, alone) == shown
    assert wire.send("GET", "/Subclient/999").status == 404


def points(wire: Wire, server: CommServe, start: float = 0, end: float = 0) -> list[dict[str, Any]]:
    entity = {"instanceId": server.catalogue.instances["aws-prod", "RDS"]}
    span = {"copyPresedence": 0, "includeAgedData": 0, "startTime": int(start), "endTime": int(end)}
    found: list[dict[str, Any]] = wire.post(BROWSE, {"entity": entity, **span})["snapList"]
    return found


@pytest.mark.parametrize("ending", ["Completed", "Completed w/ one or more errors"])
def test_a_job_skips_what_is_not_available(server: CommServe, wire: Wire, ending: str) -> None:
    server.skipping_ends = ending
    server.put_database("aws-prod", "orders-db", zones=("us-east-1a", "us-east-1b"))
    server.put_database("aws-prod", "users-db", status="backing-up", engine="postgres")
    server.put_database("aws-prod", "billing-db", status="stopped")
    server.put_database("aws-prod", "elsewhere-db")
    job_id = wire.create_job(association("nightly"))
    server.advance(100)

    assert wire.status(job_id) == ending
    assert server.jobs[job_id].as_dict()["skipped"] == ["billing-db"]
    first, second = points(wire, server)
    assert (first["dbName"], second["dbName"]) == ("orders-db", "users-db")
    assert first["rdsAttributes"] == {"availabilityZone": "us-east-1a,us-east-1b", "dbSubnetGroup": "default"}
    assert (first["status"], second["dbType"]) == (0, "postgres")


def test_jobs_of_one_second_have_snapshots_of_their_own(server: CommServe, wire: Wire) -> None:
    server.put_database("aws-prod", "orders-db")
    wire.create(association("nightly"), association("orders-db"))
    server.advance(100)

    assert len({point["snapShotName"] for point in points(wire, server)}) == 2


@pytest.mark.parametrize("ending", ["Failed", "Killed", "Failed to Start"])
def test_a_job_that_fails_has_no_restore_point(server: CommServe, wire: Wire, ending: str) -> None:
    server.put_database("aws-prod", "orders-db")
    server.plan_jobs(ending=ending)
    wire.create_job()
    running = wire.create_job()
    server.advance(99)
    assert points(wire, server) == []
    server.end_job(running, "Failed")
    server.advance(1)
    assert points(wire, server) == []


def test_restore_points_are_of_one_instance_and_a_span_of_time(server: CommServe, wire: Wire) -> None:
    now = server.clock.now()
    for client in ("aws-prod", "aws-test"):
        server.put_database(client, "orders-db")
        server.set_content(client, "all", [content.everything()])
    for client, age in (("aws-prod", 9000), ("aws-prod", 5000), ("aws-prod", 1000), ("aws-test", 5000)):
        server.add_job(client, "all", start=now - age)
    server.add_restore_point("aws-prod", {"dbName": "strange", "createTime": "yesterday"})

    made = [point["createTime"] for point in points(wire, server, now - 6000, now)]
    assert made == [int(now - 1000), int(now - 5000), "yesterday"]
    assert wire.send("POST", BROWSE, {"entity": {}}).status == 400
    server.clear()
    assert points(wire, server) == []


def test_a_group_without_known_databases_makes_no_restore_point(server: CommServe, wire: Wire) -> None:
    job_id = wire.create_job()
    server.advance(100)
    assert wire.status(job_id) == "Completed"
    assert points(wire, server) == []


@pytest.mark.parametrize(("fault", "status"), [("forbidden", 403), ("not_found", 404), ("throttled", 429)])
def test_contents_and_restore_points_have_faults_of_their_own(
    server: CommServe, wire: Wire, fault: str, status: int
) -> None:
    group = server.catalogue.add("aws-prod", "nightly").id
    for path in (f"/Subclient/{group}", BROWSE):
        server.fault(fault, path=path)
    entity = {"entity": {"instanceId": 21}, "startTime": 0, "endTime": 0}
    seen = [
        (wire.send("GET", f"/Subclient/{group}").status, wire.send("POST", BROWSE, entity).status) for _ in range(2)
    ]
    assert seen == [(status, status), (200, 200)]


def test_browsing_counts_as_a_writing_call(server: CommServe, wire: Wire) -> None:
    server.rate_limit(writes=1)
    entity = {"entity": {"instanceId": 21}, "startTime": 0, "endTime": 0}
    assert [wire.send("POST", BROWSE, entity).status for _ in range(2)] == [200, 429]
