"""The simulator's API: tokens, CreateTask and limits."""

from typing import Any

import pytest

from local.commserve import CommServe
from tests.simulator.client import TOKEN, Wire, association, form


@pytest.mark.parametrize("token", ["", TOKEN + "x", f"QSDK {TOKEN}"])
def test_only_the_exact_token_is_accepted(server: CommServe, wire: Wire, token: str) -> None:
    answer = wire.send("POST", "/CreateTask", form(), headers={"Authtoken": token})
    assert (answer.status, answer.json(), server.jobs) == (401, {"errorMessage": "Access denied", "errorCode": 5}, {})


NOBODY, UNKNOWN, REFUSED = association(client="nobody"), association("no-such-db"), association("users-db")


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


OPTIONS = "taskInfo subTasks 0 options"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("taskInfo", {}),
        ("taskInfo extra", 1),
        ("taskInfo task taskType", "LATER"),
        ("taskInfo associations 0 displayName", ""),
        ("taskInfo associations 0 appName", "Virtual Server"),
        (f"{OPTIONS} backupOpts backupLevel", "full"),
        (f"{OPTIONS} commonOpts notifyUserOnJobCompletion", "true"),
        (f"{OPTIONS} commonOpts jobDescription", "x"),
        ("taskInfo subTasks", []),
    ],
)
def test_what_is_not_the_form_is_refused(server: CommServe, wire: Wire, path: str, value: Any) -> None:
    body = form()
    *steps, last = path.split()
    place: Any = body
    for step in steps:
        place = place[int(step) if step == "0" else step]
    place[last] = value
    answer = wire.send("POST", "/CreateTask", body)
    assert (answer.status, answer.json()) == (400, "Request body is empty or format is invalid")
    assert (len(server.refusals), len(server.jobs)) == (1, 0)


def test_past_the_rate_limit_calls_are_429(server: CommServe, wire: Wire) -> None:
    server.rate_limit(writes=2, reads=1, period=3600)
    answers = [wire.create() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answers[2].headers[f"X-RateLimit-{name}"] for name in ("Limit", "Period")] == ["2", "3600"]
    assert [wire.send("GET", "/Client").status for _ in range(2)] == [200, 429]
    server.advance(3600)
    assert wire.create().status == 200
