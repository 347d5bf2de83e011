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


def test_a_job_waits_runs_and_completes(server: CommServe, wire: Wire) -> None:
    identifier = wire.create_job()
    seen = []
    for seconds in (0, 9, 2, 88, 1):
        server.advance(seconds)
        seen.append(wire.status(identifier))

    assert seen == ["Waiting", "Waiting", "Running", "Running", "Completed"]
    job = server.jobs[identifier]
    assert job.end_time == job.start_time + 100


def test_a_job_is_shown_in_commvaults_shape(server: CommServe, wire: Wire) -> None:
    identifier = wire.create_job()
    server.advance(200)
    answer = wire.get(f"/Job/{identifier}")
    job = answer["jobs"][0]["jobSummary"]

    assert answer["totalRecordsWithoutPaging"] == 1
    assert job["jobId"] == int(identifier)
    assert job["jobEndTime"] - job["jobStartTime"] == 100
    assert (job["jobType"], job["opType"], job["backupLevelName"]) == ("Snap Backup", 59, "Full")
    assert (job["status"], job["localizedStatus"], job["percentComplete"]) == ("Completed", "Completed", 100)
    names = {key: job["subclient"][key] for key in ("clientName", "instanceName", "subclientName", "appName")}
    assert names == {
        "clientName": "aws-prod",
        "instanceName": "RDS",
        "subclientName": "orders-db",
        "appName": "Cloud Apps",
    }
    assert job["userName"] == {"userName": "backup-operator"}
    assert wire.get("/Job/999999") == {"totalRecordsWithoutPaging": 0}


@pytest.mark.parametrize(
    "ending",
    [
        "Completed w/ one or more errors",
        "Completed w/ one or more warnings",
        "Failed",
        "Killed",
        "Failed to Start",
        "Committed",
    ],
)
def test_jobs_end_as_planned(server: CommServe, wire: Wire, ending: str) -> None:
    server.plan_jobs(ending=ending, reason="Because.")
    planned, next_one = wire.create_job(), wire.create_job()
    server.advance(100)

    summary = wire.get(f"/Job/{planned}")["jobs"][0]["jobSummary"]
    assert (summary["status"], summary["pendingReason"]) == (ending, "Because.")
    assert wire.status(next_one) == "Completed"


def test_plans_are_for_a_group_or_for_any_job(server: CommServe, wire: Wire) -> None:
    server.plan_jobs(group="orders-db", ending="Failed")
    server.plan_jobs(times=None, ending="Committed")
    made = [wire.create_job(association(name)) for name in ("users-db", "orders-db", "orders-db")]
    server.advance(100)

    assert [wire.status(job_id) for job_id in made] == ["Committed", "Failed", "Committed"]


@pytest.mark.parametrize("queued_start", ["unknown", "created"])
def test_the_start_of_a_queued_job_moves(server: CommServe, wire: Wire, queued_start: str) -> None:
    server.plan_jobs(queued=300, queued_start=queued_start)
    identifier, created = wire.create_job(), int(server.clock.now())
    seen = []
    for seconds in (0, 300, 100):
        server.advance(seconds)
        summary = wire.get(f"/Job/{identifier}")["jobs"][0]["jobSummary"]
        seen.append((summary["status"], summary["jobStartTime"]))

    first = 0 if queued_start == "unknown" else created
    assert seen == [("Queued", first), ("Waiting", created + 300), ("Completed", created + 300)]


def test_a_job_goes_pending_for_a_while(server: CommServe, wire: Wire) -> None:
    server.plan_jobs(waiting=0, pending_after=10, pending_seconds=30, pending_reason="No media agent.")
    identifier = wire.create_job()
    seen: list[tuple[str, str]] = []
    for seconds in (0, 10, 30, 89, 1):
        server.advance(seconds)
        summary = wire.get(f"/Job/{identifier}")["jobs"][0]["jobSummary"]
        seen.append((summary["status"], summary["pendingReason"]))

    running = ("Running", "")
    assert seen == [running, ("Pending", "No media agent."), running, running, ("Completed", "")]


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


