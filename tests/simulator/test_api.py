"""The simulator's API: TLS, tokens, CreateTask, discovery, limits and outages."""

import copy
import json
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any

import pytest
import urllib3

from local.commserve import CommServe
from tests.simulator.client import TOKEN, Wire, association, form


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN) as running:
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


def test_a_backup_is_one_job_for_each_association(server: CommServe, wire: Wire) -> None:
    answer = wire.create(association("orders-db"), association("billing-db"))

    assert answer.status == 200
    assert isinstance(answer.json()["taskId"], int)
    identifiers = answer.json()["jobIds"]
    assert [type(identifier) for identifier in identifiers] == [str, str]
    assert int(identifiers[1]) == int(identifiers[0]) + 1
    assert [server.jobs[identifier].group for identifier in identifiers] == ["orders-db", "billing-db"]
    assert {server.jobs[identifier].level for identifier in identifiers} == {"FULL"}


def test_requests_are_recorded_without_the_token(server: CommServe, wire: Wire) -> None:
    wire.create()
    wire.send("GET", "/Job?clientId=5", headers={"Authtoken": "wrong"})

    first, second = server.requests
    assert (first.method, first.path, first.authorized) == ("POST", "/CreateTask", True)
    assert first.json == form() == json.loads(first.body)
    assert first.headers["Authtoken"] == "***"
    assert (second.path, second.query, second.authorized) == ("/Job", {"clientId": "5"}, False)
    assert first.connection == second.connection
    assert server.create_tasks == [first]
    assert [server.statuses[request.id] for request in (first, second)] == [200, 401]


@pytest.mark.parametrize("prefix", ["/commandcenter/api", "/webconsole/api", ""])
def test_every_base_url_is_served(server: CommServe, wire: Wire, prefix: str) -> None:
    answer = wire.send("POST", "/CreateTask", form(), base=server.root_url + prefix)

    assert answer.status == 200
    assert server.create_tasks[0].path == "/CreateTask"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", f"QSDK {TOKEN}"])
def test_only_the_exact_token_is_accepted(server: CommServe, wire: Wire, token: str) -> None:
    answer = wire.send("POST", "/CreateTask", form(), headers={"Authtoken": token})

    assert (answer.status, answer.json()) == (401, {"errorMessage": "Access denied", "errorCode": 5})
    assert not server.jobs


def test_a_new_token_makes_the_old_one_void(server: CommServe, wire: Wire) -> None:
    server.token = "another"

    assert wire.create().status == 200
    assert wire.send("GET", "/Client", headers={"Authtoken": TOKEN}).status == 401


def test_xml_is_sent_unless_json_is_asked_for(wire: Wire) -> None:
    answer = wire.send("POST", "/CreateTask", form(), headers={"Accept": "*/*"})

    assert answer.headers["Content-Type"].startswith("application/xml")
    assert b'<TMMsg_CreateTaskResp taskId="' in answer.data


def test_a_schedule_task_has_no_jobs(server: CommServe, wire: Wire) -> None:
    assert list(wire.create(task_type="SCHEDULE").json()) == ["taskId"]
    assert not server.jobs


NOBODY = association(client="nobody")
UNKNOWN = association("no-such-db")
REFUSED = association("users-db")


@pytest.mark.parametrize(
    ("unknown", "group", "status", "code", "jobs"),
    [
        ("skip", [NOBODY], 201, 4, 0),
        ("skip", [UNKNOWN], 500, 587207178, 0),
        ("skip", [REFUSED], 500, 587207178, 0),
        ("skip", [association(), UNKNOWN], 200, None, 1),
        ("refuse", [association(), NOBODY], 201, 4, 0),
        ("refuse", [association(), UNKNOWN], 500, 587207178, 0),
        ("refuse", [association(), REFUSED], 500, 587207178, 0),
        ("refuse", [association()], 200, None, 1),
        ("task", [association(), UNKNOWN], 200, None, 0),
    ],
)
def test_unknown_and_refused_names_decide_as_told(
    server: CommServe,
    wire: Wire,
    *,
    unknown: str,
    group: list[dict[str, str]],
    status: int,
    code: int | None,
    jobs: int,
) -> None:
    server.unknown = unknown
    server.refuse_subclient("aws-prod", "users-db")
    answer = wire.create(*group)

    assert (answer.status, answer.json().get("errorCode")) == (status, code)
    assert len(answer.json().get("jobIds", [])) == len(server.jobs) == jobs
    server.refuse_subclient("aws-prod", "users-db", is_refused=False)
    assert wire.create(REFUSED).json()["jobIds"]


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    body = form()
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return copy.deepcopy(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        changed("taskInfo", "extra", to=1),
        changed("taskInfo", "task", "taskType", to="LATER"),
        changed("taskInfo", "associations", 0, "displayName", to=""),
        changed("taskInfo", "associations", 0, "appName", to="Virtual Server"),
        changed("taskInfo", "subTasks", 0, "options", "backupOpts", "backupLevel", to="full"),
        changed("taskInfo", "subTasks", 0, "options", "commonOpts", "notifyUserOnJobCompletion", to="true"),
        changed("taskInfo", "subTasks", 0, "options", "commonOpts", "jobDescription", to="x"),
        changed("taskInfo", "subTasks", to=[]),
    ],
)
def test_what_is_not_the_form_is_refused(server: CommServe, wire: Wire, body: Any) -> None:
    answer = wire.send("POST", "/CreateTask", body)

    assert (answer.status, answer.json()) == (400, "Request body is empty or format is invalid")
    assert len(server.refusals) == 1
    assert not server.jobs


