"""Reading Commvault's jobs: the list, page by page, by client and across deliveries, and a single job."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.job_lists import JobList, Position
from rds_snap_backup.commvault.jobs import PAGE, list_jobs
from rds_snap_backup.commvault.queries import QueryFailed
from tests.auth import FixedToken

TOKEN = "fake-token"
SUMMARY: dict[str, Any] = {
    "jobId": 1354,
    "status": "Running",
    "pendingReason": "",
    "jobStartTime": 1000,
    "jobEndTime": 0,
    "jobType": "Snap Backup",
    "backupLevelName": "Full",
    "opType": 59,
    "subclient": {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"},
}
CLIENTS = {"aws-prod"}
BY_NAME = "/Client/byName(clientName='aws-prod')"


@pytest.fixture(scope="module")
def commserve() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=3600) as server:
        yield server


@pytest.fixture
def server(commserve: CommServe) -> CommServe:
    commserve.clear()
    commserve.paged_by = "both"
    return commserve


@pytest.fixture
def client(server: CommServe) -> Commvault:
    return Commvault(server.url, lambda: server.ca_pem, FixedToken(TOKEN))


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def add(server: CommServe, count: int, client: str = "aws-prod") -> list[str]:
    return [server.add_job(client, "orders-db").id for _ in range(count)]


def listed(client: Commvault, position: Position | None = None, seconds: float = 10) -> JobList:
    jobs = list_jobs(client, CLIENTS, 600, within(seconds), position)
    assert isinstance(jobs, JobList), jobs
    return jobs


@pytest.mark.parametrize("paged_by", ["headers", "query"])
def test_all_pages_are_read_with_snap_backups_and_ended_jobs(
    server: CommServe, client: Commvault, paged_by: str
) -> None:
    server.paged_by = paged_by
    made = add(server, 2 * PAGE + 3)
    made.append(server.add_job("aws-prod", "billing-db", kind="Backup").id)
    server.end_job(made[0])
    jobs = listed(client)
    assert {job.id for job in jobs.rows} == set(made)
    assert jobs.next is None
    assert len(server.requests) == 3
    assert {request.query["completedJobLookupTime"] for request in server.requests} == {"600"}
    assert all(job.is_backup for job in jobs.rows)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "Log in first"},
        {"jobs": "none"},
        {"totalRecordsWithoutPaging": "x", "jobs": {}},
        {"totalRecordsWithoutPaging": 300},
        {"totalRecordsWithoutPaging": 1, "jobs": []},
        [],
        "text",
        None,
    ],
    ids=str,
)
def test_an_answer_without_a_list_of_jobs_is_not_believed(server: CommServe, client: Commvault, body: Any) -> None:
    server.fault("status", None, path="/Job", status=200, body=json.dumps(body))
    assert isinstance(list_jobs(client, CLIENTS, 600, within(5)), QueryFailed)


def test_a_full_page_whose_total_cannot_be_right_has_another_one_behind_it(
    server: CommServe, client: Commvault
) -> None:
    rows = [{"jobSummary": {**SUMMARY, "jobId": number}} for number in range(1, PAGE + 1)]
    server.fault("status", path="/Job", status=200, body=json.dumps({"totalRecordsWithoutPaging": 0, "jobs": rows}))
    (made,) = add(server, 1)
    server.fault("status", path="/Job", status=200, body=json.dumps({"jobs": [{"jobSummary": SUMMARY}]}))
    assert {job.id for job in listed(client).rows} == {str(number) for number in range(1, PAGE + 1)} | {"1354"}
    assert made


@pytest.mark.parametrize("fault", ["unauthorized", "reset_before", "status"])
def test_a_later_page_that_fails_leaves_what_was_read_and_where_to_read_on(
    server: CommServe, client: Commvault, fault: str
) -> None:
    made = add(server, 3 * PAGE)
    server.fault("slow", path="/Job", seconds=0)
    server.fault(fault, path="/Job")
    first = listed(client)
    assert len(first.rows) == PAGE
    assert first.next is not None
    rest = listed(client, first.next)
    assert rest.next is None
    assert {job.id for job in (*first.rows, *rest.rows)} == set(made)


def test_a_list_of_more_jobs_than_memory_should_hold_is_read_across_deliveries(
    server: CommServe, client: Commvault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.jobs.MAX_KEPT", PAGE)
    expected = add(server, 3 * PAGE)
    first = listed(client)
    assert first.next
    assert PAGE < len(first.rows) <= 2 * PAGE
    rest = listed(client, Position.from_json(json.loads(json.dumps(first.next.to_json()))))
    assert {job.id for job in (*first.rows, *rest.rows)} == {*expected}


def test_pages_that_shift_between_deliveries_lose_no_job(server: CommServe, client: Commvault) -> None:
    made = add(server, 2 * PAGE)
    server.fault("slow", path="/Job", seconds=0)
    server.fault("reset_before", path="/Job")
    first = listed(client)
    # Rows before the position leave the list: those behind it move up.
    for job in first.rows[:3]:
        server.change_job(job.id, vanish_after=0)
    rest = listed(client, first.next)
    assert {job.id for job in (*first.rows, *rest.rows)} == set(made)


def test_a_list_of_many_jobs_is_asked_by_client(server: CommServe, client: Commvault) -> None:
    add(server, 6 * PAGE, "aws-test")
    made = add(server, PAGE + 1)
    jobs = listed(client)
    assert jobs.next is None
    assert set(made) <= {job.id for job in jobs.rows}
    assert [request.path for request in server.requests] == ["/Job", BY_NAME, "/Job", "/Job"]
    client_ids = [request.query.get("clientId") for request in server.requests if request.path == "/Job"]
    assert client_ids == [None, "5", "5"]


def test_each_of_several_clients_has_a_list_of_its_own(server: CommServe, client: Commvault) -> None:
    made = [*add(server, 3 * PAGE), *add(server, 4 * PAGE, "aws-test")]
    jobs = list_jobs(client, {"aws-test", "aws-prod"}, 600, within(10))
    assert isinstance(jobs, JobList)
    assert jobs.next is None
    assert {job.id for job in jobs.rows} == set(made)
    # 1 of all clients, 2 names, 4 pages of the one and 5 of the other, since pages overlap.
    assert len(server.requests) == 12


def test_where_a_client_is_not_found_the_list_of_all_is_read_on(server: CommServe, client: Commvault) -> None:
    made = add(server, 6 * PAGE)
    jobs = list_jobs(client, {"aws-gone"}, 600, within(10))
    assert isinstance(jobs, JobList)
    assert {job.id for job in jobs.rows} == set(made)
    assert jobs.next is None


def test_a_list_of_all_that_is_too_slow_for_one_page_is_asked_by_client(
    server: CommServe, client: Commvault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.connection.REQUEST_SECONDS", 1.5)
    made = add(server, 3)
    server.fault("stall_before", path="/Job")
    jobs = listed(client)
    assert {job.id for job in jobs.rows} == set(made)
    assert server.requests[-1].query["clientId"] == "5"
    server.clear_faults()


TOO_MANY = json.dumps({"totalRecordsWithoutPaging": 10_001, "jobs": [{}] * 10_001})


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 504, "body": "Gateway Timeout"},
        {"status": 500, "body": ""},
        {"status": 200, "body": " " * (5 << 20)},
        {"status": 200, "body": TOO_MANY},
        {"status": 200, "body": '{"totalRecordsWithoutPaging": 300}'},
    ],
    ids=["504", "500", "too many bytes", "too many rows", "no rows of 300"],
)
def test_a_list_of_all_that_fails_for_its_length_is_asked_by_client(
    server: CommServe, client: Commvault, answer: dict[str, Any]
) -> None:
    made = add(server, 3)
    server.fault("status", path="/Job", **answer)
    assert {job.id for job in listed(client).rows} == set(made)
    assert server.requests[-1].query["clientId"] == "5"


def test_a_page_of_too_many_rows_says_so(server: CommServe, client: Commvault) -> None:
    server.fault("status", None, path="/Job", status=200, body=TOO_MANY)
    failure = list_jobs(client, CLIENTS, 600, within(10))
    assert isinstance(failure, QueryFailed)
    assert failure.problem.code == "JOB_LIST_TOO_LONG"
    server.clear_faults()


@pytest.mark.parametrize("kind", ["throttled", "maintenance"])
def test_a_server_that_is_busy_is_not_asked_once_more(server: CommServe, client: Commvault, kind: str) -> None:
    server.fault(kind, None, path="/Job")
    assert isinstance(list_jobs(client, CLIENTS, 600, within(5)), QueryFailed)
    assert len(server.requests) == 1
    server.clear_faults()


def test_a_list_of_which_no_page_can_be_read_in_time_names_itself(server: CommServe, client: Commvault) -> None:
    add(server, 3)
    server.fault("stall_before", None, path="/Job")
    failure = list_jobs(client, CLIENTS, 600, within(1.5))
    assert isinstance(failure, QueryFailed)
    assert failure.problem.code == "JOB_LIST_TOO_SLOW"
    assert "job list" in failure.problem.hint
    assert "DNS" not in f"{failure.problem}"
    server.clear_faults()


def test_without_time_left_it_says_so_and_not_that_the_list_is_slow(server: CommServe, client: Commvault) -> None:
    failure = list_jobs(client, CLIENTS, 600, within(0.5))
    assert isinstance(failure, QueryFailed)
    assert failure.problem.code == "OUT_OF_TIME"
    assert "DNS" not in failure.problem.hint
    assert not server.requests