def test_after_a_restore_ids_are_counted_again(server: CommServe, wire: Wire) -> None:
    identifier = wire.create_job()
    server.restore_database(int(identifier))

    assert wire.create_job(association("users-db")) == identifier
    assert [job.group for job in server.jobs.values()] == ["users-db"]


def test_a_job_may_be_missing_at_first_and_vanish_later(server: CommServe, wire: Wire) -> None:
    server.plan_jobs(missing_seconds=5, vanish_after=20)
    identifier = wire.create_job()
    seen = []
    for seconds in (0, 5, 15):
        server.advance(seconds)
        seen.append(wire.status(identifier))

    assert seen == [None, "Waiting", None]
    assert listed(wire) == []
    assert identifier in server.jobs


def test_a_job_is_changed_while_it_runs(server: CommServe, wire: Wire) -> None:
    identifier = wire.create_job()
    server.change_job(identifier, status="Running (cannot be verified)", seconds=500.0)
    server.advance(100)
    assert wire.status(identifier) == "Running (cannot be verified)"
    server.end_job(identifier, "Failed", "Disk full.")
    assert (server.jobs[identifier].status, server.jobs[identifier].reason) == ("Failed", "Disk full.")


def test_a_job_is_killed_once(server: CommServe, wire: Wire) -> None:
    identifier = wire.create_job()
    codes = [
        wire.post(f"/Job/{job_id}/action/kill")["errors"][0]["errList"][0]["errorCode"]
        for job_id in (identifier, identifier, "999999")
    ]
    assert codes == [0, 2, 1]
    assert wire.status(identifier) == "Killed"


def listed(wire: Wire, category: int = 0, **wanted: Any) -> list[int]:
    body = {"category": category, "pagingConfig": {"offset": 0, "limit": 1000}, "jobFilter": wanted}
    return [row["jobSummary"]["jobId"] for row in wire.post("/Jobs", body).get("jobs", [])]


def test_jobs_are_searched(server: CommServe, wire: Wire) -> None:
    old = int(wire.create_job())
    server.advance(1000)
    recent = int(wire.create_job())
    server.advance(101)
    running = int(wire.create_job(association("billing-db")))
    elsewhere = int(server.add_job("aws-test", "sandbox-db").id)
    plain = int(server.add_job("aws-prod", "orders-db", kind="Backup").id)

    assert listed(wire) == [plain, elsewhere, running, recent, old]
    assert listed(wire, 1) == [plain, elsewhere, running, recent]  # what has just ended stays active for a while
    assert listed(wire, 2) == [recent, old]
    assert listed(wire, completedJobLookupTime=500) == [plain, elsewhere, running, recent]
    assert listed(wire, clientList=[{"clientId": 5}]) == [plain, running, recent, old]
    assert listed(wire, jobTypeList=["Snap Backup"], entity={"subclientName": "orders-db"}) == [recent, old]
    server.advance(3600)
    assert listed(wire, 1) == []


def test_jobs_are_paged(server: CommServe, wire: Wire) -> None:
    for number in range(25):
        server.add_job("aws-prod", f"db-{number}")
    paging = {"offset": 20, "limit": 20, "sortField": "jobId", "sortDirection": 1}
    answer = wire.post("/Jobs", {"category": 0, "pagingConfig": paging, "jobFilter": {}})
    assert (answer["totalRecordsWithoutPaging"], len(answer["jobs"])) == (25, 5)


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


def test_a_job_may_have_begun_earlier(server: CommServe, wire: Wire) -> None:
    job = server.add_job("aws-prod", "orders-db", level="INCREMENTAL", start=server.clock.now() - 50)
    summary = wire.get(f"/Job/{job.id}")["jobs"][0]["jobSummary"]
    assert (summary["status"], summary["backupLevelName"]) == ("Running", "Incremental")
    assert summary["jobStartTime"] == int(server.clock.now() - 50)
