"""The simulator's API: TLS, tokens, CreateTask, discovery, limits and outages."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from tests.simulator.client import TOKEN, Wire, association, form


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN) as running:
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", f"QSDK {TOKEN}"])
def test_only_the_exact_token_is_accepted(server: CommServe, wire: Wire, token: str) -> None:
    answer = wire.send("POST", "/CreateTask", form(), headers={"Authtoken": token})

    assert (answer.status, answer.json()) == (401, {"errorMessage": "Access denied", "errorCode": 5})
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


def test_past_the_rate_limit_calls_are_429(server: CommServe, wire: Wire) -> None:
    server.rate_limit(writes=2, reads=1, period=3600)
    answers = [wire.create() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["X-RateLimit-Limit"] == "2"
    assert answers[2].headers["X-RateLimit-Period"] == "3600"
    assert [wire.send("GET", "/Client").status for _ in range(2)] == [200, 429]
    server.advance(3600)
    assert wire.create().status == 200