def test_clients_instances_and_subclients_are_found(server: CommServe, wire: Wire) -> None:
    server.catalogue.extend({"aws-new": {"RDS": [f"group-{number}" for number in range(500)], "Redshift": ["default"]}})
    server.set_instance_type("aws-new", "Redshift", 26)
    entities = [entry["client"]["clientEntity"] for entry in wire.get("/Client")["clientProperties"]]
    client = next(entity["clientId"] for entity in entities if entity["clientName"] == "aws-new")
    instances = wire.get(f"/Instance?clientId={client}")["instanceProperties"]
    subclients = wire.get(f"/Subclient?clientId={client}&applicationId=134&propertyLevel=20")["subClientProperties"]

    names = {entry["instance"]["instanceName"]: entry["cloudAppsInstance"]["instanceType"] for entry in instances}
    assert names == {"RDS": 4, "Redshift": 26}
    assert len(subclients) == 501
    shown = {
        name: subclients[7]["subClientEntity"][name] for name in ("instanceName", "subclientName", "applicationId")
    }
    assert shown == {"instanceName": "RDS", "subclientName": "group-7", "applicationId": 134}
    assert wire.create(association("group-499", "aws-new")).status == 200
    assert wire.send("GET", "/Instance").status == 400
    assert wire.send("GET", "/Subclient?clientId=99&applicationId=134").status == 404


def test_past_the_rate_limit_calls_are_429(server: CommServe, wire: Wire) -> None:
    server.rate_limit(writes=2, reads=1, period=3600)
    answers = [wire.create() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["X-RateLimit-Limit"] == "2"
    assert answers[2].headers["X-RateLimit-Period"] == "3600"
    assert [wire.send("GET", "/Client").status for _ in range(2)] == [200, 429]
    server.advance(3600)
    assert wire.create().status == 200


def test_the_date_header_follows_the_simulators_clock(server: CommServe, wire: Wire) -> None:
    server.frozen = True
    server.clock_offset = -7200
    server.advance(60)
    answer = wire.create()

    shown = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert shown == int(server.clock.now() - 7200)
    job = wire.get(f"/Job/{answer.json()['jobIds'][0]}")["jobs"][0]["jobSummary"]
    assert job["jobStartTime"] == shown


def test_rows_show_the_commserves_own_clock(server: CommServe, wire: Wire) -> None:
    server.frozen = True
    server.row_offset = -60
    identifier = wire.create_job()
    server.end_job(identifier)
    answer = wire.send("GET", f"/Job/{identifier}")

    shown = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    job = answer.json()["jobs"][0]["jobSummary"]
    assert {job["jobStartTime"], job["jobEndTime"]} == {shown - 60}


def test_the_clock_may_be_given() -> None:
    now = [1_000_000.0]
    with CommServe(token=TOKEN, clock=lambda: now[0], job_seconds=10) as server:
        wire = Wire(server)
        identifier = wire.create_job()
        assert wire.status(identifier) == "Waiting"
        now[0] += 10
        assert wire.status(identifier) == "Completed"


def test_an_outage_ends_on_the_same_port(server: CommServe, wire: Wire) -> None:
    identifier, port = wire.create_job(), server.port
    server.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        wire.create()
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        wire.create()
    server.start()

    assert server.port == port
    assert wire.status(identifier) is not None


def test_another_authority_is_not_trusted(server: CommServe) -> None:
    with CommServe() as other:
        context = ssl.create_default_context(cadata=other.ca_pem)
        pool = urllib3.PoolManager(ssl_context=context, retries=False)
        with pytest.raises(urllib3.exceptions.SSLError):
            pool.request("GET", server.url)


def test_ten_clients_at_once_are_served_in_silence(
    server: CommServe, wire: Wire, capfd: pytest.CaptureFixture[str]
) -> None:
    def hundred() -> None:
        own = Wire(server)
        for _ in range(100):
            assert own.create().status == 200

    threads = [Thread(target=hundred) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(server.jobs) == len(server.create_tasks) == 1000
    assert len({request.connection for request in server.create_tasks}) == 10
    assert capfd.readouterr() == ("", "")
