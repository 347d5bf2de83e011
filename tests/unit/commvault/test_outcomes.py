"""The outcome table, line by line: what every answer to CreateTask is taken for."""

import json
from typing import Any

import pytest

from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.outcomes import (
    AlreadyRunning,
    Failed,
    Outcome,
    Rejected,
    Scheduled,
    Submitted,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
    classify,
)

MAINTENANCE = b"<!DOCTYPE html><html><head><title>Scheduled Maintenance</title></head><body>Back soon.</body></html>"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
TEXT = "An internal error occurred."
# Every place an error body has been seen in; `None` stands for the entry.
PLACES: dict[str, Any] = {
    "top": None,
    "response": {"response": None},
    "response list": {"response": [None]},
    "error object": {"error": None},
    "error list": {"error": [None]},
    "errList": {"errList": [None]},
    "errorList": {"errorList": [None]},
    "errors": {"errors": [None]},
    "errors errList": {"errors": [{"errList": [None]}]},
    "response errList": {"response": {"errList": [None]}},
    "beside a success": {"errorCode": 0, "response": {"errorCode": "0", "errorMessage": ""}, "error": None},
    "after a success": {"errors": [{"errList": [{"errorCode": 0, "errLogMessage": ""}, None]}]},
    "bare list": [None],
}


def answer(body: Any = b"", status: int = 200, **headers: str) -> HttpResponse:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return HttpResponse(status, headers, content)


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
        case other:
            return other


def immediate(body: Any = b"", status: int = 200, **headers: str) -> Outcome:
    return classify(answer(body, status, **headers), "IMMEDIATE")


def scheduled(body: Any, status: int = 200) -> Outcome:
    return classify(answer(body, status), "SCHEDULE")


@pytest.mark.parametrize(
    ("body", "status", "job_ids", "task_id"),
    [
        ({"taskId": 402, "jobIds": ["1354"]}, 200, ("1354",), 402),
        ({"taskId": 402, "jobIds": ["1354"]}, 201, ("1354",), 402),
        ({"taskId": 402, "jobIds": [1354, 1355]}, 200, ("1354", "1355"), 402),
        ({"taskId": 0, "jobIds": ["1354"]}, 200, ("1354",), 0),
        ({"taskId": "402", "jobIds": ["1354"]}, 200, ("1354",), 402),
        ({"jobIds": ["1354"]}, 200, ("1354",), None),
        ({"taskId": None, "jobIds": [0, "0", "1354"]}, 200, ("1354",), None),
        ({"taskId": 402, "jobIds": ["1354", 1354]}, 200, ("1354",), 402),
        ({"taskId": 402, "jobIds": [True, -1, None, "x", "", " 7", 1.5, {}, "1354"]}, 200, ("1354",), 402),
        ({"taskId": 402, "jobIds": ["1354"], "errorCode": 0, "errorMessage": ""}, 200, ("1354",), 402),
        ({"taskId": 402, "jobIds": ["1354"], "errorCode": "0"}, 200, ("1354",), 402),
    ],
)
def test_submitted(body: Any, status: int, job_ids: tuple[str, ...], task_id: int | None) -> None:
    assert immediate(body, status) == Submitted(job_ids, task_id)


@pytest.mark.parametrize("task_type", ["IMMEDIATE", "SCHEDULE"])
@pytest.mark.parametrize("code", [2, 4, 5, 19, "587207178"])
def test_job_ids_beside_an_error_are_submitted_and_the_error_is_kept(task_type: str, code: Any) -> None:
    outcome = classify(answer({"taskId": 402, "jobIds": [1354], **error(code)}), task_type)
    assert isinstance(outcome, Submitted)
    assert outcome.job_ids == ("1354",)
    assert outcome.problem is not None
    assert (outcome.problem.code, outcome.problem.message) == (str(code), TEXT)
    # Nothing will be retried: the hint must not say so.
    assert "retried automatically" not in outcome.problem.hint
    assert "job controller" in outcome.problem.hint


