"""What a response to CreateTask means: every response, and every failure to get one, is exactly one outcome.

Pure: no request is made here. A response that cannot be read is `Unknown`, never a success.
"""

from dataclasses import dataclass
from typing import Any

from rds_snap_backup.commvault.answers import (
    LOGIN_REFUSED,
    HttpResponse,
    document_of,
    errors,
    is_maintenance,
    text_of,
    throttle_seconds,
    xml_error,
)
from rds_snap_backup.commvault.connection import MAX_BODY
from rds_snap_backup.commvault.hints import CHECK_JOBS, NEW_TOKEN, RETRIED
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import whole_number

PERMANENT = {
    "4": "Check the target's client, instance and subclient names against Commvault, then redrive the dead letter.",
    "587204050": "The request named no association that Commvault knows: check the target's names, then redrive.",
    "587207178": "No subclient of these names can be backed up: check that it exists, has content and its backups are "
    "enabled, then redrive.",
}
# A target has some hundred associations at most, and each of them one job.
MAX_JOBS = 1000
PARTIAL = "Check Commvault's job controller: do all subclients of the target have a job? Nothing is retried."


@dataclass(frozen=True)
class Submitted:
    """Commvault started these jobs; `problem` is the error beside them."""

    job_ids: tuple[str, ...]
    task_id: int | None
    problem: Problem | None = None


@dataclass(frozen=True)
class Scheduled:
    """Commvault created a task that starts its jobs later."""

    task_id: int


@dataclass(frozen=True)
class AlreadyRunning:
    """A job of the same subclient is running."""

    problem: Problem


@dataclass(frozen=True)
class Rejected:
    """Nothing was started, and the same request will never be accepted."""

    problem: Problem


@dataclass(frozen=True)
class Failed:
    """Nothing was started, for a reason that may pass."""

    problem: Problem


@dataclass(frozen=True)
class Unauthorized:
    """The token was refused, or there is none."""

    problem: Problem


@dataclass(frozen=True)
class Throttled:
    """Too many requests: send nothing for this many seconds."""

    problem: Problem
    seconds: int


@dataclass(frozen=True)
class Unavailable:
    """The request certainly never reached Commvault's application."""

    problem: Problem


@dataclass(frozen=True)
class Unknown:
    """The request may have been accepted: only Commvault's list of jobs shows it."""

    problem: Problem


type Outcome = (
    Submitted | Scheduled | AlreadyRunning | Rejected | Failed | Unauthorized | Throttled | Unavailable | Unknown
)


def classify(response: HttpResponse, task_type: str) -> Outcome:
    """Return what a response to CreateTask means. The first case that fits wins."""
    document = document_of(response)
    error = next(errors(document), None) or xml_error(response)
    job_ids, task_id = _job_ids(document), _task_id(document)
    text = text_of(document)
    http = Problem(f"HTTP_{response.status}", text or f"Commvault answered HTTP {response.status}.", RETRIED)
    problem = error or http

    match response.status, error and error.code:
        case _ if is_maintenance(response):
            return Unavailable(Problem("MAINTENANCE", "Commvault shows its maintenance page.", RETRIED))
        case status, _ if 200 <= status < 300 and job_ids:
            return Submitted(job_ids, task_id, error and Problem(error.code, error.message, PARTIAL))
        case status, _ if 300 <= status < 400:
            hint = (
                "Set CommvaultApiUrl to the address that answers itself: redirects are never followed with the token."
            )
            return Rejected(Problem(http.code, f"Commvault redirects (HTTP {status}).", hint))
        case 429, _:
            message = f"Commvault's rate limit is reached. {text}".strip()
            return Throttled(Problem(http.code, message, RETRIED), throttle_seconds(response.headers))
        case 401, _:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case _, code if code in LOGIN_REFUSED:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case (409, _) | (_, "2"):
            hint = "The running job is joined, or the request is retried when that job has ended."
            return AlreadyRunning(Problem(problem.code, problem.message, hint))
        case _, str(code) if code in PERMANENT:
            return Rejected(Problem(code, problem.message, PERMANENT[code]))
        case _, str():
            return Failed(problem)
        case status, _ if status == 408 or status >= 500:
            return Unknown(Problem(http.code, http.message, CHECK_JOBS))
        case status, _ if status >= 400:
            return Rejected(Problem(http.code, http.message, _hint(status)))
        case status, _ if 200 <= status < 300 and task_id is not None and job_ids is not None:
            if task_type == "SCHEDULE" and task_id > 0:
                return Scheduled(task_id)
            if task_type != "SCHEDULE":
                message = f"Commvault created task {task_id} without a job: nothing was started."
                hint = "Check that the target's subclients exist and their backups are enabled, then redrive."
                return Rejected(Problem("NO_JOBS", message, hint))
    flaw = "cannot be read" if response.body is not None else f"is longer than {MAX_BODY >> 20} MiB"
    message = f"Commvault's answer (HTTP {response.status}) {flaw}."
    return Unknown(Problem("UNREADABLE_ANSWER", message, CHECK_JOBS))


def _hint(status: int) -> str:
    match status:
        case 403:
            return "Give the token's user the right to back up these subclients, then redrive the dead letter."
        case 404:
            return "Check CommvaultApiUrl: it ends in /commandcenter/api, or is the SaaS API host alone. Then redrive."
        case _:
            return "Check the target's values and that this Commvault release supports them, then redrive."


def _job_ids(document: Any) -> tuple[str, ...] | None:
    """Return the real job IDs, in order and once each, or None where there may be some in an unknown form, or too many."""
    listed = document.get("jobIds") if isinstance(document, dict) else None
    if isinstance(listed, list) and len(listed) > MAX_JOBS:
        return None
    numbers = [whole_number(one) for one in listed] if isinstance(listed, list) else [] if listed is None else [None]
    real = tuple(dict.fromkeys(str(number) for number in numbers if number and number > 0))
    return real if real or None not in numbers else None


def _task_id(document: Any) -> int | None:
    return whole_number(document.get("taskId")) if isinstance(document, dict) else None
