"""The simulator's jobs: how they go with time, how they end, and how they are listed."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from tests.simulator.client import TOKEN, Wire, association


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=100) as running:
        running.frozen = True
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


def test_a_job_queues_behind_another_of_its_subclient(server: CommServe, wire: Wire) -> None:
    server.busy = "queue"
    first, second, third, other = (
        wire.create_job(wanted) for wanted in (association(), association(), association(), association("users-db"))
    )
    server.advance(50)
    assert [wire.status(job_id) for job_id in (first, second, third, other)] == [
        "Running",
        "Queued",
        "Queued",
        "Running",
    ]
    server.advance(51)
    assert [wire.status(job_id) for job_id in (first, second, third)] == ["Completed", "Waiting", "Queued"]
    server.jobs[second].kill()
    assert wire.status(third) == "Waiting"
    server.advance(100)
    assert wire.status(third) == "Completed"


@pytest.mark.parametrize(("busy", "status"), [("refuse", 409), ("refuse_200", 200)])
def test_a_job_of_commvaults_own_plan_may_keep_a_subclient_busy(
    server: CommServe, wire: Wire, busy: str, status: int
) -> None:
    server.busy = busy
    foreign = server.add_job("aws-prod", "orders-db", start=server.clock.now() + 50, seconds=600)
    assert wire.status(foreign.id) is None
    server.end_job(wire.create_job())
    server.advance(50)
    refused = wire.create(association("users-db"), association())

    assert (refused.status, refused.json()["errorCode"]) == (status, 2)
    assert wire.create(association("users-db")).status == 200
    server.advance(600)
    assert wire.status(foreign.id) == "Completed"
    assert wire.create().json()["jobIds"]


def listed(wire: Wire, category: int = 0, **wanted: Any) -> list[int]:
    body = {"category": category, "pagingConfig": {"offset": 0, "limit": 1000}, "jobFilter": wanted}
    return [row["jobSummary"]["jobId"] for row in wire.post("/Jobs", body).get("jobs", [])]


@pytest.mark.parametrize(
    ("paged_by", "headers", "query", "shown"),
    [
        ("both", {"limit": "10", "offset": "20"}, "", 5),
        ("both", {}, "&limit=10&offset=20", 5),
        ("both", {"limit": "10", "offset": "20"}, "&limit=10&offset=20", 5),
        ("headers", {"limit": "10", "offset": "20"}, "&limit=1&offset=1", 5),
        ("headers", {}, "&limit=10&offset=20", 20),
        ("query", {"limit": "10", "offset": "20"}, "", 20),
    ],
)
def test_the_plain_list_is_paged_by_headers_or_query(
    server: CommServe, wire: Wire, *, paged_by: str, headers: dict[str, str], query: str, shown: int
) -> None:
    server.paged_by = paged_by
    for number in range(25):
        server.add_job("aws-prod", f"db-{number}")
    answer = wire.get(f"/Job?jobFilter=SNAPBACKUP{query}", headers=headers)
    assert (answer["totalRecordsWithoutPaging"], len(answer["jobs"])) == (25, shown)


def test_the_plain_list_leaves_snap_backups_out_unless_asked(server: CommServe, wire: Wire) -> None:
    snap, plain = wire.create_job(), server.add_job("aws-prod", "orders-db", kind="Backup").id

    def found(query: str) -> list[str]:
        return [str(row["jobSummary"]["jobId"]) for row in wire.get(f"/Job?{query}").get("jobs", [])]

    assert found("clientId=5&jobCategory=All") == [plain]
    assert found("clientId=5&jobCategory=All&jobFilter=SNAPBACKUP") == [snap]
    assert found("clientId=6&jobFilter=SNAPBACKUP,Backup") == []
    server.advance(1000)
    assert found("jobFilter=SNAPBACKUP&jobCategory=Active") == []
    assert found("jobFilter=SNAPBACKUP&jobCategory=Finished&completedJobLookupTime=5000") == [snap]
    assert found("jobFilter=SNAPBACKUP&completedJobLookupTime=500") == []
