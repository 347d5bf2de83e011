"""Every answer to CreateTask, and every failure to get one, as exactly one outcome. Pure: no request is made here.

The forms that an answer takes, and the places an error stands in, are those of Commvault's API pages and of what its
own clients read; where those are silent, an answer that can not be read is `Unknown`, never a success.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeIs

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
LOOK_FIRST = "Look in Commvault's job controller whether a job started before you start one by hand."
# Where the answer does not say how long a rate limit lasts.
THROTTLE_SECONDS = 900
LONGEST_THROTTLE_SECONDS = 6 * 3600


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
            return Submitted(job_ids, task_id, error)
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
        case status, _ if 200 <= status < 300 and task_id is not None:
            if task_type == "SCHEDULE" and task_id > 0:
                return Scheduled(task_id)
            if task_type != "SCHEDULE":
                message = f"Commvault made task {task_id} without a job: nothing was started."
                hint = "Check that the target's subclients exist and their backups are enabled, then redrive."
                return Rejected(Problem("NO_JOBS", message, hint))
    message = f"Commvault's answer (HTTP {answer.status}) can not be read."
    return Unknown(Problem("UNREADABLE_ANSWER", message, LOOK_FIRST))


def is_maintenance(answer: Answer) -> bool:
    """Tell whether this is the HTML page that every URL answers while the web tier restarts, with any status."""
    head = (answer.body or b"")[:4096].lower()
    return b"<html" in head and b"maintenance" in head


def throttle_seconds(headers: Mapping[str, str]) -> int:
    """Return how long to send nothing: `Retry-After`, else `X-RateLimit-Period` (both seconds), else 15 minutes."""
    for name in ("Retry-After", "X-RateLimit-Period"):
        value = headers.get(name, "").strip()
        if value.isdecimal() and int(value) > 0:
            return min(int(value), LONGEST_THROTTLE_SECONDS)
    return THROTTLE_SECONDS


def errors(document: Any) -> Iterator[Problem]:
    """Yield each error in an answer, wherever Commvault puts it; a code of 0 or "0" is a success."""
    match document:
        case list():
            for one in document:
                yield from errors(one)
        case dict():
            code = document.get("errorCode")
            if _is_number(code) and int(code) != 0:
                texts = (document.get(name) for name in ("errorMessage", "errorString", "errLogMessage"))
                message = next((text for text in texts if isinstance(text, str) and text), "Commvault gave no text.")
                yield Problem(str(int(code)), message.strip(), LATER)
            for name in ("response", "error", "errors", "errList", "errorList"):
                yield from errors(document.get(name))


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
    except ValueError:
        return None


def _xml_error(body: bytes | None) -> Problem | None:
    """Older releases answer `<TMMsg_GenericResp errorCode="…" errorMessage="…"/>`, whatever was asked for."""
    if not body or not body.lstrip().startswith(b"<"):
        return None
    text = body.decode("utf-8", "replace")
    code = re.search(r'\berrorCode="(\d+)"', text)
    message = re.search(r'\b(?:errorMessage|errorString|errLogMessage)="([^"]*)"', text)
    if not code or int(code[1]) == 0:
        return None
    return Problem(str(int(code[1])), message[1] if message else "Commvault gave no text.", LATER)


def _job_ids(document: Any) -> tuple[str, ...]:
    """Return the real job ids, in order and once each: ints or digits, other than 0."""
    ids = document.get("jobIds") if isinstance(document, dict) else None
    real = (str(int(one)) for one in ids if _is_number(one) and int(one) != 0) if isinstance(ids, list) else ()
    return tuple(dict.fromkeys(real))


def _task_id(document: Any) -> int | None:
    value = document.get("taskId") if isinstance(document, dict) else None
    return int(value) if _is_number(value) else None


def _text(document: Any) -> str:
    return document.strip()[:500] if isinstance(document, str) else ""


def _is_number(value: Any) -> TypeIs[int | str]:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdecimal())