@pytest.mark.parametrize(
    "body",
    [
        {"taskId": 402},
        {"taskId": "402", "jobIds": []},
        {"taskId": 402, "jobIds": None, "errorCode": 0},
        {"taskId": 402, "jobIds": ["0"]},
    ],
)
def test_a_task_without_jobs(body: Any) -> None:
    assert scheduled(body) == Scheduled(402)
    outcome = immediate(body)
    assert isinstance(outcome, Rejected)
    assert outcome.problem.code == "NO_JOBS"
    assert "402" in outcome.problem.message


def test_a_schedule_that_starts_jobs_is_submitted() -> None:
    assert scheduled({"taskId": 402, "jobIds": ["1354"]}) == Submitted(("1354",), 402)


def test_a_schedule_with_an_error_is_not_scheduled() -> None:
    assert isinstance(scheduled({"taskId": 402, **error(19)}), Failed)
    assert isinstance(scheduled({"taskId": 402, **error(4)}, 201), Rejected)


@pytest.mark.parametrize("body", [{"taskId": 0}, {"taskId": "0", "jobIds": []}])
def test_task_id_0_alone_does_not_mean_scheduled(body: Any) -> None:
    assert isinstance(scheduled(body), Unknown)
    assert isinstance(immediate(body), Rejected)


@pytest.mark.parametrize("body", [b"", PAGE, {"errorMessage": "Running."}, error(4), "text", None])
def test_409_is_already_running_whatever_it_says(body: Any) -> None:
    assert isinstance(immediate(body, 409), AlreadyRunning)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, AlreadyRunning),
        ("2", AlreadyRunning),
        (4, Rejected),
        ("4", Rejected),
        (587204050, Rejected),
        ("587207178", Rejected),
        (5, Unauthorized),
        ("1116", Unauthorized),
        (1134, Unauthorized),
        (19, Failed),
        ("19", Failed),
        (-1, Failed),
        ("-1", Failed),
    ],
)
def test_an_error_counts_in_every_place_and_with_every_status(place: Any, code: Any, kind: type) -> None:
    for text in ("errorMessage", "errorString", "errLogMessage"):
        for status in (200, 201, 400, 403, 404, 408, 418, 500, 503):
            outcome = immediate(placed(place, error(code, text=text)), status)
            assert type(outcome) is kind, (text, status, outcome)
            assert not isinstance(outcome, Submitted | Scheduled)
            assert (outcome.problem.code, outcome.problem.message) == (str(code), TEXT)
            assert outcome.problem.hint


@pytest.mark.parametrize("code", [0, "0", None, "", "x", True, False, 1.5, [], {}, "٤", "9" * 5000])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_value_that_cannot_be_an_error_code_is_ignored(place: Any, code: Any) -> None:
    body = placed(place, error(code))
    assert isinstance(immediate(body), Unknown)
    assert isinstance(immediate(body, 500), Unknown)
    assert isinstance(immediate(body, 404), Rejected)


@pytest.mark.parametrize("code", [4, 587204050, 587207178])
@pytest.mark.parametrize("status", [200, 201, 400, 500])
def test_known_permanent_codes_have_their_own_hint(code: int, status: int) -> None:
    outcome = immediate(error(code, "Failed to start backups. "), status)
    assert isinstance(outcome, Rejected)
    assert outcome.problem.message == "Failed to start backups."
    assert "redrive" in outcome.problem.hint


def test_the_bare_string_of_a_400_is_the_message() -> None:
    text = "Request body is empty or format is invalid"
    outcome = immediate(text, 400)
    assert isinstance(outcome, Rejected)
    assert (outcome.problem.code, outcome.problem.message) == ("HTTP_400", text)


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 410, 413, 415, 418, 422, 431, 451, 499])
@pytest.mark.parametrize(
    "body", [b"", PAGE, "text", {"errorMessage": "No right."}, {"errorCode": 0}, None, b"\xff\xfe"]
)
def test_other_4xx_without_a_code_are_rejected(status: int, body: Any) -> None:
    outcome = immediate(body, status)
    assert isinstance(outcome, Rejected)
    assert outcome.problem.code == f"HTTP_{status}"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Rejected), (403, Rejected), (401, Unauthorized), (409, AlreadyRunning), (500, Unknown)]
)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_text_without_a_code_is_kept(status: int, kind: type, place: Any) -> None:
    outcome = immediate(placed(place, {"errorMessage": "The user has no permission."}), status)
    assert type(outcome) is kind
    assert not isinstance(outcome, Submitted | Scheduled)
    assert outcome.problem.message == "The user has no permission."


