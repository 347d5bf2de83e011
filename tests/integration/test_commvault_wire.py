"""The client at the wire: real TLS, real sockets, and every fault of the CommServe simulator."""

import json
import logging
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3 import HTTPResponse

from local.commserve import CommServe
from rds_snap_backup.commvault import connection
from rds_snap_backup.commvault.answers import MAX_BODY
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Outcome, Rejected, Scheduled, Submitted, Unavailable, Unknown
from rds_snap_backup.targets import Association, BackupRequest
from tests.auth import FixedToken
from tests.integration.clients import CANARY, REQUEST, client_of, commvault, create, within

ORDERS = Association("aws-prod", "RDS", "orders-db", "aws-prod")
BILLING = Association("aws-prod", "RDS", "billing-db", "Billing account")

# What each fault of the transport is taken for, how many jobs exist after it, the fault's parameters, and what the problem
# names. The table of outcomes (`tests/unit/commvault/test_outcomes.py`) has what a whole answer means.
FAULTS: list[tuple[str, type[Any], int, Any, str]] = [
    ("bad_gateway_after", Unknown, 1, {}, "HTTP 502"),
    ("redirect", Rejected, 0, {}, "redirects (HTTP 302)"),
    ("stall_after", Unknown, 1, {}, "in time"),
    ("reset_after", Unknown, 1, {}, "the connection was closed"),
    ("close", Unknown, 0, {}, "the connection was closed"),
    ("garbage", Unknown, 1, {"after": True}, "it is not HTTP"),
    ("garbage", Unknown, 0, {"text": "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n"}, ""),
    ("garbage", Unknown, 0, {"text": "HTTP/1.1 103 Early Hints\r\n\r\n", "is_kept": True}, "an interim response"),
    ("status", Unknown, 0, {"headers": {"Content-Encoding": "gzip"}, "body": "no"}, "its compression is broken"),
    ("truncated", Unknown, 1, {}, "it ends too early"),
    ("huge", Unknown, 0, {"size": MAX_BODY + 1}, "is longer than 4 MiB"),
    ("endless", Unknown, 0, {"what": "headers"}, "more than 100 headers"),
    ("endless", Unknown, 0, {"what": "line"}, "a line of its headers is longer than 64 KiB"),
    ("endless", Unknown, 0, {"what": "continue"}, "an interim response came first"),
    ("endless", Unknown, 0, {"what": "chunks"}, "are longer than 256 KiB"),
    ("endless", Unknown, 0, {"what": "trailers"}, "are longer than 256 KiB"),
    ("endless", Unknown, 0, {"what": "body"}, "is longer than 4 MiB"),
    ("endless", Unknown, 0, {"what": "negative"}, "it is not HTTP"),
    ("bomb", Unknown, 0, {}, "is longer than 4 MiB"),
    ("trickle", Unknown, 1, {"interval": 0.2}, "in time"),
]


@pytest.fixture
def client(server: CommServe) -> Commvault:
    return client_of(server)


def submitted(outcome: Outcome) -> tuple[str, ...]:
    assert isinstance(outcome, Submitted), outcome
    return outcome.job_ids


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: f"{row[0]}-{str(row[3])[:60]}")
def test_a_fault_costs_one_request_and_is_one_outcome(
    server: CommServe, client: Commvault, caplog: pytest.LogCaptureFixture, row: tuple[str, type[Any], int, Any, str]
) -> None:
    fault, kind, jobs, parameters, named = row
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connection", "rds_snap_backup"):
        caplog.set_level(logging.DEBUG, name)
    server.fault(fault, **parameters)
    # Only a deadline ends the faults that go on.
    outcome = create(client, seconds=1.6 if named == "in time" else 30)
    assert type(outcome) is kind, outcome
    assert not named or (isinstance(outcome, Unknown | Rejected) and named in outcome.problem.message), outcome
    assert len(server.requests) == 1
    assert len(server.jobs) == jobs
    # At DEBUG the SDK logs what it reads of the secret; in the function no level reaches its loggers.
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("botocore"))
    assert CANARY not in f"{outcome!r} {outcome!s} {ours}"
    # What went wrong costs the next request nothing.
    server.clear_faults()
    assert len(submitted(create(client))) == 1
    assert len(server.requests) == 2


