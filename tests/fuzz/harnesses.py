"""Harnesses: each reads an input as one of the texts from outside, and requires the promises of its outcome.

The documents that inputs edit are those of the corpus, and one that has every field of a target.
"""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from rds_snap_backup import triggers
from rds_snap_backup.commvault.answers import MAX_BODY, MAX_THROTTLE_SECONDS, HttpResponse
from rds_snap_backup.commvault.clients import CLIENTS, clients_in
from rds_snap_backup.commvault.contents import read_content
from rds_snap_backup.commvault.job_lists import Page
from rds_snap_backup.commvault.jobs import get_job, list_page
from rds_snap_backup.commvault.outcomes import classify
from rds_snap_backup.commvault.queries import JsonDocument, read
from rds_snap_backup.commvault.restore_points import read_restore_point
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Scheduled, Submitted, Throttled
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.selection import Rule, selected_associations
from rds_snap_backup.targets import ASSOCIATION_FIELDS, FIELDS, parse_target
from rds_snap_backup.triggers import Arrival, Ignored, Request, SubmissionMessage, Trigger, parse, unwrap
from rds_snap_backup.untrusted import MAX_TEXT, MAX_TIME, is_name
from tests.fuzz.inputs import SECRET, TEXTS, Samples, corpus, edited, samples, texts
from tests.target_documents import document

NOW = 1_790_000_000.0
ID = "3f0e9c2a-5d1b-4b52-9d7e-6a1f0c2b7e11"
OWN = "111122223333"
# A message of ours may quote a text from outside, which is limited by itself.
MAX_MESSAGE = MAX_TEXT + 500
# More than the digits of Commvault's numbers.
MAX_DIGITS = 20


# ---- Promises that every outcome keeps


def line(text: str, what: str, most: int = MAX_TEXT) -> None:
    """Require one printable line, which no terminal and no encoder stumbles over."""
    assert len(text) <= most, f"{what} has more than {most} characters"
    is_shown = not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for char in text)
    assert is_shown, f"{what} is not one printable line"


def is_job_id(text: str) -> bool:
    """Tell whether a text is the ID of a job."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS


def shown(some: Problem | None) -> None:
    """Require an error whose texts can be shown."""
    if some is not None:
        line(some.code, "a problem's code", 64)
        line(some.message, "a problem's message", MAX_MESSAGE)
        line(some.hint, "a problem's hint")


def readable(some: Trigger) -> None:
    """Require a trigger whose texts can be shown and kept, and that survives being written and read."""
    assert 0 < len(some.id.encode()) <= triggers.MAX_IDENTITY, "a trigger's id is empty or too long"
    for name in ("id", "time", "rds_event_id", "source_arn", "message", "account"):
        line(getattr(some, name) or "", f"a trigger's {name}", triggers.MAX_IDENTITY)
    for name in some.tagged:
        line(name, "a name in a tag")
    assert Trigger.from_json(json.loads(json.dumps(some.to_message()))) == some, "a trigger changes on its way"
    assert some.moment(1.79e9) <= 1.79e9, "a trigger lies in the future"


# ---- Events, and bodies of messages


def events(text: str) -> None:
    """Read an event as it was invoked. No redrive of what is refused is believed more than that."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = text
    outcome = _outcome(event, Arrival(ID, NOW))
    assert not isinstance(outcome, SubmissionMessage), "an invocation brings a submission's message"
    letter = json.dumps({"event": event, "deliveryId": ID, "refused": {}})
    if len(text) < MAX_BODY and not isinstance(outcome, Request | Ignored):
        redriven = _outcome(*unwrap(letter, "redriven", {}, NOW))
        assert isinstance(redriven, str), "a refused event, redriven, is believed"


