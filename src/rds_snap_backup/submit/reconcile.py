"""Reconciling: asking Commvault what became of a request, and which of its jobs are ours. A rare path.

A job is adopted when it can have been started by the last attempt and no other submission has claimed it; two
submissions that ask at the same moment are kept apart by those claims.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rds_snap_backup.commvault import jobs
from rds_snap_backup.commvault.hints import CHECK_JOBS
from rds_snap_backup.commvault.jobs import Job, JobList, Position
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import QueryFailed
from rds_snap_backup.ledger.steps import Claimed, FoundJob, Lease, Scan
from rds_snap_backup.problems import Problem
from rds_snap_backup.submit.runs import Deferred, Published, Run
from rds_snap_backup.targets import Association

# A look-back somewhat longer than it must be costs nothing but a few rows.
LOOK_BACK_MARGIN_SECONDS = 120
MAX_NAMED = 10

NO_JOB_YET = Problem(
    "OUTCOME_UNKNOWN", "A request may have been accepted, and Commvault shows no job of it so far.", CHECK_JOBS
)
LIST_UNFINISHED = Problem(
    "JOB_LIST_LONG",
    "Commvault's list of jobs is too long for one run; the next one reads on from there.",
    "No action is needed. If it lasts, find out why Commvault lists its jobs so slowly.",
)


def reconcile(run: Run, lease: Lease) -> Published | Deferred | Lease:
    """Adopt the jobs of an attempt that may have been accepted.

    Returns the lease when it is to be believed that the rest was not accepted, and may be sent again.
    """
    if lease.pin.request.task_type == "SCHEDULE":
        return abandon_schedule(run, lease)
    for job_id in lease.claimed:
        match jobs.get_job(run.services.commvault, job_id, run.deadline):
            case Job() as job:
                own = {one.key: FoundJob(job.id, job.started) for one in lease.missing if job.is_of(one)}
                with suppress(Claimed):  # Its ID was counted again, and another submission is credited with it by now.
                    lease = run.services.ledger.adopt(lease, own)
            case Unauthorized(problem) | QueryFailed(problem):
                return run.leave_unknown(lease, problem)
    # What the list does not show, it did not show when it was asked for: its answer may take a while.
    begun_at = lease.scan.begun_at if lease.scan else run.services.clock()
    match _list_jobs(run, lease):
        case JobList() as listed:
            pass
        case problem:
            return run.leave_unknown(lease, problem)
    others: set[str] = set()
    while True:
        found = _adoptable(run, lease, listed, lease.missing, {*others, *lease.found.values()})
        try:
            if len(found) == len(lease.missing):
                claims = tuple(found.values())
                return run.close(lease, "submitted", job_ids=[job.id for job in claims], claims=claims, reconciled=True)
            if found:
                lease = run.services.ledger.adopt(lease, found)
        except Claimed as claimed:
            others |= claimed.job_ids
        else:
            break
    if listed.next:
        lease = replace(lease, scan=Scan(listed.next.to_json(), begun_at))
        soon = run.services.clock() + run.services.config.first_retry_seconds
        return run.leave_unknown(lease, LIST_UNFINISHED, not_after=soon)
    lease = replace(lease, scan=None)
    believed_at = lease.attempt_ended_at + run.services.config.reconcile_seconds
    if begun_at < believed_at:
        return run.leave_unknown(lease, NO_JOB_YET, not_after=believed_at)
    return lease


def find_rest(run: Run, lease: Lease, notification: dict[str, Any], job_ids: tuple[str, ...]) -> dict[str, Any]:
    """Look once for the jobs that an accepted request started and its answer did not name.

    Returns the submission's notification, with them, as it is recorded: `error` names the associations without a job,
    all of them where the list cannot be read. Where it does not show every job that was named, none is adopted: what
    seems to lack a job may have one of those.
    """
    match _list_jobs(run, replace(lease, attempt_ended_at=run.services.clock())):
        case JobList() as listed:
            named = [job for job in listed.rows if job.id in job_ids]
        case _:
            return notification
    ended_at = run.services.clock()
    rest = [one for one in lease.missing if not any(job.is_of(one) for job in named)]
    adopting = rest if len(named) == len(job_ids) else []
    others: set[str] = set(job_ids)
    while True:
        found = _adoptable(run, replace(lease, attempt_ended_at=ended_at), listed, adopting, others)
        problem = without_job(one for one in rest if one.key not in found)
        amended = {**notification, "jobIds": [*notification["jobIds"], *(job.id for job in found.values())]}
        amended.pop("error", None)
        if problem:
            amended["error"] = problem.to_json()
        try:
            run.services.ledger.amend(lease, notification, amended, found.values())
        except Claimed as claimed:
            others |= claimed.job_ids
        else:
            return amended


def without_job(associations: Iterable[Association]) -> Problem | None:
    """Return the problem of associations that were accepted and have no job; None where there are none."""
    names = [f"{one.client_name} / {one.instance_name} / {one.subclient_name}" for one in associations]
    if not names:
        return None
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return Problem(
        "JOBS_MISSING",
        f"Commvault accepted the request and named fewer jobs than subclients. Without a job that is known to be "
        f"theirs: {', '.join(names[:MAX_NAMED])}{more}.",
        "Look in Commvault's job controller whether these subclients have a job; they are not retried.",
    )


def join_running(run: Run, lease: Lease, problem: Problem) -> Published | Deferred:
    """Join the running jobs that stood in the way of a request."""
    rest = lease.missing
    match _list_jobs(run, replace(lease, attempted_at=run.services.clock())):
        case JobList() as listed:
            running, ahead = jobs.running(rest, listed.rows), listed.clock_ahead
        case _:
            running, ahead = {}, 0.0
    if len(running) == len(rest):
        run.services.ledger.forget_ends(FoundJob(job.id, job.started - ahead) for job in running.values())
        return run.close(lease, "joined", job_ids=[job.id for job in running.values()])
    if len(rest) == 1:
        return run.defer(lease, problem)
    # Of several subclients some may have been started: only the list of jobs will tell.
    return run.leave_unknown(lease, problem, attempt_ended=True)


def abandon_schedule(run: Run, lease: Lease) -> Published | Deferred:
    """Give up a SCHEDULE request that may have been accepted: there is no job to find, so it is never sent again."""
    problem = Problem(
        "OUTCOME_UNKNOWN",
        "The request to schedule a backup may have been accepted, and there is no job to tell by.",
        "Look in Commvault whether the schedule exists. If it does not, start the target by hand.",
    )
    return run.close(replace(lease, is_uncertain=True), "abandoned", problem=problem)


def _adoptable(
    run: Run, lease: Lease, listed: JobList, associations: Iterable[Association], excluded: set[str]
) -> dict[str, FoundJob]:
    found: dict[Association, Job] = jobs.adoptable(
        lease.pin.request,
        associations,
        listed.rows,
        listed.clock_ahead,
        lease.attempted_at,
        lease.attempt_ended_at,
        run.services.config.reconcile_seconds,
        excluded,
    )
    return {one.key: FoundJob(job.id, job.started - listed.clock_ahead) for one, job in found.items()}


def _list_jobs(run: Run, lease: Lease) -> JobList | Problem:
    """Ask for the jobs since the lease's attempt, from where an earlier run stopped reading."""
    look_back = run.services.clock() - lease.attempted_at + LOOK_BACK_MARGIN_SECONDS
    position = Position.from_json(lease.scan.position) if lease.scan else None
    clients = {one.client_name for one in lease.missing}
    match jobs.list_jobs(run.services.commvault, clients, look_back, run.deadline, position):
        case Unauthorized(problem) | QueryFailed(problem):
            return problem
        case listed:
            return listed
