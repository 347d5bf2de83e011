"""The table of outcomes: the meaning of every response to CreateTask."""

import json
from typing import Any

import pytest

from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.outcomes import MAX_JOBS, classify
from rds_snap_backup.core import outcomes
from rds_snap_backup.core.outcomes import AlreadyRunning, Failed, Rejected, Scheduled, Submitted, Unauthorized, Unknown
from rds_snap_backup.problems import Problem

MAINTENANCE = b"<!DOCTYPE html><html><head><title>Scheduled Maintenance</title></head><body>Back soon.</body></html>"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
TEXT = "An internal error occurred."
JOBS = {"taskId": 402, "jobIds": ["1354"]}
# Every place an error was seen in; `None` stands for the entry.
PLACES: dict[str, Any] = {
    "top": None,
    "response": {"response": None},
    "response list": {"response": [None]},
    "error object": {"error": None},
    "error list": {"error": [None]},
    "errList": {"errList": [None]},
    "errorList": {"errorList": [None]},
    "errors errList": {"errors": [{"errList": [None]}]},
    "response errList": {"response": {"errList": [None]}},
    "with a success": {"errorCode": 0, "response": {"errorCode": "0", "errorMessage": ""}, "error": None},
    "after a success": {"errors": [{"errList": [{"errorCode": 0, "errLogMessage": ""}, None]}]},
    "bare list": [None],
}


def error(code: Any, message: str = TEXT, text: str = "errorMessage") -> dict[str, Any]:
    return {"errorCode": code, text: message}


def placed(place: Any, entry: Any) -> Any:
    match place:
        case None:
            return entry
        case dict():
            return {name: placed(value, entry) for name, value in place.items()}
        case list():
            return [placed(value, entry) for value in place]
    return place


def immediate(body: Any = b"", status: int = 200, task_type: Any = "IMMEDIATE", **headers: str) -> outcomes.Outcome:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return classify(HttpResponse(status, headers, content), task_type)


def scheduled(body: Any, status: int = 200) -> outcomes.Outcome:
    return immediate(body, status, "SCHEDULE")


def problem_of(outcome: outcomes.Outcome) -> Problem:
    assert not isinstance(outcome, Scheduled)
    assert outcome.problem is not None
    return outcome.problem


# ---- Jobs and tasks


@pytest.mark.parametrize(
    ("body", "job_ids", "task_id"),
    [
        (JOBS, ("1354",), 402),
        ({"taskId": 0, "jobIds": [1354, 1355]}, ("1354", "1355"), 0),
        ({"taskId": "402", "jobIds": ["1354", 1354]}, ("1354",), 402),
        ({"jobIds": [0, "0", True, -1, None, "x", "", " 7", 1.5, {}, "1354"]}, ("1354",), None),
        ({"jobIds": ["1354"], "errorCode": 0, "errorMessage": ""}, ("1354",), None),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_submitted(body: Any, status: int, job_ids: tuple[str, ...], task_id: int | None) -> None:
    assert immediate(body, status) == scheduled(body, status) == Submitted(job_ids, task_id)


@pytest.mark.parametrize("code", [2, 4, 5, 19, "587207178"])
def test_job_ids_with_an_error_are_submitted_and_in_any_other_answer_in_doubt(code: Any) -> None:
    outcome = immediate({**JOBS, **error(code)})
    assert isinstance(outcome, Submitted)
    assert (problem_of(outcome).code, problem_of(outcome).message) == (str(code), TEXT)
    for status in (302, 400, 401, 403, 404, 408, 409, 429, 500, 503):
        for body in (JOBS, {**JOBS, **error(code)}):
            assert isinstance(immediate(body, status), Unknown)
    too_many = {"jobIds": list(range(1, MAX_JOBS + 2))}
    assert isinstance(immediate({**too_many, **error(code)}), Unknown)


@pytest.mark.parametrize("body", [{"taskId": 402}, {"taskId": "402", "jobIds": []}, {"taskId": 402, "jobIds": ["0"]}])
def test_a_task_without_jobs(body: Any) -> None:
    assert scheduled(body) == Scheduled(402)
    outcome = immediate(body)
    assert isinstance(outcome, Rejected)
    assert (outcome.blames_names, outcome.problem.code) == (True, "NO_JOBS")
    without_id = body | {"taskId": 0}
    assert (type(scheduled(without_id)), type(immediate(without_id))) == (Unknown, Rejected)


# ---- Errors


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, AlreadyRunning),
        *((code, Rejected) for code in ("4", 587204050, "587207178")),
        *((code, Unauthorized) for code in (5, "1116", 1134)),
        *((code, Failed) for code in (19, "-1")),
    ],
)
def test_an_error_counts_in_every_place_and_with_every_status(place: Any, code: Any, kind: type) -> None:
    for text in ("errorMessage", "errorString", "errLogMessage"):
        for status in (200, 201, 302, 400, 403, 404, 408, 418, 500, 503):
            outcome = immediate(placed(place, error(code, text=text)), status)
            assert type(outcome) is kind, (text, status, outcome)
            assert (problem_of(outcome).code, problem_of(outcome).message) == (str(code), TEXT)
            assert not isinstance(outcome, Rejected) or outcome.blames_names


