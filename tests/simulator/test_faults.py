"""The simulator's faults: what a client gets, and whether the job was made."""

import errno
import re
import threading
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest
import urllib3

from local.commserve import CommServe, faults
from local.commserve.faults import ALL
from tests.simulator.client import TOKEN, Wire, association

ENTRY = {"errorCode": 13, "errorMessage": "Bad."}
LOGGED = {"errorCode": 13, "errLogMessage": "Bad."}


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN) as running:
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("error_top", ENTRY),
        ("error_response", {"response": {"errorCode": 13, "errorString": "Bad."}}),
        ("error_object", {"error": ENTRY}),
        ("error_list", {"error": [ENTRY]}),
        ("errlist", {"errList": [LOGGED]}),
        ("errorlist", {"errorList": [ENTRY]}),
        ("errors_errlist", {"errors": [{"errList": [LOGGED]}]}),
    ],
)
def test_errors_stand_in_every_place(server: CommServe, wire: Wire, name: str, body: dict[str, Any]) -> None:
    server.fault(name, code=13, message="Bad.")
    answer = wire.create()
    assert (answer.status, answer.json(), len(server.jobs)) == (200, body, 0)
    server.fault(name, code="13", status=503, after=True)
    assert (wire.create().status, len(server.jobs)) == (503, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "status", "part", "jobs"),
    [
        ("status", {"status": 418, "body": "tea", "content_type": "text/plain"}, 418, b"tea", 0),
        ("bare_string_400", {}, 400, b'"Request body is empty or format is invalid"', 0),
        ("xml_error", {}, 200, b'<TMMsg_GenericResp errorCode="587204050"', 0),
        ("maintenance", {}, 200, b"<h1>Scheduled Maintenance</h1>", 0),
        ("maintenance", {"status": 503}, 503, b"<h1>Scheduled Maintenance</h1>", 0),
        ("created_201_error", {}, 201, b'"errorCode":4', 0),
        ("unauthorized", {}, 401, b'"errorCode":5', 0),
        ("forbidden", {}, 403, b'"errorMessage"', 0),
        ("not_found", {}, 404, b"<html>", 0),
        ("conflict", {}, 409, b'"errorMessage"', 0),
        ("already_running", {}, 200, b'"errorCode":2', 0),
        ("throttled", {}, 429, b"rate limit", 0),
        ("redirect", {}, 302, b"", 0),
        ("jobs_and_error", {"code": 7}, 200, b'"errorCode":7', 1),
        ("task_id_zero", {}, 200, b'{"taskId":0,"jobIds":["', 1),
        ("empty_job_ids", {}, 200, b'{"taskId":402,"jobIds":[]}', 0),
        ("missing_job_ids", {}, 200, b'{"taskId":402}', 0),
        ("bad_gateway_after", {}, 502, b"<html>", 1),
        ("trickle", {"interval": 0.001}, 200, b'"jobIds":["', 1),
        ("trickle_headers", {"interval": 0.001}, 200, b'"jobIds":["', 1),
        ("slow", {"seconds": 0.1}, 200, b'"jobIds":["', 1),
        ("slow", {"seconds": 0.1, "after": True}, 200, b'"jobIds":["', 1),
    ],
)
def test_answers(
    server: CommServe, wire: Wire, *, name: str, parameters: dict[str, Any], status: int, part: bytes, jobs: int
) -> None:
    server.fault(name, **parameters)
    answer = wire.create()

    assert answer.status == status
    assert part in answer.data
    assert len(server.jobs) == jobs
    assert server.create_tasks[0].fault == name
    assert wire.create().status == 200  # once only, and the connection is still good


@pytest.mark.parametrize(
    ("name", "parameters", "jobs"),
    [
        ("reset_before", {}, 0),
        ("reset_after", {}, 1),
        ("close", {}, 0),
        ("close", {"after": True}, 1),
        ("garbage", {}, 0),
        ("garbage", {"after": True}, 1),
        ("truncated", {}, 1),
    ],
)
def test_broken_connections(server: CommServe, wire: Wire, name: str, parameters: dict[str, Any], jobs: int) -> None:
    server.fault(name, **parameters)
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        wire.create()

    cause = caught.value.args[-1]
    assert (getattr(cause, "errno", None) == errno.ECONNRESET) == name.startswith("reset")
    assert len(server.jobs) == jobs
    assert wire.create().status == 200


def leave(wire: Wire) -> None:
    wire.pool.connection_pool_kw["timeout"] = urllib3.Timeout(connect=5, read=0.3)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        wire.create()


