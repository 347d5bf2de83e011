"""Asking Commvault what became of a request: which of its jobs are ours. A rare path.

A job is adopted when it can have been started by the last attempt and no other submission has claimed it; two
submissions that look at the same moment are told apart by those claims.
"""

from dataclasses import replace

from rds_snap_backup.commvault import jobs
from rds_snap_backup.commvault.hints import CHECK_JOBS
from rds_snap_backup.commvault.jobs import JobList
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.ledger.steps import Claimed, Lease
from rds_snap_backup.problems import Problem
from rds_snap_backup.submit.runs import Deferred, Published, Run, missing, request_for
from rds_snap_backup.targets import Target

# A look-back somewhat longer than it must be costs nothing but a few rows.
LOOK_BACK_MARGIN_SECONDS = 120

NO_JOB_YET = Problem(
    "OUTCOME_UNKNOWN", "A request may have been accepted, and Commvault shows no job of it so far.", CHECK_JOBS
)
TOO_LONG = Problem("JOB_LIST_TOO_LONG", "Commvault's list of jobs is longer than could be read in time.", CHECK_JOBS)


def reconcile(run: Run, lease: Lease, target: Target) -> Published | Deferred | Lease:
    """Adopt the jobs of an attempt that may have been accepted.

    Returns the lease when it is to be believed that the rest was not accepted, and may be sent again.
    """
    if target.task_type == "SCHEDULE":
        return abandon_schedule(run, lease, target)
    # What the list does not show, it did not show when it was asked for: its answer may take a while.
    asked_at = run.services.clock()
    match _ask(run, target, since=lease.attempted_at):
        case JobList() as listed:
            pass
        case problem:
            return run.leave_unknown(lease, target, problem)
    others: set[str] = set()
    while True:
        excluded = {*others, *lease.found.values()}
        found = jobs.adoptable(
            request_for(lease, target),
            missing(lease, target),
            listed.rows,
            clock_ahead=listed.clock_ahead,
            attempted_at=lease.attempted_at,
            attempt_ended_at=lease.attempt_ended_at,
            reconcile_seconds=run.services.config.reconcile_seconds,
            excluded=excluded,
        )
        found_ids = {association.key: job.id for association, job in found.items()}
        try:
            if len(found) == len(missing(lease, target)):
                job_ids = list(found_ids.values())
                return run.close(lease, target, "submitted", job_ids=job_ids, claims=job_ids, reconciled=True)
            if found:
                lease = run.services.ledger.adopt(lease, found_ids)
        except Claimed as claimed:
            others |= claimed.job_ids
        else:
            break
    if listed.next:
        return run.leave_unknown(lease, target, TOO_LONG)
    believed_at = lease.attempt_ended_at + run.services.config.reconcile_seconds
    if asked_at < believed_at:
        return run.leave_unknown(lease, target, NO_JOB_YET, not_after=believed_at)
    return lease


def join_running(run: Run, lease: Lease, target: Target, problem: Problem) -> Published | Deferred:
    """Join the running jobs that stood in the way of a request."""
    rest = missing(lease, target)
    match _ask(run, target, since=run.services.clock()):
        case JobList() as listed:
            running = jobs.running(rest, listed.rows)
        case _:
            running = {}
    if len(running) == len(rest):
        return run.close(lease, target, "joined", job_ids=[job.id for job in running.values()])
    if len(rest) == 1:
        return run.defer(lease, target, problem)
    # Of several subclients some may have been started: only the list of jobs will tell.
    return run.leave_unknown(lease, target, problem, attempt_ended=True)


def abandon_schedule(run: Run, lease: Lease, target: Target) -> Published:
    """Give up a SCHEDULE request that may have been accepted: there is no job to find, so it is never sent again."""
    problem = Problem(
        "OUTCOME_UNKNOWN",
        "The request to schedule a backup may have been accepted, and there is no job to tell by.",
        "Look in Commvault whether the schedule exists. If it does not, start the target by hand.",
    )
    return run.close(replace(lease, is_uncertain=True), target, "abandoned", problem=problem)


def _ask(run: Run, target: Target, since: float) -> JobList | Problem:
    look_back = run.services.clock() - since + LOOK_BACK_MARGIN_SECONDS
    clients = {one.client_name for one in target.associations}
    match jobs.list_jobs(run.services.commvault, clients, look_back, run.deadline):
        case JobList() as listed:
            return listed
        case Unauthorized(problem):
            return problem
        case cannot_ask:
            return cannot_ask.problem