def test_403_and_404_say_what_to_do() -> None:
    forbidden, missing = immediate(b"", 403), immediate(PAGE, 404)
    assert isinstance(forbidden, Rejected)
    assert isinstance(missing, Rejected)
    assert "right" in forbidden.problem.hint
    assert "CommvaultApiUrl" in missing.problem.hint


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("body", [b"", PAGE, {"taskId": 402, "jobIds": ["1354"]}, error(19)])
def test_a_redirect_is_rejected(status: int, body: Any) -> None:
    outcome = immediate(body, status, Location="https://elsewhere.example/")
    assert isinstance(outcome, Rejected)
    assert outcome.problem.code == f"HTTP_{status}"
    assert "CommvaultApiUrl" in outcome.problem.hint


@pytest.mark.parametrize("body", [b"", PAGE, "text", error(5, "Access denied"), error(4), error(19), None])
def test_401_is_unauthorized_whatever_it_says(body: Any) -> None:
    outcome = immediate(body, 401)
    assert isinstance(outcome, Unauthorized)
    assert "secret" in outcome.problem.hint


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 900),
        ({"Retry-After": "120"}, 120),
        ({"X-RateLimit-Period": "3600"}, 3600),
        ({"Retry-After": "30", "X-RateLimit-Period": "3600"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "X-RateLimit-Period": "60"}, 60),
        ({"Retry-After": "0"}, 900),
        ({"Retry-After": "-5"}, 900),
        ({"Retry-After": "x"}, 900),
        ({"Retry-After": " 45 "}, 45),
        ({"Retry-After": "99999999"}, 21600),
        ({"Retry-After": "9" * 5000}, 900),
        ({"Retry-After": "²"}, 900),
    ],
)
@pytest.mark.parametrize("body", [b"", PAGE, {"errorMessage": "API rate limit exceeded"}, error(19), error(5)])
def test_429_is_throttled(headers: dict[str, str], seconds: int, body: Any) -> None:
    outcome = immediate(body, 429, **headers)
    assert isinstance(outcome, Throttled)
    assert outcome.seconds == seconds
    assert outcome.problem.code == "HTTP_429"


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 404, 409, 429, 500, 503])
def test_the_maintenance_page_is_unavailable_with_any_status(status: int) -> None:
    for body in (MAINTENANCE, MAINTENANCE.upper(), b"\xef\xbb\xbf\r\n" + MAINTENANCE):
        outcome = immediate(body, status)
        assert isinstance(outcome, Unavailable)
        assert outcome.problem.code == "MAINTENANCE"


def test_a_json_answer_that_mentions_maintenance_is_not_the_maintenance_page() -> None:
    assert immediate({"taskId": 402, "jobIds": ["1354"], "note": "<html> maintenance"}) == Submitted(("1354",), 402)


def test_a_proxys_page_that_speaks_of_maintenance_may_come_after_the_request_went_through() -> None:
    page = b"<html><body>504 Gateway Time-out. Our maintenance team is at work.</body></html>"
    assert isinstance(immediate(page, 504), Unknown)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
@pytest.mark.parametrize(
    "body", [b"", PAGE, "text", {}, {"errorCode": 0}, {"taskId": 402}, {"taskId": 402, "jobIds": ["1354"]}, None]
)
def test_408_and_5xx_without_a_code_are_unknown(status: int, body: Any) -> None:
    outcome = immediate(body, status)
    assert isinstance(outcome, Unknown)
    assert outcome.problem.code == f"HTTP_{status}"
    assert "job controller" in outcome.problem.hint