@pytest.mark.parametrize(("name", "jobs"), [("stall_before", 0), ("stall_after", 1)])
def test_a_stall_ends_with_the_client(server: CommServe, wire: Wire, name: str, jobs: int) -> None:
    before = {*threading.enumerate()}
    server.fault(name)
    leave(wire)
    for answering in {*threading.enumerate()} - before:
        answering.join(10)
    assert len(server.jobs) == jobs


@pytest.mark.parametrize("name", ["stall_before", "stall_after"])
def test_a_stall_ends_with_its_release(server: CommServe, wire: Wire, name: str) -> None:
    server.fault(name)
    Timer(0.2, server.release).start()
    assert wire.create().json()["jobIds"] == list(server.jobs)


@pytest.mark.parametrize("ended_by", ["client", "server"])
def test_an_endless_answer_leaves_no_thread_behind(ended_by: str) -> None:
    before = {*threading.enumerate()}
    with CommServe(token=TOKEN) as server:
        others = {*threading.enumerate()} - before
        server.fault("endless")
        client = Wire(server)
        answer = client.pool.request("POST", f"{server.url}/CreateTask", preload_content=False)
        assert answer.read(100_000) == b" " * 100_000
        (answering,) = {*threading.enumerate()} - before - others
        server.release()
        if ended_by == "client":
            answer.close()
            answering.join(10)
    answering.join(10)
    assert not answering.is_alive()


def test_a_slow_server_makes_the_job_though_the_client_left(server: CommServe, wire: Wire) -> None:
    before = {*threading.enumerate()}
    server.fault("slow", seconds=60)
    leave(wire)
    assert not server.jobs
    server.release()
    for answering in {*threading.enumerate()} - before:
        answering.join(10)
    assert len(server.jobs) == 1


def test_a_huge_body_is_as_long_as_asked(server: CommServe, wire: Wire) -> None:
    server.fault("huge", size=3_000_001)
    answer = wire.create()
    assert len(answer.data) == 3_000_001
    assert list(answer.json()) == ["padding"]


def test_ids_as_numbers_and_headers_as_documented(server: CommServe, wire: Wire) -> None:
    server.fault("int_job_ids")
    server.fault("throttled", limit=7, period="1h")
    server.fault("redirect", location="https://elsewhere.example/")
    assert wire.create().json()["jobIds"] == [int(job_id) for job_id in server.jobs]
    throttled = wire.create().headers
    assert (throttled["X-RateLimit-Limit"], throttled["X-RateLimit-Period"]) == ("7", "1h")
    assert wire.create().headers["Location"] == "https://elsewhere.example/"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["1354"]),
        ({"named": [1, 0]}, ["1355", "1354"]),
        ({"named": [0, 1, 1]}, ["1354", "1355", "1355"]),
        ({"named": [0, 1], "surplus": ["77"]}, ["1354", "1355", "77"]),
    ],
)
def test_an_answer_names_other_ids_than_the_jobs(
    server: CommServe, wire: Wire, parameters: dict[str, Any], expected: list[str]
) -> None:
    server.fault("job_ids", **parameters)
    answer = wire.create(association(), association("users-db"))

    assert answer.json()["jobIds"] == expected
    assert list(server.jobs) == ["1354", "1355"]


def test_faults_have_times_and_paths(server: CommServe, wire: Wire) -> None:
    server.fault("not_found", times=2, path="/Job/*")
    server.fault("maintenance", times=None, path="*")
    statuses = [wire.send("GET", path).status for path in ("/Job/1", "/Client", "/Job/2", "/Job/3")]
    assert statuses == [404, 200, 404, 200]
    assert b"Maintenance" in wire.create().data
    server.clear_faults()
    assert wire.create().json()["jobIds"] == list(server.jobs)


def test_faults_that_act_check_the_token(server: CommServe, wire: Wire) -> None:
    for name in ("reset_after", "int_job_ids", "jobs_and_error"):
        server.fault(name)
    token, server.token = server.token, "another"
    headers = {"Authtoken": token}
    with pytest.raises(urllib3.exceptions.ProtocolError):
        wire.send("POST", "/CreateTask", {}, headers)
    assert [wire.send("POST", "/CreateTask", {}, headers).status for _ in range(2)] == [401, 200]
    assert not server.jobs


def test_a_misspelt_fault_or_parameter_is_an_error(server: CommServe) -> None:
    with pytest.raises(ValueError, match="no fault is called 'slwo'"):
        server.fault("slwo")
    with pytest.raises(TypeError):
        server.fault("slow", second=1)


def test_every_fault_is_documented() -> None:
    assert set(ALL) <= set(re.findall(r"\w+", faults.__doc__ or ""))
