"""Commvault's jobs: reading rows of any shape, and which job a request of ours can have started."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault, QueryFailed
from rds_snap_backup.commvault.jobs import PAGE, Job, Jobs, get_job, list_jobs, read_job, running, started_since
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.targets import Association

TOKEN = "fake-token"
ORDERS = Association("aws-prod", "orders-db", "Orders", "default")
BILLING = Association("aws-prod", "billing-db", "Billing", "default")
SUMMARY: dict[str, Any] = {
    "jobId": 1354,
    "status": "Running",
    "pendingReason": "",
    "jobStartTime": 1000,
    "jobEndTime": 0,
    "jobType": "Snap Backup",
    "backupLevelName": "Full",
    "opType": 59,
    "subclient": {"clientName": "aws-prod", "instanceName": "orders-db", "subclientName": "default"},
}


def read(**fields: Any) -> Job:
    job = read_job({"jobSummary": {**SUMMARY, **fields}})
    assert job is not None
    return job


def of(association: Association = ORDERS, **fields: Any) -> Job:
    names = {
        "clientName": association.client_name,
        "instanceName": association.instance_name,
        "subclientName": association.subclient_name,
    }
    return read(subclient=names, **fields)


def find(*rows: Job, at: float = 1000.0, ahead: float = 0.0, level: str = "FULL", **given: Any) -> dict[str, str]:
    associations, excluded = given.get("associations", (ORDERS,)), given.get("excluded", ())
    found = started_since(associations, Jobs(rows, ahead), at, level, excluded)
    return {association.instance_name: job_id for association, job_id in found.items()}


# Rows.


def test_a_row_is_read() -> None:
    assert read() == Job("1354", "aws-prod", "orders-db", "default", "FULL", True, "Running", "", 1000, 0)


@pytest.mark.parametrize(
    ("fields", "is_backup"),
    [
        ({"opType": 59, "jobType": "x"}, True),
        ({"opType": 4, "jobType": "x"}, True),
        ({"opType": "59", "jobType": "x"}, True),
        ({"opType": None, "jobType": "Snap Backup"}, True),
        ({"opType": None, "jobType": "SNAPBACKUP"}, True),
        ({"opType": [], "jobType": "Backup"}, True),
        ({"opType": 5, "jobType": "Restore"}, False),
        ({"opType": None, "jobType": None}, False),
        ({"opType": None, "jobType": "Backup Copy"}, False),
    ],
)
def test_what_is_a_backup(fields: dict[str, Any], is_backup: bool) -> None:
    assert read(**fields).is_backup is is_backup


@pytest.mark.parametrize(
    ("level", "read_as"),
    [
        ("Full", "FULL"),
        ("Synthetic Full", "SYNTHETIC_FULL"),
        ("SYNTHETIC_FULL", "SYNTHETIC_FULL"),
        (" incremental ", "INCREMENTAL"),
        ("", ""),
        (None, ""),
        (1, ""),
        ("1", ""),
        ([], ""),
    ],
)
def test_levels(level: Any, read_as: str) -> None:
    assert read(backupLevelName=level).level == read_as
    assert read(backupLevelName=None, backupLevel=level).level == read_as


NO_IDS: list[Any] = [None, 0, "0", "", "x", [], {}, True]


@pytest.mark.parametrize(
    "row", [*NO_IDS, {"jobSummary": {}}, *({"jobSummary": {"jobId": one}} for one in NO_IDS)], ids=str
)
def test_a_row_without_an_id_is_none(row: Any) -> None:
    assert read_job(row) is None


@pytest.mark.parametrize("value", [*NO_IDS, [1], 1.5, "9" * 5000], ids=lambda one: str(one)[:9])
@pytest.mark.parametrize("field", [field for field in SUMMARY if field != "jobId"])
def test_no_value_of_any_field_fails(field: str, value: Any) -> None:
    job = read(**{field: value})
    assert job.id == "1354"
    assert isinstance(job.started, int)
    assert isinstance(job.ended, int)


# Which job can be ours.


def test_a_job_of_the_association_since_the_attempt_is_found() -> None:
    assert find(of(jobId="1354")) == {"orders-db": "1354"}


@pytest.mark.parametrize(
    "other",
    [
        {"clientName": "aws-prod2"},
        {"instanceName": "orders-db-2"},
        {"instanceName": "orders"},
        {"subclientName": "Default"},
        {"subclientName": None},
    ],
)
def test_names_must_be_equal(other: dict[str, Any]) -> None:
    assert find(read(subclient={**SUMMARY["subclient"], **other})) == {}


def test_it_must_be_a_backup_of_the_level() -> None:
    assert find(of(backupLevelName="Incremental")) == {}
    assert find(of(backupLevelName="Incremental"), level="INCREMENTAL") == {"orders-db": "1354"}
    assert find(of(backupLevelName=None)) == {"orders-db": "1354"}
    assert find(of(opType=5, jobType="Restore")) == {}


@pytest.mark.parametrize(
    ("started", "ahead", "is_found"),
    [
        (1000, 0.0, True),
        (995, 0.0, True),
        (994, 0.0, False),
        (0, 0.0, False),
        (4600, 3600.0, True),
        (4595, 3600.0, True),
        (4594, 3600.0, False),
        (1000, 3600.0, False),
        (-2600, -3600.0, True),
        (-2606, -3600.0, False),
    ],
)
def test_it_started_no_earlier_than_the_attempt_on_commvaults_clock(started: int, ahead: float, is_found: bool) -> None:
    assert bool(find(of(jobStartTime=started), ahead=ahead)) is is_found


def test_of_several_the_earliest_that_nobody_has_claimed() -> None:
    rows = [of(jobId=job_id, jobStartTime=started) for job_id, started in ((9, 1003), (12, 1001), (11, 1001), (2, 900))]
    assert find(*rows) == {"orders-db": "11"}
    assert find(*rows, excluded={"11"}) == {"orders-db": "12"}
    assert find(*rows, excluded={"11", "12"}) == {"orders-db": "9"}
    assert find(*rows, excluded={"9", "11", "12"}) == {}


def test_ids_are_compared_as_numbers() -> None:
    assert find(of(jobId=1000), of(jobId=999)) == {"orders-db": "999"}


def test_some_of_several_associations() -> None:
    assert find(of(BILLING, jobId=7), associations=(ORDERS, BILLING)) == {"billing-db": "7"}
    both = find(of(BILLING, jobId=7), of(ORDERS, jobId=8), associations=(ORDERS, BILLING))
    assert both == {"orders-db": "8", "billing-db": "7"}


def test_one_job_is_found_for_one_association_only() -> None:
    assert find(of(jobId=7), associations=(ORDERS, ORDERS)) == {"orders-db": "7"}


def test_the_newest_running_job_is_joined_whatever_its_level() -> None:
    rows = (
        of(jobId=5, jobStartTime=900, backupLevelName="Incremental"),
        of(jobId=4, jobStartTime=950, status="Pending"),
        of(jobId=6, jobStartTime=960, status="Completed"),
        of(jobId=7, jobStartTime=970, opType=5, jobType="Restore"),
        of(BILLING, jobId=8, status="Killed"),
    )
    assert running((ORDERS, BILLING), Jobs(rows, 0.0)) == {ORDERS: "4"}


# Reading the list.


@pytest.fixture(scope="module")
def commserve() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=3600) as server:
        yield server


@pytest.fixture
def server(commserve: CommServe) -> CommServe:
    commserve.clear()
    return commserve


@pytest.fixture
def client(server: CommServe) -> Commvault:
    return Commvault(server.url, lambda: server.ca_pem)


def listed(client: Commvault) -> Jobs:
    jobs = list_jobs(client, TOKEN, 600, 10)
    assert isinstance(jobs, Jobs), jobs
    return jobs


def test_all_pages_are_read_with_snap_backups_and_ended_jobs(server: CommServe, client: Commvault) -> None:
    made = [server.add_job("aws-prod", "orders-db").id for _ in range(2 * PAGE + 3)]
    made.append(server.add_job("aws-prod", "billing-db", kind="Backup").id)
    server.end_job(made[0])
    jobs = listed(client)
    assert {job.id for job in jobs.rows} == set(made)
    assert len(server.requests) == 3
    assert {request.query["completedJobLookupTime"] for request in server.requests} == {"600"}
    assert all(job.is_backup for job in jobs.rows)


def test_no_jobs(client: Commvault) -> None:
    assert listed(client).rows == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "Log in first"},
        {"jobs": "none"},
        {"totalRecordsWithoutPaging": "x", "jobs": {}},
        [],
        "text",
        None,
    ],
    ids=str,
)
def test_what_is_no_list_of_jobs_is_not_believed(server: CommServe, client: Commvault, body: Any) -> None:
    server.fault("status", path="/Job", status=200, body=json.dumps(body))
    assert isinstance(list_jobs(client, TOKEN, 600, 5), QueryFailed)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_no_other_status_is_believed(server: CommServe, client: Commvault, status: int) -> None:
    server.fault("status", path="/Job", status=status, body='{"totalRecordsWithoutPaging": 0}')
    assert isinstance(list_jobs(client, TOKEN, 600, 5), QueryFailed)


@pytest.mark.parametrize("total", [None, 0, "x", 1, "1", [], 1.5])
def test_rows_count_whatever_the_total_says(server: CommServe, client: Commvault, total: Any) -> None:
    rows = [{"jobSummary": SUMMARY}, None, {"jobSummary": {"jobId": 0}}]
    body = json.dumps({"totalRecordsWithoutPaging": total, "jobs": rows})
    server.fault("status", path="/Job", status=200, body=body)
    assert [job.id for job in listed(client).rows] == ["1354"]


def test_a_page_that_fails_fails_the_list(server: CommServe, client: Commvault) -> None:
    for _ in range(PAGE + 1):
        server.add_job("aws-prod", "orders-db")
    server.fault("slow", path="/Job", seconds=0)
    server.fault("unauthorized", path="/Job")
    assert isinstance(list_jobs(client, TOKEN, 600, 5), Unauthorized)
    server.fault("slow", path="/Job", seconds=0)
    server.fault("reset_before", path="/Job")
    assert isinstance(list_jobs(client, TOKEN, 600, 5), QueryFailed)


def test_pages_share_one_deadline(server: CommServe, client: Commvault) -> None:
    for _ in range(3 * PAGE):
        server.add_job("aws-prod", "orders-db")
    server.fault("slow", None, path="/Job", seconds=0.6)
    assert isinstance(list_jobs(client, TOKEN, 600, 2.0), QueryFailed)
    server.clear_faults()


def test_one_job(server: CommServe, client: Commvault) -> None:
    made = server.add_job("aws-prod", "orders-db")
    job = get_job(client, TOKEN, made.id, 5)
    assert isinstance(job, Job)
    assert job.id == made.id
    assert job.is_of(ORDERS)
    assert get_job(client, TOKEN, "999999", 5) is None
