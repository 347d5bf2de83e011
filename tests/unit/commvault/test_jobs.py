"""Reading Commvault's list of jobs: page by page, by client and across deliveries."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.job_lists import JobList, Position
from rds_snap_backup.commvault.jobs import PAGE, list_jobs
from rds_snap_backup.problems import Problem
from tests.auth import FixedToken

TOKEN = "fake-token"
NAMES = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}


@pytest.fixture(scope="module")
def commserve() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=3600) as server:
        yield server


@pytest.fixture
def server(commserve: CommServe) -> CommServe:
    commserve.clear()
    commserve.paged_by = "both"
    return commserve


def add(server: CommServe, count: int, client: str = "aws-prod") -> set[str]:
    return {server.add_job(client, "orders-db").id for _ in range(count)}


def ask(server: CommServe, clients: str, seconds: float, position: Position | None = None) -> JobList | Problem:
    client = Commvault(server.url, lambda: server.ca_pem, FixedToken(TOKEN))
    found = list_jobs(client, set(clients.split()), 600, time.monotonic() + seconds, position)
    return found if isinstance(found, JobList) else found.problem


def listed(server: CommServe, position: Position | None = None, clients: str = "aws-prod") -> JobList:
    found = ask(server, clients, 10, position)
    assert isinstance(found, JobList), found
    return found


def ids(*lists: JobList) -> set[str]:
    return {job.id for each in lists for job in each.rows}


def refused(server: CommServe, seconds: float = 5) -> Problem:
    found = ask(server, "aws-prod", seconds)
    server.clear_faults()
    assert isinstance(found, Problem), found
    return found


@pytest.mark.parametrize("paged_by", ["headers", "query"])
def test_all_pages_are_read_with_snap_backups_and_ended_jobs(server: CommServe, paged_by: str) -> None:
    server.paged_by = paged_by
    made = add(server, 2 * PAGE + 3) | {server.add_job("aws-prod", "billing-db", kind="Backup").id}
    server.end_job(next(iter(made)))
    jobs = listed(server)
    assert (ids(jobs), jobs.next, len(server.requests)) == (made, None, 3)
    assert {request.query["completedJobLookupTime"] for request in server.requests} == {"600"}
    assert all(job.is_backup for job in jobs.rows)


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"message": "Log in first"}, {"jobs": "none"}, [], "text", None),
        {"totalRecordsWithoutPaging": "x", "jobs": {}},
        {"totalRecordsWithoutPaging": 300},
        {"totalRecordsWithoutPaging": 1, "jobs": []},
    ],
    ids=str,
)
def test_an_answer_without_a_list_of_jobs_is_not_believed(server: CommServe, body: Any) -> None:
    server.fault("status", None, path="/Job", status=200, body=json.dumps(body))
    assert refused(server)


def test_a_full_page_whose_total_cannot_be_right_has_another_one_behind_it(server: CommServe) -> None:
    rows = [{"jobSummary": {"jobId": number, "subclient": NAMES}} for number in range(1, PAGE + 2)]
    for body in ({"totalRecordsWithoutPaging": 0, "jobs": rows[:PAGE]}, {"jobs": rows[PAGE:]}):
        server.fault("status", path="/Job", status=200, body=json.dumps(body))
    assert ids(listed(server)) == {str(number) for number in range(1, PAGE + 2)}


@pytest.mark.parametrize("fault", ["unauthorized", "reset_before", "status"])
def test_a_later_page_that_fails_leaves_what_was_read_and_where_to_read_on(server: CommServe, fault: str) -> None:
    made = add(server, 3 * PAGE)
    server.fault("slow", path="/Job", seconds=0)
    server.fault(fault, path="/Job")
    first = listed(server)
    assert len(first.rows) == PAGE
    # Rows before the position leave the list: those behind it move up.
    for job in first.rows[:3]:
        server.change_job(job.id, vanish_after=0)
    rest = listed(server, first.next)
    assert (ids(first, rest), rest.next) == (made, None)


def test_a_list_of_more_jobs_than_memory_should_hold_is_read_across_deliveries(
    server: CommServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.jobs.MAX_KEPT", PAGE)
    made = add(server, 3 * PAGE)
    first = listed(server)
    assert first.next
    assert PAGE < len(first.rows) <= 2 * PAGE
    rest = listed(server, Position.from_json(json.loads(json.dumps(first.next.to_json()))))
    assert ids(first, rest) == made


def test_a_list_of_many_jobs_is_asked_by_client(server: CommServe) -> None:
    add(server, 6 * PAGE, "aws-test")
    made = add(server, PAGE + 1)
    jobs = listed(server)
    assert made <= ids(jobs)
    assert jobs.next is None
    assert [(request.path, request.query.get("clientId")) for request in server.requests] == [
        ("/Job", None),
        ("/Client/byName(clientName='aws-prod')", None),
        ("/Job", "5"),
        ("/Job", "5"),
    ]


@pytest.mark.parametrize(
    ("clients", "calls"),
    [
        # 1 of all clients, 2 names, 4 pages of the one and 5 of the other, since pages overlap.
        ("aws-test aws-prod", 12),
        # A client that is not found: the list of all is read on.
        ("aws-gone", 9),
    ],
)
def test_the_lists_of_several_clients_and_of_one_that_is_not_found(server: CommServe, clients: str, calls: int) -> None:
    made = add(server, 3 * PAGE) | add(server, 4 * PAGE, "aws-test")
    jobs = listed(server, clients=clients)
    assert (ids(jobs), jobs.next, len(server.requests)) == (made, None, calls)


TOO_MANY = json.dumps({"totalRecordsWithoutPaging": 10_001, "jobs": [{}] * 10_001})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, "Gateway Timeout"),
        (500, ""),
        (200, " " * (5 << 20)),
        (200, TOO_MANY),
        (200, '{"totalRecordsWithoutPaging": 300}'),
    ],
    ids=["504", "500", "too many bytes", "too many rows", "no rows of 300"],
)
def test_a_list_of_all_that_fails_for_its_length_is_asked_by_client(server: CommServe, status: int, body: str) -> None:
    made = add(server, 3)
    server.fault("status", path="/Job", status=status, body=body)
    assert ids(listed(server)) == made
    assert server.requests[-1].query["clientId"] == "5"


def test_a_list_of_all_that_is_too_slow_for_one_page_is_asked_by_client(
    server: CommServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.connection.REQUEST_SECONDS", 1.5)
    made = add(server, 3)
    server.fault("stall_before", path="/Job")
    assert ids(listed(server)) == made
    assert server.requests[-1].query["clientId"] == "5"
    server.clear_faults()


@pytest.mark.parametrize(
    ("fault", "seconds", "code", "requests"),
    [
        ({"name": "status", "status": 200, "body": TOO_MANY}, 10, "JOB_LIST_TOO_LONG", 3),
        ({"name": "stall_before"}, 1.5, "JOB_LIST_TOO_SLOW", 1),
        ({"name": "stall_before"}, 0.5, "OUT_OF_TIME", 0),
        # A server that is busy is not asked once more.
        ({"name": "throttled"}, 5, "HTTP_429", 1),
        ({"name": "maintenance"}, 5, "MAINTENANCE", 1),
    ],
)
def test_a_list_of_which_no_page_can_be_read_says_why(
    server: CommServe, fault: dict[str, Any], seconds: float, code: str, requests: int
) -> None:
    server.fault(**fault, times=None, path="/Job")
    problem = refused(server, seconds)
    assert (problem.code, len(server.requests)) == (code, requests)
    assert "DNS" not in f"{problem}"
