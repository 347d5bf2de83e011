"""Harnesses: each reads an input as one of the texts from outside, and requires the promises of its outcome."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from local.tools import ROOT
from rds_snap_backup.commvault.answers import MAX_BODY, MAX_THROTTLE_SECONDS, HttpResponse
from rds_snap_backup.commvault.clients import CLIENTS, clients_in
from rds_snap_backup.commvault.contents import read_content
from rds_snap_backup.commvault.job_lists import Page
from rds_snap_backup.commvault.jobs import get_job, list_page
from rds_snap_backup.commvault.outcomes import classify
from rds_snap_backup.commvault.queries import JsonDocument, read
from rds_snap_backup.commvault.restore_points import read_restore_point
from rds_snap_backup.commvault.rows import MAX_TIME
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Scheduled, Submitted, Throttled
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.redaction import remember
from rds_snap_backup.selection import Rule, selected_associations
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import (
    ALL,
    MAX_TARGET_NAME,
    TARGET_NAME,
    Arrival,
    Ignored,
    Request,
    SubmissionMessage,
    Trigger,
    parse,
    unwrap,
)
from rds_snap_backup.untrusted import is_name
from tests.fuzz import promises
from tests.fuzz.inputs import SECRET, Choices, edited, is_choices, text_of
from tests.fuzz.promises import require
from tests.target_documents import document

NOW = 1_790_000_000.0
ID = "3f0e9c2a-5d1b-4b52-9d7e-6a1f0c2b7e11"
OWN = "111122223333"

# ---- Events, and bodies of messages

TRIGGER = {"kind": "rds", "id": "arn|RDS-EVENT-0043|2026-01-31T02:00:00Z", "tagged": ["orders"], "account": OWN}
EVENTS: list[Any] = [
    *(json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))),
    {"target": "orders", "trigger": TRIGGER, "letter": 1},
    {"event": {"target": "a b"}, "deliveryId": ID, "refused": {"code": "X", "message": "x", "hint": "x"}},
]
EVENT_FIELDS = (
    *("source", "detail-type", "detail", "EventID", "SourceArn", "Date", "SourceType", "Message", "Tags", "resources"),
    *(
        "rds-snap-backup:target",
        "account",
        "target",
        "time",
        "schedule",
        "check",
        "explain",
        "trigger",
        "letter",
        *TRIGGER,
    ),
    *("requestId", "rdsEventId", "sourceArn", "refused", "event", "deliveryId", "requestPayload", "requestContext"),
)


def events(data: bytes) -> None:
    """Read an event as it was invoked. No redrive of what is refused is believed more than that."""
    text = text_of(data, EVENTS, EVENT_FIELDS)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = text
    outcome = _outcome(event, Arrival(ID, NOW))
    require(not isinstance(outcome, SubmissionMessage), "an invocation brings a submission's message")
    letter = json.dumps({"event": event, "deliveryId": ID, "refused": {}})
    if len(text) < MAX_BODY and not isinstance(outcome, Request | Ignored):
        redriven = _outcome(*unwrap(letter, "redriven", {}, NOW))
        require(isinstance(redriven, str), "a refused event, redriven, is believed")


def queue_bodies(data: bytes) -> None:
    """Read the body of a message, with the Scheduler's attributes and without."""
    text = text_of(data, EVENTS, EVENT_FIELDS)
    _outcome(*unwrap(text, ID, {}, NOW))
    schedule = {"SCHEDULE_ARN": {"stringValue": text[:2000]}, "SCHEDULED_TIME": {"stringValue": "2026-01-31T02:00:00Z"}}
    for attributes in (schedule, text, [text]):
        outcome = _outcome(*unwrap(text, ID, attributes, NOW))
        require(not isinstance(outcome, SubmissionMessage), "another sender's message is a submission's")


def _outcome(event: Any, arrival: Arrival) -> Request | SubmissionMessage | Ignored | str:
    """Return an event's outcome, or the code of its refusal."""
    try:
        outcome = parse(event, arrival, "stack")
    except InvalidInput as refused:
        promises.problem(refused.problem)
        return refused.problem.code
    match outcome:
        case Ignored(reason):
            promises.line(reason, "a reason")
        case Request(trigger, names):
            promises.trigger(trigger)
            require(all(_is_name(name) for name in names), "a request names something else than targets")
            require(bool(names) is (trigger.kind != "rds"), "a request selects and names")
        case SubmissionMessage(trigger, target, letter):
            promises.trigger(trigger)
            # A database's tag may name what no target can be called: the submission is rejected.
            require(is_name(target) and len(target) <= MAX_TARGET_NAME, "a submission's target has no name")
            require(target != ALL, "a submission is of all targets")
            require(letter is None or 0 < letter < 10**9, "a letter has no usable number")
    return outcome


