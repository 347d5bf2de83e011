"""What the function returns: each submission's backups with their states, for the first call and every repeated one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.backups import Backup
from rds_snap_backup.core.phases import OPEN, SUCCEEDED, Ended, State
from rds_snap_backup.core.record import Submission
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import NAMES, Association

# A submission that was joined may have joined another one, after it was opened again.
MAX_HOPS = 5


def result_of(services: Services, submissions: Iterable[Submission], waiting: Iterable[str] = ()) -> dict[str, Any]:
    """Return what is known of submissions, and of targets whose message is on the queue."""
    submissions = list(submissions)
    match submissions, waiting:
        case [Submission(error=Problem() as problem)], ():
            return refused(problem)
    return {"submissions": [*entries(services, submissions), *queued(waiting)["submissions"]]}


def entries(services: Services, submissions: Sequence[Submission]) -> list[dict[str, Any]]:
    """Return the entry of each submission in `submissions`."""
    claimers: dict[str, Submission] = {}
    joined = _joined(submissions)
    for _ in range(MAX_HOPS):
        if not joined:
            break
        found = services.submissions.load_all(sorted(joined))
        claimers |= found
        joined = _joined(found.values()) - claimers.keys()
    return [_submission(submission, claimers) for submission in submissions]


def queued(targets: Iterable[str]) -> dict[str, Any]:
    """Return the result for targets of which nothing is known yet."""
    return {"submissions": [{"target": name, "status": "queued", "backups": []} for name in targets]}


def ignored(reason: str) -> dict[str, Any]:
    """Return the result of an event that must not start a backup."""
    return {"submissions": [], "ignored": reason}


def refused(problem: Problem) -> dict[str, Any]:
    """Return the result of an event that is not valid."""
    return {"submissions": [], "refused": problem.to_json()}


def names_in(association: Association | None) -> dict[str, str | None]:
    """Return the names of an association; None in the place of each where there is none."""
    names = association.names if association else (None, None, None)
    return dict(zip(NAMES, names, strict=True))


def _submission(submission: Submission, claimers: Mapping[str, Submission]) -> dict[str, Any]:
    if not submission.version:
        return {"target": submission.target, "status": "queued", "backups": []}
    states = [_state(submission, backup, claimers) for backup in submission.backups]
    backups = [
        {
            **names_in(backup.association),
            "state": state,
            "jobId": backup.job.id if backup.job else None,
            "moment": iso(backup.moment),
            "error": backup.error.to_json() if backup.error else None,
        }
        for backup, state in zip(submission.backups, states, strict=True)
    ]
    return {"target": submission.target, "status": _status_of(states), "backups": backups}


def _status_of(states: Sequence[State]) -> str:
    """Return the status of a submission whose backups are in these states, joined ones in their claimers'."""
    if any(state in OPEN for state in states):
        return "open"
    return "succeeded" if states and all(state in SUCCEEDED for state in states) else "failed"


def _state(submission: Submission, backup: Backup, claimers: Mapping[str, Submission]) -> State:
    """Return a backup's state, of a joined one its claimer's: completed where that record has expired."""
    for _ in range(MAX_HOPS):
        if not (by := _claimer_of(backup)):
            break
        claimer = claimers.get(by)
        theirs = claimer.backup_of(backup.key) if claimer else None
        if claimer is None or theirs is None:
            return "completed"
        submission, backup = claimer, theirs
    return submission.state_of(backup)


def _claimer_of(backup: Backup) -> str:
    return backup.phase.by if isinstance(backup.phase, Ended) else ""


def _joined(submissions: Iterable[Submission]) -> set[str]:
    claimers = (_claimer_of(backup) for submission in submissions for backup in submission.backups)
    return {claimer for claimer in claimers if claimer}
