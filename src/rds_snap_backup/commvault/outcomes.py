"""What a response to CreateTask means: every response, and every failure to get one, is exactly one outcome.

Pure: no request is made here. A response that cannot be read is `Unknown`, never a success.
"""

from typing import Any

from rds_snap_backup.commvault.answers import MAX_BODY, HttpResponse, job_id, throttle_seconds
from rds_snap_backup.commvault.hints import CHECK_JOBS, NEW_TOKEN, PERSISTS
from rds_snap_backup.core.outcomes import (
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
)
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import whole_number

PERMANENT = {
    "4": "Check the target's client, instance and subclient names against Commvault, then redrive the dead letter.",
    "587204050": "The request named no association that Commvault knows: check the target's names, then redrive.",
    "587207178": "No subclient of these names can be backed up: check that it exists, has content and its backups are "
    "enabled, then redrive.",
}
# A target has 90 associations at most, and each of them one job.
MAX_JOBS = 1000
PARTIAL = "Check Commvault's job controller: does every subclient of the request have a job?"
RUNNING = "Check Commvault's job controller for the job that runs, and for a schedule of Commvault's own."
REDIRECTED = "Set CommvaultApiUrl to the address that answers itself: redirects are never followed with the token."
NO_JOBS = "Check that the target's subclients exist and their backups are enabled, then redrive."


def classify(response: HttpResponse, task_type: str) -> Outcome:
    """Return what a response to CreateTask means. The first case that matches wins."""
    error = response.error
    jobs, task_id = _jobs(response.document), _task_id(response.document)
    http = Problem(f"HTTP_{response.status}", response.text or f"Commvault answered HTTP {response.status}.", PERSISTS)
    problem = error or http

    match response.status, error and error.code:
        case _ if jobs and response.is_success and len(jobs) <= MAX_JOBS:
            return Submitted(jobs, task_id, error and Problem(error.code, error.message, PARTIAL))
        case _ if jobs:
            return Unknown(Problem(problem.code, problem.message, CHECK_JOBS))
        case _ if response.is_maintenance:
            return Unavailable(Problem("MAINTENANCE", "Commvault shows its maintenance page.", PERSISTS))
        case 429, _:
            message = f"Commvault's rate limit is reached. {response.text}".strip()
            return Throttled(Problem(http.code, message, PERSISTS), throttle_seconds(response.headers))
        case _ if response.refuses_token:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case _, str(code) if code in PERMANENT:
            return Rejected(Problem(code, problem.message, PERMANENT[code]), blames_names=True)
        case (409, _) | (_, "2"):
            return AlreadyRunning(Problem(problem.code, problem.message, RUNNING))
        case _, str():
            return Failed(problem)
        case status, _ if status == 408 or status >= 500:
            return Unknown(Problem(http.code, http.message, CHECK_JOBS))
        case status, _ if 300 <= status < 400:
            return Rejected(Problem(http.code, f"Commvault redirects (HTTP {status}).", REDIRECTED))
        case status, _ if status >= 400:
            return Rejected(Problem(http.code, http.message, _hint(status)))
        case _ if response.is_success and task_id is not None and jobs is not None:
            if task_type == "SCHEDULE" and task_id > 0:
                return Scheduled(task_id)
            if task_type != "SCHEDULE":
                message = f"Commvault created task {task_id} without a job: nothing was started."
                return Rejected(Problem("NO_JOBS", message, NO_JOBS), blames_names=True)
    flaw = "cannot be read" if response.body is not None else f"is longer than {MAX_BODY >> 20} MiB"
    message = f"Commvault's answer (HTTP {response.status}) {flaw}."
    return Unknown(Problem("UNREADABLE_ANSWER", message, CHECK_JOBS))


def _hint(status: int) -> str:
    match status:
        case 403:
            return "Give the token's user the right to back up these subclients, then redrive the dead letter."
        case 404:
            return "Check CommvaultApiUrl: it ends in /commandcenter/api, or is the SaaS API host. Then redrive."
        case _:
            return "Check the target's values and that this Commvault release supports them, then redrive."


def _jobs(document: Any) -> tuple[str, ...] | None:
    """Return the real job IDs, in order and once each; None if there are none, and some in an unknown form."""
    listed = document.get("jobIds", []) if isinstance(document, dict) else []
    if not isinstance(listed, list):
        return () if listed is None else None
    real = tuple(dict.fromkeys(filter(None, map(job_id, listed))))
    return real if real or all(whole_number(member) is not None for member in listed) else None


def _task_id(document: Any) -> int | None:
    return whole_number(document.get("taskId")) if isinstance(document, dict) else None