def _is_name(name: str) -> bool:
    return name == ALL or TARGET_NAME.fullmatch(name) is not None


# ---- Target documents

ASSOCIATION = {"clientName": "AWS", "instanceName": "RDS", "displayName": "AWS", "subclientName": "orders"}
DOCUMENTS: list[Any] = [
    {
        **document(),
        "associations": [{**ASSOCIATION, "databases": ["orders"]}],
        "databases": ["orders-*", "arn:aws:rds:*:db:orders", "*"],
        "accounts": [OWN],
        "rdsEventIds": ["RDS-EVENT-0043"],
        "enabled": True,
    },
    {"associations": [ASSOCIATION, {**ASSOCIATION, "subclientName": "stock"}]},
    {"associations": [ASSOCIATION], "databases": ["[a-z]*", "*[!0-9]?*", "*a*a*a*a*a*a*b"]},
]
TRIGGERS = [
    Trigger("rds", "id", None, "RDS-EVENT-0043", f"arn:aws:rds:us-east-1:{OWN}:db:{name}", None, ("orders",), OWN)
    for name in ("orders", "a" * 63, "[", "", "\n", "orders" * 100)
]


def target_documents(data: bytes) -> None:
    """Read a document as a target and as a rule: where both can be read, they agree."""
    text = text_of(data, DOCUMENTS, (*DOCUMENTS[0], *ASSOCIATION))[:8192]
    rule = Rule.read(text)
    for trigger in TRIGGERS:
        rule.select(trigger, OWN, is_tagged=True)
    try:
        target = parse_target("orders", "/targets/orders", text)
    except InvalidInput as refused:
        promises.problem(refused.problem)
        return
    require(Rule.of(target) == rule, "a document and its target have different rules")
    for trigger in TRIGGERS:
        promises.line(target.declines(trigger) or "", "a reason")
        require(set(selected_associations(target, trigger, OWN)) <= set(target.request.associations), "of others")


# ---- Commvault's answers

STATUSES = (200, 100, 201, 204, 301, 302, 400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 999)
HEADERS = {"Retry-After": ("120", "-1", "9" * 30, "0x1"), "X-RateLimit-Period": ("60", "²", "")}
FRAMES = (
    "{}",
    '\ufeff <TMMsg_GenericResp errorCode="{}" errorMessage="{}"/>',
    "<html><title>Scheduled Maintenance</title>{}",
)
ERROR: dict[str, Any] = {"errorCode": 2, "errorMessage": "Another job is running."}
ANSWERS: list[Any] = [
    {"taskId": 7, "jobIds": ["41", "42"]},
    {"taskId": 7, "jobIds": ["0"], "error": ERROR},
    {"error": ERROR, "response": [{"errorCode": 0}, {"errorString": "x", "errorCode": 587204050}]},
    {"errList": [{"errLogMessage": "x", "errorCode": "5"}], "errorList": [ERROR]},
    [ERROR],
    "Access denied",
]
ANSWER_FIELDS = ("taskId", "jobIds", "error", "errors", "errList", "errorList", "response", "errorString", *ERROR)
SUMMARY: dict[str, Any] = {
    "jobId": 41,
    "opType": 59,
    "jobType": "Snap Backup",
    "status": "Completed",
    "localizedStatus": "Completed",
    "pendingReason": "Waiting for the array.",
    "backupLevelName": "Full",
    "jobStartTime": 1790000000,
    "jobEndTime": "1790000100000",
    "subclient": {"clientName": "AWS", "instanceName": "RDS", "subclientName": "orders"},
}
KINDS = ("root", "Region", "Instance", "Cluster", "instanceRule", 7)
CHILD = {"name": "^orders-(a|b)*", "path": "us-east-1", "value": "us-east-1 orders", "type": "Instance", "negation": 0}
ATTRIBUTES = {"rdsAttributes": {"availabilityZone": "us-east-1a,us-east-1b"}}
POINT = {"dbName": "orders", "createTime": 1769824804, "snapShotName": "orders-us-east-1", **ATTRIBUTES}
LISTS: list[Any] = [
    {"totalRecordsWithoutPaging": 1, "jobs": [{"jobSummary": SUMMARY}]},
    {"totalRecordsWithoutPaging": "250", "jobs": [{"jobSummary": {**SUMMARY, "jobId": str(n)}} for n in range(100)]},
    {"totalRecordsWithoutPaging": 0},
    {"clientProperties": [{"client": {"clientEntity": {"clientId": 7, "clientName": "AWS", "displayName": "A"}}}]},
    {"jobs": [], **ERROR},
    {
        "cloudDbContent": {"children": [{**CHILD, "type": kind} for kind in KINDS]},
        "cloudDbFilter": {"children": [CHILD]},
    },
    POINT,
]
LIST_FIELDS = (
    *(
        "totalRecordsWithoutPaging",
        "jobs",
        "jobSummary",
        *SUMMARY,
        *ERROR,
        "clientName",
        "instanceName",
        "subclientName",
    ),
    *("clientProperties", "client", "clientEntity", "clientId", "displayName"),
    *("cloudDbContent", "cloudDbFilter", "children", *CHILD, *POINT, "availabilityZone"),
)


