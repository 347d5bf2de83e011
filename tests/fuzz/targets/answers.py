"""Any response to CreateTask and to a reading call is exactly one outcome, and shows no token."""

from collections.abc import Iterable
from typing import Any

from rds_snap_backup.commvault.answers import MAX_THROTTLE_SECONDS, HttpResponse
from rds_snap_backup.commvault.connection import MAX_BODY, MAX_CLOCK_AHEAD, _clock_ahead
from rds_snap_backup.commvault.outcomes import Outcome, Scheduled, Submitted, Throttled, classify
from rds_snap_backup.commvault.queries import JsonDocument, is_of_the_call, read
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.notifications import Notifications
from rds_snap_backup.redaction import remember
from rds_snap_backup.triggers import Trigger
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET, Choices, edited, is_choices, written
from tests.fuzz.triggers import NOW
from tests.fuzz.wire import Aws

STATUSES = (200, 100, 201, 204, 301, 302, 400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 999)
ERROR: dict[str, Any] = {"errorCode": 2, "errorMessage": "Another job is running."}
SAMPLES: list[Any] = [
    {"taskId": 7, "jobIds": ["41", "42"]},
    {"taskId": 7, "jobIds": ["0"], "error": ERROR},
    ERROR,
    {"error": ERROR, "response": [{"errorCode": 0}, {"errorString": "x", "errorCode": 587204050}]},
    {"errList": [{"errLogMessage": "x", "errorCode": "5"}], "errorList": [ERROR]},
    [ERROR],
    "Access denied",
]
FIELDS = (
    "taskId",
    "jobIds",
    "error",
    "errors",
    "errList",
    "errorList",
    "response",
    *ERROR,
    "errorString",
    "errLogMessage",
)
HEADERS = ("Retry-After", "X-RateLimit-Period", "Date")
FRAMES = (
    "{}",
    '\ufeff <TMMsg_GenericResp errorCode="{}" errorMessage="{}"/>',
    "<html><title>Scheduled Maintenance</title>{}",
    "<html>{}",
)
DATES = ("Sat, 31 Jan 2026 02:00:04 GMT", "Sat, 31 Jan 2026 02:00:04", "31 Jan 0001 00:00:00 -9959", "")
SECRETS = (SECRET, *(f"{number}-{SECRET[::-1]}" * 9 for number in range(23)))


def response_of(data: bytes, samples: list[Any], fields: Iterable[str]) -> HttpResponse:
    """Return the response that an input describes: `200 Header: value` in its first line, then the body."""
    if not is_choices(data):
        head, _, body = data.partition(b"\n")
        status, _, header = head.decode("latin-1").partition(" ")
        name, _, value = header.partition(": ")
        number = int(status) if status.isascii() and status.isdecimal() and len(status) == 3 else 200
        return HttpResponse(number, {name: value} if name else {}, body)
    choices = Choices(data[1:])
    headers = {}
    status_code = choices.one_of(STATUSES)
    for name in HEADERS:
        if choices.below(2):
            headers[name] = choices.one_of((*DATES, "120", "-1", "9" * 30, "0x1", choices.text()))
    text = written(edited(choices, samples, tuple(fields)), choices)
    text = choices.one_of(FRAMES).replace("{}", text)
    body = text.encode("utf-8", "surrogatepass")
    return HttpResponse(status_code, headers, None if choices.below(32) == 31 else body[:MAX_BODY])


def fuzz(data: bytes) -> None:
    """Classify a response, and read it as an answer to a reading call."""
    remember(SECRETS)
    response = response_of(data, SAMPLES, FIELDS)
    limits.require(abs(_clock_ahead(response.headers.get("Date", ""))) <= MAX_CLOCK_AHEAD, "a clock is days ahead")
    for task_type in ("IMMEDIATE", "SCHEDULE"):
        _check(classify(response, task_type))
    for not_found_is_empty in (False, True):
        match read(response, not_found_is_empty=not_found_is_empty):
            case JsonDocument(document):
                limits.require(isinstance(document, dict), "a document is not an object")
            case failure:
                limits.problem(failure.problem)
                limits.hidden(str(failure), "a failure")
                is_of_the_call(failure.problem)


def _check(outcome: Outcome) -> None:
    problem = getattr(outcome, "problem", None)
    job_ids: tuple[str, ...] = ()
    task_id: int | None = None
    limits.problem(problem)
    limits.hidden(str(outcome), "an outcome")
    match outcome:
        case Submitted():
            job_ids, task_id = outcome.job_ids, outcome.task_id
            for job_id in job_ids:
                limits.number(job_id)
        case Scheduled():
            task_id = outcome.task_id
        case Throttled():
            limits.require(0 < outcome.seconds <= MAX_THROTTLE_SECONDS, "a rate limit has no usable end")
    limits.require(len(str(task_id or 0)) <= limits.MAX_DIGITS + 1, "a task's ID is not a short number")
    aws: Any = Aws()
    trigger = Trigger("manual", "id")
    notification = notifications.build(
        "submitted", "orders", None, trigger, now=NOW, job_ids=job_ids, task_id=task_id, problem=problem
    )
    limits.item(notification)
    Notifications("topic", aws).publish(notification)
