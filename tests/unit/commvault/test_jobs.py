"""Reading Commvault's list of jobs: page by page, by client and across deliveries."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rds_snap_backup.commvault.job_lists import JobList, Position
from rds_snap_backup.commvault.jobs import get_job, list_jobs
from rds_snap_backup.commvault.queries import QueryFailed
from rds_snap_backup.problems import Problem
from tests.unit.tenant import Tenant

PAGE = 50
NAMES = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    with Tenant({"aws-prod": {"RDS": []}, "aws-test": {"RDS": []}}).at_work(PAGE) as tenant:
        yield tenant


def add(tenant: Tenant, count: int, client: str = "aws-prod") -> set[str]:
    return {tenant.server.add_job(client, "orders-db").id for _ in range(count)}


def ask(tenant: Tenant, clients: str, seconds: float, position: Position | None = None) -> JobList | Problem:
    found = list_jobs(tenant.commvault, set(clients.split()), 600, tenant.kernel.now + seconds, position)
    return found if isinstance(found, JobList) else found.problem


def listed(tenant: Tenant, position: Position | None = None, clients: str = "aws-prod") -> JobList:
    found = ask(tenant, clients, 10, position)
    assert isinstance(found, JobList), found
    return found


def ids(*lists: JobList) -> set[str]:
    return {job.id for each in lists for job in each.rows}


def refused(tenant: Tenant, seconds: float = 5) -> Problem:
    found = ask(tenant, "aws-prod", seconds)
    assert isinstance(found, Problem), found
    return found


@pytest.mark.parametrize("paged_by", ["headers", "query"])
def test_all_pages_are_read_with_snap_backups_and_ended_jobs(tenant: Tenant, paged_by: str) -> None:
    tenant.server.paged_by = paged_by
    made = add(tenant, 2 * PAGE + 3) | {tenant.server.add_job("aws-prod", "billing-db", kind="Backup").id}
    tenant.server.end_job(next(iter(made)))
    jobs = listed(tenant)
    assert (ids(jobs), jobs.next, len(tenant.server.requests)) == (made, None, 3)
    assert {request.query["completedJobLookupTime"] for request in tenant.server.requests} == {"600"}
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
def test_an_answer_without_a_list_of_jobs_is_not_believed(tenant: Tenant, body: Any) -> None:
    tenant.server.fault("status", None, path="/Job", status=200, body=json.dumps(body))
    assert refused(tenant)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "UNREADABLE_ANSWER"),
        ({"message": "The service is starting."}, "UNREADABLE_ANSWER"),
        ({"jobs": "none"}, "UNREADABLE_ANSWER"),
        ({"totalRecordsWithoutPaging": 1}, "UNREADABLE_ANSWER"),
        ({"totalRecordsWithoutPaging": 1, "jobs": []}, "UNREADABLE_ANSWER"),
        ({"totalRecordsWithoutPaging": 0}, None),
        ({"jobs": []}, None),
    ],
    ids=str,
)
def test_only_an_answer_that_has_no_rows_says_that_there_is_no_such_job(
    tenant: Tenant, body: dict[str, Any], code: str | None
) -> None:
    (job_id,) = add(tenant, 1)
    tenant.server.fault("status", path=f"/Job/{job_id}", status=200, body=json.dumps(body))
    found = get_job(tenant.commvault, job_id, tenant.kernel.now + 10)
    assert (found.problem.code if isinstance(found, QueryFailed) else found) == code


def test_a_full_page_whose_total_cannot_be_right_has_another_one_behind_it(tenant: Tenant) -> None:
    rows = [{"jobSummary": {"jobId": number, "subclient": NAMES}} for number in range(1, PAGE + 2)]
    for body in ({"totalRecordsWithoutPaging": 0, "jobs": rows[:PAGE]}, {"jobs": rows[PAGE:]}):
        tenant.server.fault("status", path="/Job", status=200, body=json.dumps(body))
    assert ids(listed(tenant)) == {str(number) for number in range(1, PAGE + 2)}


@pytest.mark.parametrize("fault", ["unauthorized", "reset_before", "status"])
def test_a_later_page_that_fails_leaves_what_was_read_and_where_to_read_on(tenant: Tenant, fault: str) -> None:
    made = add(tenant, 3 * PAGE)
    tenant.server.fault("slow", path="/Job", seconds=0)
    tenant.server.fault(fault, path="/Job")
    first = listed(tenant)
    assert len(first.rows) == PAGE
    # Rows before the position leave the list: those behind it move up.
    for job in first.rows[:3]:
        tenant.server.change_job(job.id, vanish_after=0)
    rest = listed(tenant, first.next)
    assert (ids(first, rest), rest.next) == (made, None)


def test_a_list_of_more_jobs_than_memory_should_hold_is_read_across_deliveries(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.jobs.MAX_KEPT", PAGE)
    made = add(tenant, 3 * PAGE)
    first = listed(tenant)
    assert first.next
    assert PAGE < len(first.rows) <= 2 * PAGE
    rest = listed(tenant, Position.from_json(json.loads(json.dumps(first.next.to_json()))))
    assert ids(first, rest) == made


def test_a_list_of_many_jobs_is_asked_by_client(tenant: Tenant) -> None:
    add(tenant, 6 * PAGE, "aws-test")
    made = add(tenant, PAGE + 1)
    jobs = listed(tenant)
    assert made <= ids(jobs)
    assert jobs.next is None
    assert [(request.path, request.query.get("clientId")) for request in tenant.server.requests] == [
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
def test_the_lists_of_several_clients_and_of_one_that_is_not_found(tenant: Tenant, clients: str, calls: int) -> None:
    made = add(tenant, 3 * PAGE) | add(tenant, 4 * PAGE, "aws-test")
    jobs = listed(tenant, clients=clients)
    assert (ids(jobs), jobs.next, len(tenant.server.requests)) == (made, None, calls)


TOO_MANY = json.dumps({"totalRecordsWithoutPaging": 10_001, "jobs": [{}] * 10_001})


@pytest.mark.parametrize(
    "fault",
    [
        *({"name": "status", "status": status, "body": "Gateway Timeout"} for status in (500, 504)),
        *({"name": "status", "status": 200, "body": body} for body in (" " * (5 << 20), TOO_MANY)),
        {"name": "status", "status": 200, "body": '{"totalRecordsWithoutPaging": 300}'},
        {"name": "stall_before"},
    ],
    ids=["500", "504", "too many bytes", "too many rows", "no rows of 300", "too slow"],
)
def test_a_list_of_all_that_fails_for_its_length_is_asked_by_client(tenant: Tenant, fault: dict[str, Any]) -> None:
    made = add(tenant, 3)
    tenant.server.fault(**fault, path="/Job")
    assert ids(listed(tenant)) == made
    assert tenant.server.requests[-1].query["clientId"] == "5"


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
    tenant: Tenant, fault: dict[str, Any], seconds: float, code: str, requests: int
) -> None:
    tenant.server.fault(**fault, times=None, path="/Job")
    problem = refused(tenant, seconds)
    assert (problem.code, len(tenant.server.requests)) == (code, requests)
    assert "DNS" not in f"{problem}"