def answers(data: bytes) -> None:
    """Classify an answer to CreateTask: one outcome, which shows no token."""
    response = _response(data, ANSWERS, ANSWER_FIELDS)
    for task_type in ("IMMEDIATE", "SCHEDULE"):
        outcome = classify(response, task_type)
        promises.problem(getattr(outcome, "problem", None))
        promises.hidden(str(outcome), "an outcome")
        match outcome:
            case Submitted():
                for job_id in outcome.job_ids:
                    promises.number(job_id)
            case Scheduled():
                require(len(str(outcome.task_id)) <= promises.MAX_DIGITS + 1, "a task's ID is not a short number")
            case Throttled():
                require(0 < outcome.seconds <= MAX_THROTTLE_SECONDS, "a rate limit has no usable end")


def job_lists(data: bytes) -> None:
    """Read an answer as a page of jobs, as one job, as a list of clients, and as a group's content."""
    response = _response(data, LISTS, LIST_FIELDS)
    commvault: Any = SimpleNamespace(get=lambda *_: read(response))
    for found in (list_page(commvault, 3600, 100, 0.0), get_job(commvault, "41", 0.0)):
        match found:
            case None:
                pass
            case Job():
                _check_job(found)
                require(found.id == "41", "another job is returned")
            case Page():
                for job in found.rows[:20]:
                    _check_job(job)
                require(100 <= found.end <= found.total, "a page ends before it begins, or after the list")
            case _:
                promises.problem(found.problem)
                promises.hidden(str(found), "a failure")
    match read(response, CLIENTS):
        case JsonDocument(document):
            require(all(client.id for client in clients_in(document).values()), "a client has no ID")
    _check_group(response.document)


def _check_group(document: Any) -> None:
    """Read whatever an answer has as a group's content, and as restore points."""
    rows = document if isinstance(document, list) else [document]
    for row in rows[:20]:
        content = read_content(row) if isinstance(row, dict) else None
        if content:
            promises.line(str(content), "a content")
            require(content.may_select("instance", "us-east-1", "a" * 63) in {True, False}, "a content selects nothing")
        if point := read_restore_point(row):
            promises.line(point.database, "a restore point's database")
            require(0 <= point.created <= MAX_TIME, "a restore point's time is not one")


def _check_job(job: Job) -> None:
    promises.number(job.id)
    promises.line(job.status, "a job's status")
    promises.line(job.reason, "a job's reason")
    promises.hidden(f"{job.status} {job.reason}", "a job")
    require(0 <= job.started <= MAX_TIME and 0 <= job.ended <= MAX_TIME, "a job's time is not one")
    require(job.has_ended == (job.end is not None), "a job has half ended")


def _response(data: bytes, samples: list[Any], fields: tuple[str, ...]) -> HttpResponse:
    """Return the response that an input describes: `200 Header: value` in its first line, then the body."""
    remember([SECRET])
    if not is_choices(data):
        head, _, body = data.partition(b"\n")
        status, _, header = head.decode("latin-1").partition(" ")
        name, _, value = header.partition(": ")
        is_number = status.isascii() and status.isdecimal() and len(status) == 3
        return HttpResponse(int(status) if is_number else 200, {name: value}, body)
    choices = Choices(data[1:])
    headers = {name: choices.one_of((*values, choices.text())) for name, values in HEADERS.items() if choices.below(2)}
    status_code, frame = choices.one_of(STATUSES), choices.one_of((*FRAMES, FRAMES[0], FRAMES[0]))
    body = frame.replace("{}", edited(choices, samples, fields)).encode("utf-8", "surrogatepass")
    return HttpResponse(status_code, headers, body[:MAX_BODY] if choices.below(32) < 31 else None)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    harness.__name__: harness for harness in (events, queue_bodies, target_documents, answers, job_lists)
}