def queue_bodies(text: str) -> None:
    """Read the body of a message, with the Scheduler's attributes and without."""
    _outcome(*unwrap(text, ID, {}, NOW))
    schedule = {"SCHEDULE_ARN": {"stringValue": text[:2000]}, "SCHEDULED_TIME": {"stringValue": "2026-01-31T02:00:00Z"}}
    for attributes in (schedule, text, [text]):
        outcome = _outcome(*unwrap(text, ID, attributes, NOW))
        assert not isinstance(outcome, SubmissionMessage), "another sender's message is a submission's"


def _outcome(event: Any, arrival: Arrival) -> Request | SubmissionMessage | Ignored | str:
    """Return an event's outcome, or the code of its refusal."""
    try:
        outcome = parse(event, arrival, "stack")
    except InvalidInput as refused:
        shown(refused.problem)
        return refused.problem.code
    match outcome:
        case Ignored(reason):
            line(reason, "a reason")
        case Request(trigger, names):
            readable(trigger)
            assert all(name == triggers.ALL or triggers.TARGET_NAME.fullmatch(name) for name in names), (
                "a request names no target"
            )
            assert bool(names) is (trigger.kind != "rds"), "a request selects and names"
        case SubmissionMessage(trigger, target, letter):
            readable(trigger)
            # A database's tag may name what no target can be called: the submission is rejected.
            assert is_name(target), "a submission's target has no name"
            assert len(target) <= triggers.MAX_TARGET_NAME, "a submission's target has too long a name"
            assert target != triggers.ALL, "a submission is of all targets"
            assert letter is None or 0 < letter < 10**9, "a letter has no usable number"
    return outcome


# ---- Target documents

DOCUMENTS = Samples((json.dumps(document()), *samples("target_documents").documents), (*FIELDS, *ASSOCIATION_FIELDS))
TRIGGERS = [
    Trigger("rds", "id", None, "RDS-EVENT-0043", f"arn:aws:rds:us-east-1:{OWN}:db:{name}", None, ("orders",), OWN)
    for name in ("orders", "a" * 63, "[", "", "\n", "orders" * 100)
]


def target_documents(text: str) -> None:
    """Read a document as a target and as a rule: where both can be read, they agree."""
    text = text[:8192]
    rule = Rule.read(text)
    for trigger in TRIGGERS:
        rule.select(trigger, OWN, is_tagged=True)
    try:
        target = parse_target("orders", "/targets/orders", text)
    except InvalidInput as refused:
        shown(refused.problem)
        return
    assert Rule.of(target) == rule, "a document and its target have different rules"
    for trigger in TRIGGERS:
        line(target.declines(trigger) or "", "a reason")
        assert set(selected_associations(target, trigger, OWN)) <= set(target.request.associations), "of others"


# ---- Commvault's answers

STATUSES = (200, 100, 201, 204, 301, 302, 400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 999)
HEADERS = {"Retry-After": ("120", "-1", "9" * 30, "0x1"), "X-RateLimit-Period": ("60", "²", "")}
XML = '\ufeff <TMMsg_GenericResp errorCode="{}" errorMessage="{}"/>'
FRAMES = ("{}", "{}", XML, "<html><title>Scheduled Maintenance</title>{}")


def answers(response: HttpResponse) -> None:
    """Classify an answer to CreateTask: one outcome, which shows no token."""
    remember([SECRET])
    for task_type in ("IMMEDIATE", "SCHEDULE"):
        outcome = classify(response, task_type)
        shown(getattr(outcome, "problem", None))
        assert SECRET not in str(outcome), "an outcome shows the secret"
        match outcome:
            case Submitted():
                assert all(map(is_job_id, outcome.job_ids)), "a job's ID is not a short number"
            case Scheduled():
                assert len(str(outcome.task_id)) <= MAX_DIGITS + 1, "a task's ID is not a short number"
            case Throttled():
                assert 0 < outcome.seconds <= MAX_THROTTLE_SECONDS, "a rate limit has no usable end"


