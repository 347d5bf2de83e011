"""Every answer to CreateTask, and every failure to get one, as exactly one outcome. Pure: no request is made here.

The forms that an answer takes, and the places an error stands in, are those of Commvault's API pages and of what its
own clients read; where those are silent, an answer that can not be read is `Unknown`, never a success.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.problems import Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came. `body` is None when it was cut off, or longer than is read."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """Commvault started these jobs; `problem` is what it said beside that."""

    job_ids: tuple[str, ...]
    task_id: int | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Commvault made a task that starts its jobs later."""

    task_id: int


@dataclass(frozen=True, slots=True)
class AlreadyRunning:
    """A job of the same subclient is running."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing was started, and the same request never will be accepted."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was started, for a reason that may pass."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The token was refused, or there is none."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests; nothing is sent for so many seconds."""

    problem: Problem
    seconds: int


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The request surely never reached Commvault's application."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have been accepted: only Commvault's list of jobs can tell."""

    problem: Problem


type Outcome = (
    Submitted | Scheduled | AlreadyRunning | Rejected | Failed | Unauthorized | Throttled | Unavailable | Unknown
)

PERMANENT = {
    "4": "Check the target's client, instance and subclient names against Commvault, then redrive the dead letter.",
    "587204050": "The request named no association that Commvault knows: check the target's names, then redrive.",
    "587207178": "No subclient of these names can be backed up: check that it exists, has content and its backups are "
    "enabled, then redrive.",
}
LOGIN_REFUSED = {"5", "1116", "1134"}
NEW_TOKEN = "Put a valid access token into the secret; it is used at the next try, and no redeploy is needed."  # noqa: S105 - a hint
LATER = "It is tried again by itself. If it lasts, look at the Commvault web server and CommServe."
NOT_ALL = "Look in Commvault's job controller whether all subclients of the target have a job; it is not tried again."
LOOK_FIRST = "Look in Commvault's job controller whether a job started before you start one by hand."
# Where the answer does not say how long a rate limit lasts.
THROTTLE_SECONDS = 900
MAX_THROTTLE_SECONDS = 6 * 3600
NO_TEXT = "Commvault gave no text."
# Errors are looked for in objects nested no deeper than this: Commvault's own go half as deep.
DEEPEST = 10


def classify(answer: Answer, task_type: str) -> Outcome:
    """Return what an answer to CreateTask means. The cases are in the order in which the first that fits wins."""
    document = document_of(answer)
    error = next(errors(document), None) or _xml_error(answer.body)
    job_ids, task_id = _job_ids(document), _task_id(document)
    http = Problem(f"HTTP_{answer.status}", _text(document) or f"Commvault answered HTTP {answer.status}.", LATER)
    problem = error or http

    match answer.status, error and error.code:
        case _ if is_maintenance(answer):
            return Unavailable(Problem("MAINTENANCE", "Commvault shows its maintenance page.", LATER))
        case status, _ if 200 <= status < 300 and job_ids:
            return Submitted(job_ids, task_id, error and Problem(error.code, error.message, NOT_ALL))
        case status, _ if 300 <= status < 400:
            hint = (
                "Set CommvaultApiUrl to the address that answers itself: redirects are never followed with the token."
            )
            return Rejected(Problem(http.code, f"Commvault redirects (HTTP {status}).", hint))
        case 429, _:
            return Throttled(
                Problem(http.code, f"Commvault's rate limit is reached. {_text(document)}".strip(), LATER),
                throttle_seconds(answer.headers),
            )
        case 401, _:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case _, code if code in LOGIN_REFUSED:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case (409, _) | (_, "2"):
            return AlreadyRunning(
                Problem(problem.code, problem.message, "It is joined, or tried again when it is over.")
            )
        case _, str(code) if code in PERMANENT:
            return Rejected(Problem(code, problem.message, PERMANENT[code]))
        case _, str():
            return Failed(problem)
        case status, _ if status == 408 or status >= 500:
            return Unknown(Problem(http.code, http.message, LOOK_FIRST))
        case status, _ if status >= 400:
            return Rejected(Problem(http.code, http.message, _hint(status)))
        case status, _ if 200 <= status < 300 and task_id is not None and job_ids is not None:
            if task_type == "SCHEDULE" and task_id > 0:
                return Scheduled(task_id)
            if task_type != "SCHEDULE":
                message = f"Commvault made task {task_id} without a job: nothing was started."
                hint = "Check that the target's subclients exist and their backups are enabled, then redrive."
                return Rejected(Problem("NO_JOBS", message, hint))
    message = f"Commvault's answer (HTTP {answer.status}) can not be read."
    return Unknown(Problem("UNREADABLE_ANSWER", message, LOOK_FIRST))


def is_maintenance(answer: Answer) -> bool:
    """Tell whether this is the HTML page that every URL answers while the web tier restarts, with any status.

    Its title is asked for in full: a proxy's page that speaks of maintenance may come after the request went through.
    """
    head = _unmarked(answer.body)[:4096].lower()
    return head.startswith(b"<") and b"<html" in head and b"scheduled maintenance" in head


def throttle_seconds(headers: Mapping[str, str]) -> int:
    """Return how long to send nothing: `Retry-After`, else `X-RateLimit-Period` (both seconds), else 15 minutes."""
    for name in ("Retry-After", "X-RateLimit-Period"):
        seconds = whole_number(headers.get(name, "").strip())
        if seconds and seconds > 0:
            return min(seconds, MAX_THROTTLE_SECONDS)
    return THROTTLE_SECONDS


def errors(document: Any) -> Iterator[Problem]:
    """Yield each error in an answer, wherever Commvault puts it; a code of 0 or "0" is a success."""
    for entry in _entries(document, DEEPEST):
        if code := whole_number(entry.get("errorCode")):
            yield Problem(str(code), _said(entry) or NO_TEXT, LATER)


def _entries(document: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects in which an error can stand, from the outermost on."""
    match document:
        case _ if depth == 0:
            return
        case list():
            for one in document:
                yield from _entries(one, depth - 1)
        case dict():
            yield document
            for name in ("response", "error", "errors", "errList", "errorList"):
                yield from _entries(document.get(name), depth - 1)