def test_a_compressed_answer_is_unpacked_only_as_far_as_it_is_read(server: CommServe, client: Commvault) -> None:
    submitted(create(client))
    server.fault("bomb")
    tracemalloc.start()
    try:
        assert isinstance(client.create_task(REQUEST, within(30)), Unknown)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_the_request_is_the_rds_snap_backup_form_field_for_field(server: CommServe, client: Commvault) -> None:
    request = BackupRequest((ORDERS, BILLING), "INCREMENTAL", "SCHEDULE", notify_user_on_job_completion=False)
    assert isinstance(create(client, request), Scheduled)
    (sent,) = server.requests
    assert (sent.method, sent.path, sent.query) == ("POST", "/CreateTask", {})
    same = {"clientName": "aws-prod", "instanceName": "RDS", "_type_": "SUBCLIENT_ENTITY", "appName": "Cloud Apps"}
    options = {"backupOpts": {"backupLevel": "INCREMENTAL"}, "commonOpts": {"notifyUserOnJobCompletion": False}}
    assert sent.json == {
        "taskInfo": {
            "associations": [
                {**same, "displayName": "aws-prod", "subclientName": "orders-db"},
                {**same, "displayName": "Billing account", "subclientName": "billing-db"},
            ],
            "task": {"taskType": "SCHEDULE"},
            "subTasks": [{"subTask": {"subTaskType": "BACKUP", "operationType": "BACKUP"}, "options": options}],
        }
    }
    assert sent.header("Content-Type") == sent.header("Accept") == "application/json"
    assert not server.refusals


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed_with_the_token(server: CommServe, client: Commvault, status: int) -> None:
    with CommServe(token=CANARY, authority=server.authority) as elsewhere:
        server.fault("redirect", location=f"{elsewhere.url}/CreateTask", status=status)
        server.fault("redirect", path="/Job", location=f"{elsewhere.url}/Job", status=status)
        assert isinstance(create(client), Rejected)
        assert isinstance(client.get("/Job", within(3)), QueryFailed)
        assert not elsewhere.requests
    assert len(server.requests) == 2


# Connections.


@pytest.mark.parametrize(("idle", "connections"), [(4.0, [1, 1, 1]), (5.0, [1, 1, 2]), (-3600, [1, 1, 2])])
def test_a_connection_that_was_idle_is_never_reused(
    server: CommServe, client: Commvault, monkeypatch: pytest.MonkeyPatch, idle: float, connections: list[int]
) -> None:
    began = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: began)
    submitted(create(client))
    assert isinstance(client.get("/Client", within(5)), JsonDocument)
    monkeypatch.setattr(time, "time", lambda: began + idle)
    submitted(create(client))
    assert [request.connection for request in server.requests] == connections


def test_a_keep_alive_that_the_server_closed_is_never_unknown(server: CommServe, client: Commvault) -> None:
    submitted(create(client))
    server.stop()
    assert isinstance(create(client), Unavailable)
    server.start()
    submitted(create(client))
    server.stop()
    server.start()
    submitted(create(client))
    assert len(server.create_tasks) == len(server.jobs) == 3


# Never connected.


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://no-such-host.invalid/api", "UNREACHABLE"),
        *((url, "API_URL_INVALID") for url in ("http://localhost:9", "")),
        *((url, "UNREACHABLE") for url in ("https://host:99999/api", "https://[::1/")),
    ],
)
def test_an_address_that_cannot_be_used_is_named(url: str, code: str) -> None:
    client = commvault(url, None)
    outcome = create(client, seconds=8)
    assert isinstance(outcome, Rejected if code == "API_URL_INVALID" else Unavailable)
    assert outcome.problem.code == code
    assert isinstance(client.get("/Job", within(5)), QueryFailed)