@pytest.mark.parametrize("task_type", ["IMMEDIATE", "SCHEDULE"])
@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b" ",
        PAGE,
        b"{",
        b'{"taskId": 402, "jobIds": ["13',
        b"\xff\xfe\xfd",
        b"[" * 100_000,
        b'{"error":' * 3000 + b"1" + b"}" * 3000,
        b'{"taskId": ' + b"9" * 5000 + b"}",
        b"null",
        b"true",
        b"1354",
        b'"text"',
        b"[]",
        b'["1354"]',
        b'[{"jobIds": ["1354"]}]',
        {},
        {"jobIds": []},
        {"jobIds": "1354"},
        {"jobIds": {"0": "1354"}},
        {"jobIds": ["9" * 5000]},
        {"taskId": True},
        {"taskId": [402]},
        {"taskId": "x"},
        {"data": {"jobIds": ["1354"]}},
        {"errorMessage": "Something went wrong."},
        b'<TMMsg_CreateTaskResp taskId="402"><jobIds val="1354"/></TMMsg_CreateTaskResp>',
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_cannot_be_read_is_unknown_and_never_a_success(body: Any, status: int, task_type: str) -> None:
    outcome = classify(answer(body, status), task_type)
    assert isinstance(outcome, Unknown)
    assert outcome.problem.code == "UNREADABLE_ANSWER"


@pytest.mark.parametrize("task_type", ["IMMEDIATE", "SCHEDULE"])
@pytest.mark.parametrize("job_ids", ["1354", {"jobId": 1354}, ["J-1354"], [{"jobId": 1354}], [1354.0], ["9" * 5000]])
def test_job_ids_in_an_unknown_form_are_not_taken_for_none(job_ids: Any, task_type: str) -> None:
    assert isinstance(classify(answer({"taskId": 402, "jobIds": job_ids}), task_type), Unknown)


@pytest.mark.parametrize("status", [101, 199, 600])
def test_statuses_that_nobody_sends_are_unknown(status: int) -> None:
    assert isinstance(immediate(b"", status), Unknown)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("xml", "kind", "code"),
    [
        (b'<TMMsg_GenericResp errorCode="587204050" errorMessage="No associations."/>', Rejected, "587204050"),
        (b'<?xml version="1.0"?>\n<R errorMessage="No associations." errorCode="4"/>', Rejected, "4"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><R errorCode="5" errorString="No associations."/>', Unauthorized, "5"),
        (b'<R errorCode="2" errLogMessage="No associations."/>', AlreadyRunning, "2"),
        (b'<R errorCode="0"><errList errorCode="19" errLogMessage="No associations."/></R>', Failed, "19"),
        (b'<R errorCode="-1" errorMessage="No associations."/>', Failed, "-1"),
    ],
)
def test_the_old_xml_error(xml: bytes, kind: type, code: str, status: int) -> None:
    outcome = immediate(xml, status)
    assert type(outcome) is kind
    assert not isinstance(outcome, Submitted | Scheduled)
    assert (outcome.problem.code, outcome.problem.message) == (code, "No associations.")


@pytest.mark.parametrize("xml", [b'<R errorCode="0" errorMessage=""/>', b'<R errorCode=""/>', b"<R", b"<R/>"])
def test_xml_without_an_error_is_unreadable(xml: bytes) -> None:
    assert isinstance(immediate(xml), Unknown)
    assert isinstance(immediate(xml, 500), Unknown)


def test_an_error_without_a_text_says_so() -> None:
    outcome = immediate({"errorCode": 19, "errorMessage": None})
    assert isinstance(outcome, Failed)
    assert outcome.problem.message == "Commvault gave no text."


@pytest.mark.parametrize(
    ("codes", "kind"), [([0, 5], Unauthorized), (["0", 2], AlreadyRunning), ([19, 4], Failed), ([4, 19], Rejected)]
)
def test_of_several_errors_the_first_counts(codes: list[Any], kind: type) -> None:
    assert type(immediate({"errors": [{"errList": [error(code) for code in codes]}]})) is kind