def job_lists(response: HttpResponse) -> None:
    """Read an answer as a page of jobs, as one job, as a list of clients, and as a group's content."""
    remember([SECRET])
    commvault: Any = SimpleNamespace(get=lambda *_: read(response))
    for found in (list_page(commvault, 3600, 100, 0.0), get_job(commvault, "41", 0.0)):
        match found:
            case None:
                pass
            case Job():
                _check_job(found)
                assert found.id == "41", "another job is returned"
            case Page():
                for job in found.rows[:20]:
                    _check_job(job)
                assert 100 <= found.end <= found.total, "a page ends before it begins, or after the list"
            case _:
                shown(found.problem)
                assert SECRET not in str(found), "a failure shows the secret"
    match read(response, CLIENTS):
        case JsonDocument(document):
            assert all(client.id for client in clients_in(document).values()), "a client has no ID"
    for row in response.document[:20] if isinstance(response.document, list) else [response.document]:
        content = read_content(row) if isinstance(row, dict) else None
        if content:
            line(str(content), "a content")
            assert content.may_select("instance", "us-east-1", "a" * 63) in {True, False}, "a content selects nothing"
        if point := read_restore_point(row):
            line(point.database, "a restore point's database")
            assert 0 <= point.created <= MAX_TIME, "a restore point's time is not one"


def _check_job(job: Job) -> None:
    assert is_job_id(job.id), "a job's ID is not a short number"
    line(job.status, "a job's status")
    line(job.reason, "a job's reason")
    assert SECRET not in f"{job.status} {job.reason}", "a job shows the secret"
    assert all(0 <= time <= MAX_TIME for time in (job.started, job.ended)), "a job's time is not one"
    assert job.has_ended == (job.end is not None), "a job has half ended"


# ---- Inputs


def response_of(data: bytes) -> HttpResponse:
    """Return the response that an input of the corpus describes: `200 Header: value` in its first line, then the body."""
    head, _, body = data.partition(b"\n")
    status, _, header = head.decode().partition(" ")
    name, _, value = header.partition(": ")
    return HttpResponse(int(status), {name: value}, body)


def responses(samples: Samples) -> st.SearchStrategy[HttpResponse]:
    """Make responses whose bodies are edited samples, framed as JSON, XML or HTML, or longer than is read."""
    headers = {name: st.sampled_from(values) | TEXTS for name, values in HEADERS.items()}
    bodies = st.builds(lambda frame, text: frame.replace("{}", text), st.sampled_from(FRAMES), edited(samples))
    contents = bodies.map(lambda body: body.encode("utf-8", "surrogatepass")[:MAX_BODY])
    present = st.fixed_dictionaries({}, optional=headers)
    return st.builds(HttpResponse, st.sampled_from(STATUSES), present, contents | st.just(None))


@dataclass(frozen=True)
class Harness:
    """What is required of any input, how inputs are made, and those that are kept."""

    check: Callable[[Any], None]
    made: st.SearchStrategy[Any]
    kept: Sequence[Any] = ()

    def test(self, runs: int, seed: int) -> Any:
        """Return Hypothesis's test of the inputs that are kept and of as many others, always the same for a seed."""

        def noted(made: Any) -> None:
            try:
                self.check(made)
            except Exception as failure:
                failure.add_note(f"The input is {made!r}.")  # atheris shows no other
                raise

        settings = hypothesis.settings(
            max_examples=runs,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        test = hypothesis.seed(seed)(settings(given(self.made)(noted)))
        for kept in self.kept:
            test = example(kept)(test)
        return test


def text_of(data: bytes) -> str:
    """Return the text of an input of the corpus."""
    return data.decode("utf-8", "surrogateescape")


TEXTS_OF = {events: samples("events"), queue_bodies: samples("queue_bodies"), target_documents: DOCUMENTS}
HARNESSES = {
    **{
        check.__name__: Harness(check, texts(found), list(map(text_of, corpus(check.__name__))))
        for check, found in TEXTS_OF.items()
    },
    **{
        check.__name__: Harness(
            check, responses(samples(check.__name__)), list(map(response_of, corpus(check.__name__)))
        )
        for check in (answers, job_lists)
    },
}