@pytest.mark.parametrize("pem", ["garbage", ""])
def test_a_wrong_bundle_is_unavailable_until_it_is_corrected(server: CommServe, pem: str) -> None:
    bundles = iter([pem, f"# Főtanúsítvány, 認証局\n{server.ca_pem}"])
    client = Commvault(server.url, lambda: next(bundles), FixedToken(CANARY))
    outcome = create(client)
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "CA_UNUSABLE"
    submitted(create(client))


def test_without_time_nothing_is_sent(server: CommServe, client: Commvault) -> None:
    assert isinstance(client.create_task(REQUEST, within(0.9)), Unavailable)
    submitted(create(client))
    assert isinstance(client.create_task(REQUEST, within(0.9)), Unavailable)
    assert len(server.requests) == 1


# Reading.


def test_404_is_an_empty_list_only_where_that_is_asked_for_and_no_other_failure_is_an_answer(
    server: CommServe, client: Commvault
) -> None:
    server.fault("status", times=2, path="/Client", status=404, body='{"errorCode": 0, "errorMessage": "none"}')
    answer = client.get("/Client", within(3), listed="clientProperties")
    assert isinstance(answer, JsonDocument)
    assert answer.document == {"clientProperties": []}
    assert isinstance(client.get("/Client", within(3)), QueryFailed)
    for status, body in ((500, "{}"), (200, "[]")):
        server.fault("status", path="/Job", status=status, body=body)
        assert isinstance(client.get("/Job", within(3)), QueryFailed)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("%a, %d %b %Y %H:%M:%S GMT", 7200),
        ("%a, %d %b %Y %H:%M:%S -0000", 7200),  # which has no offset: UTC
        ("", 0),
        ("yesterday", 0),
        ("Sat, 31 Jan 2026 02:00:00 -99999999", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_commvaults_clock_is_read_from_a_date_that_can_be_read(
    server: CommServe, client: Commvault, monkeypatch: pytest.MonkeyPatch, date: str, ahead: float
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    sent = (datetime.now(UTC) + timedelta(hours=2)).strftime(date)
    server.fault("garbage", path="/Job", text=f"HTTP/1.1 200 OK\r\nDate: {sent}\r\nContent-Length: 2\r\n\r\n{{}}")
    answer = client.get("/Job", within(3))
    monkeypatch.undo()
    time.tzset()
    assert isinstance(answer, JsonDocument)
    assert answer.clock_ahead == pytest.approx(ahead, abs=900 if ahead else 0)


def test_the_clocks_are_compared_when_the_headers_arrive_and_not_after_a_slow_body(
    client: Commvault, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, read = SimpleNamespace(time=time.time, monotonic=time.monotonic), HTTPResponse.read

    def read_slowly(*arguments: Any) -> bytes:
        clock.time = lambda: time.time() + 100
        return read(*arguments)

    monkeypatch.setattr(connection, "time", clock)
    monkeypatch.setattr(HTTPResponse, "read", read_slowly)
    answer = client.get("/Job", within(3))
    assert isinstance(answer, JsonDocument)
    assert answer.clock_ahead > -50


# 8192 is the size of Python's read buffer: what lies behind it waits, decrypted, where no look at the socket finds it.
@pytest.mark.parametrize("distance", [0, 8192])
def test_bytes_beyond_the_answer_are_never_taken_for_the_next_one(
    server: CommServe, client: Commvault, distance: int
) -> None:
    body = json.dumps({"taskId": 402, "jobIds": ["6665"]})
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    server.fault("garbage", text=answer.ljust(distance) + answer.replace("6665", "6666"), is_kept=True)
    assert submitted(create(client)) == ("6665",)
    assert submitted(create(client)) == tuple(server.jobs)