def _said(entry: dict[str, Any]) -> str:
    texts = (entry.get(name) for name in ("errorMessage", "errorString", "errLogMessage"))
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")


def _hint(status: int) -> str:
    match status:
        case 403:
            return "Give the token's user the right to back up these subclients, then redrive the dead letter."
        case 404:
            return "Check CommvaultApiUrl: it ends in /commandcenter/api, or is the SaaS API host alone. Then redrive."
        case _:
            return "Check the target's values and that this Commvault release supports them, then redrive."


def document_of(answer: Answer) -> Any:
    """Return an answer's JSON, or None where it has none."""
    try:
        return json.loads(answer.body) if answer.body else None
    except (ValueError, RecursionError):
        return None


def _xml_error(body: bytes | None) -> Problem | None:
    """Older releases answer `<TMMsg_GenericResp errorCode="…" errorMessage="…"/>`, whatever was asked for."""
    content = _unmarked(body)
    if not content.startswith(b"<"):
        return None
    text = content.decode("utf-8", "replace")
    codes = map(whole_number, re.findall(r'\berrorCode="([^"]*)"', text))
    message = re.search(r'\b(?:errorMessage|errorString|errLogMessage)="([^"]+)"', text)
    return next((Problem(str(code), message[1] if message else NO_TEXT, LATER) for code in codes if code), None)


def _unmarked(body: bytes | None) -> bytes:
    """Return a text without the byte order mark and the blanks before it."""
    return (body or b"").removeprefix(codecs.BOM_UTF8).lstrip()


def _job_ids(document: Any) -> tuple[str, ...] | None:
    """Return the real job ids, in order and once each, or None where there may be some in a form that nobody knows."""
    listed = document.get("jobIds") if isinstance(document, dict) else None
    numbers = [whole_number(one) for one in listed] if isinstance(listed, list) else [] if listed is None else [None]
    real = tuple(dict.fromkeys(str(number) for number in numbers if number and number > 0))
    return real if real or None not in numbers else None


def _task_id(document: Any) -> int | None:
    return whole_number(document.get("taskId")) if isinstance(document, dict) else None


def _text(document: Any) -> str:
    """Return what an answer without an error code says."""
    said = (
        document.strip()
        if isinstance(document, str)
        else next(filter(None, map(_said, _entries(document, DEEPEST))), "")
    )
    return said[:500]


def whole_number(value: Any) -> int | None:
    """Return an int, or a text of as many digits as Commvault's numbers have, as an int; a boolean is none."""
    match value:
        case bool():
            return None
        case int():
            return value
        case str() if re.fullmatch(r"-?[0-9]{1,20}", value):
            return int(value)
        case _:
            return None