@pytest.mark.parametrize(
    "code", [0, "0", None, "", "x", True, 1.5, [], {}, "٤", "9" * 5000], ids=lambda code: str(code)[:9]
)
def test_a_value_that_cannot_be_an_error_code_is_ignored(code: Any) -> None:
    for place in PLACES.values():
        kinds = [type(immediate(placed(place, error(code)), status)) for status in (200, 500, 404)]
        assert kinds == [Unknown, Unknown, Rejected]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # A login comes before a permanent code, a permanent code before the status, any other code after 409.
        *((401, error(code), Unauthorized) for code in (4, 19)),
        (409, error(4), Rejected),
        (409, error(5), Unauthorized),
        (409, error(19), AlreadyRunning),
        (409, PAGE, AlreadyRunning),
        *((429, error(code), outcomes.Throttled) for code in (5, 19)),
        *((status, error(19), Failed) for status in (302, 403)),
        # Of several errors the first counts.
        *((200, [error(0), error(code)], kind) for code, kind in ((5, Unauthorized), (2, AlreadyRunning))),
        (200, [error(19), error(4)], Failed),
    ],
)
def test_the_first_that_matches_wins(status: int, body: Any, kind: type) -> None:
    assert type(immediate({"errors": [{"errList": body}]} if isinstance(body, list) else body, status)) is kind


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("xml", "kind", "code"),
    [
        (b'<TMMsg_GenericResp errorCode="587204050" errorMessage="No associations."/>', Rejected, "587204050"),
        (b'<?xml version="1.0"?>\n<R errorMessage="No associations." errorCode="4"/>', Rejected, "4"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><R errorCode="5" errorString="No associations."/>', Unauthorized, "5"),
        (b'<R errorCode="0"><errList errorCode="19" errLogMessage="No associations."/></R>', Failed, "19"),
    ],
)
def test_the_old_xml_error(xml: bytes, kind: type, code: str, status: int) -> None:
    outcome = immediate(xml, status)
    assert type(outcome) is kind
    assert (problem_of(outcome).code, problem_of(outcome).message) == (code, "No associations.")


# ---- Without an error's code


@pytest.mark.parametrize(
    "body", [b"", PAGE, "text", {"errorMessage": "No right."}, {"errorCode": 0}, None, b"\xff\xfe"]
)
@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((300, 301, 302, 303, 304, 307, 308), Rejected),
        ((400, 402, 403, 404, 405, 410, 413, 415, 418, 422, 451, 499), Rejected),
        ((401,), Unauthorized),
        ((409,), AlreadyRunning),
        ((408, 500, 502, 503, 504, 599), Unknown),
    ],
)
def test_without_a_code_the_status_decides(body: Any, statuses: tuple[int, ...], kind: type) -> None:
    for status in statuses:
        outcome = immediate(body, status)
        assert type(outcome) is kind, outcome
        assert problem_of(outcome).code == f"HTTP_{status}"
        assert body != "text" or status != 400 or problem_of(outcome).message == "text"
        assert not isinstance(outcome, Rejected) or not outcome.blames_names


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 900),
        ({"Retry-After": " 120 "}, 120),
        ({"X-RateLimit-Period": "3600"}, 3600),
        ({"Retry-After": "30", "X-RateLimit-Period": "3600"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "X-RateLimit-Period": "60"}, 60),
        ({"Retry-After": "99999999"}, 21600),
        *(({"Retry-After": value}, 900) for value in ("0", "-5", "9" * 5000, "²")),
    ],
)
def test_429_is_throttled(headers: dict[str, str], seconds: int) -> None:
    outcome = immediate({"errorMessage": "API rate limit exceeded"}, 429, **headers)
    assert isinstance(outcome, outcomes.Throttled)
    assert outcome.seconds == seconds
    assert "API rate limit exceeded" in outcome.problem.message


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 409, 429, 500, 503])
def test_the_maintenance_page_is_unavailable_with_any_status(status: int) -> None:
    for body in (MAINTENANCE, MAINTENANCE.upper(), b"\xef\xbb\xbf\r\n" + MAINTENANCE):
        outcome = immediate(body, status)
        assert isinstance(outcome, outcomes.Unavailable)
        assert outcome.problem.code == "MAINTENANCE"
    assert immediate({**JOBS, "note": "<html> scheduled maintenance"}) == Submitted(("1354",), 402)
    page = b"<html><body>Gateway Time-out. Our maintenance team is at work.</body></html>"
    assert not isinstance(immediate(page, status), outcomes.Unavailable)


NO_JOB_IDS: list[Any] = ["1354", {"0": "1354"}, ["J-1"], [{"jobId": 1}], [1.5], ["9" * 5000]]


@pytest.mark.parametrize(
    "body",
    [
        *(None, b"", PAGE, b"{", b"\xff\xfe\xfd", b"null", b"1354", b'["1354"]', b'[{"jobIds": ["1354"]}]'),
        *(b'{"taskId": 402, "jobIds": ["13', b'{"taskId": ' + b"9" * 5000 + b"}"),
        *(b"[" * 100_000, b'{"error":' * 3000 + b"1" + b"}" * 3000),
        *({}, {"jobIds": []}, {"taskId": True}, {"data": {"jobIds": ["1354"]}}, {"errorMessage": "Something."}),
        *({"taskId": 402, "jobIds": ids} for ids in NO_JOB_IDS),
        b'<TMMsg_CreateTaskResp taskId="402"><jobIds val="1354"/></TMMsg_CreateTaskResp>',
        b'<R errorCode="0" errorMessage=""/>',
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_cannot_be_read_is_unknown_and_never_a_success(body: Any) -> None:
    for status in (200, 201, 204):
        for outcome in (immediate(body, status), scheduled(body, status)):
            assert isinstance(outcome, Unknown)
            assert outcome.problem.code == "UNREADABLE_ANSWER"
