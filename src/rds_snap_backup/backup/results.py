"""What the function returns: each submission's backups with their states, for the first call and every repeated one."""

from collections.abc import Iterable, Mapping
from typing import Any

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Backup, State, Submission
from rds_snap_backup.submission import status_of

# A submission that was joined may have joined another one, after it was opened again.
MAX_HOPS = 5


def result_of(services: Services, submissions: Iterable[Submission], waiting: Iterable[str] = ()) -> dict[str, Any]:
    """Return what is known of submissions, and of targets whose message is on the queue."""
    submissions = list(submissions)
    match submissions, waiting:
        case [Submission(error=Problem() as problem)], ():
            return refused(problem)
    claimers: dict[str, Submission] = {}
    joined = _joined(submissions)
    for _ in range(MAX_HOPS):
        if not joined:
            break
        found = services.submissions.load_all(sorted(joined))
        claimers |= found
        joined = _joined(found.values()) - claimers.keys()
    shown = [_submission(submission, claimers) for submission in submissions]
    return {"submissions": [*shown, *queued(waiting)["submissions"]]}


def queued(targets: Iterable[str]) -> dict[str, Any]:
    """Return the result for targets of which nothing is known yet."""
    return {"submissions": [{"target": name, "status": "queued", "backups": []} for name in targets]}


def ignored(reason: str) -> dict[str, Any]:
    """Return the result of an event that must not start a backup."""
    return {"submissions": [], "ignored": reason}


def refused(problem: Problem) -> dict[str, Any]:
    """Return the result of an event that is not valid."""
    return {"submissions": [], "refused": problem.to_json()}


def _submission(submission: Submission, claimers: Mapping[str, Submission]) -> dict[str, Any]:
    if not submission.version:
        return {"target": submission.target, "status": "queued", "backups": []}
    states = [_state(backup, claimers) for backup in submission.backups]
    backups = [
        {
            "clientName": backup.association.client_name,
            "instanceName": backup.association.instance_name,
            "subclientName": backup.association.subclient_name,
            "state": state,
            "jobId": backup.job.id if backup.job else None,
            "error": backup.error.to_json() if backup.error else None,
        }
        for backup, state in zip(submission.backups, states, strict=True)
    ]
    return {"target": submission.target, "status": status_of(states), "backups": backups}


def _state(backup: Backup, claimers: Mapping[str, Submission]) -> State:
    """Return a backup's state, of a joined one its claimer's: completed where that record has expired."""
    for _ in range(MAX_HOPS):
        if backup.state != "joined":
            break
        claimer = claimers.get(backup.joined)
        theirs = claimer.backup_of(backup.key) if claimer else None
        if theirs is None:
            return "completed"
        backup = theirs
    return backup.state


def _joined(submissions: Iterable[Submission]) -> set[str]:
    return {backup.joined for submission in submissions for backup in submission.backups if backup.joined}
