"""The submission: taken up in the ledger, sent to Commvault once, its outcome recorded and then published.

What cannot be done now is deferred to the Submissions queue, which is the only retry mechanism.
"""

from rds_snap_backup.commvault.outcomes import (
    AlreadyRunning,
    Failed,
    Rejected,
    Scheduled,
    Submitted,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from rds_snap_backup.ledger.steps import (
    Claimed,
    Done,
    Exhausted,
    Join,
    Lease,
    LostLease,
    Reconcile,
    Send,
    Step,
    Submission,
    Undelivered,
    Wait,
)
from rds_snap_backup.ledger.submissions import IN_PROGRESS
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.submit.runs import Deferred, Published, Run, request_for
from rds_snap_backup.targets import Target
from rds_snap_backup.triggers import Ignored, Request

CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs of this submission were cut off before they ended; a request may have been accepted.",
    "Look for timeouts or lack of memory in the Submit function's log, and for a job in Commvault; then redrive.",
)
TAKEN = Problem("JOB_TAKEN", "Another submission was credited with the job that was started.", "It sorts itself out.")


def submit(run: Run, request: Request, name: str) -> Published | Deferred | Ignored:
    """Submit a trigger for one target, or go on with it from where an earlier run was. Raises `InvalidInput`."""
    services = run.services
    target = services.targets.load(name)
    if not target.accepts(request.trigger):
        return Ignored(f"The target {name!r} does not list {request.trigger.rds_event_id} in its rdsEventIds.")
    minutes = services.config.cool_down_minutes if target.cool_down_minutes is None else target.cool_down_minutes
    submission = Submission(request.trigger, name, minutes * 60)
    try:
        return resume(run, target, services.ledger.begin(submission, run.owner, request.attempt))
    except LostLease:
        return run.later(IN_PROGRESS)


def resume(run: Run, target: Target, step: Step) -> Published | Deferred:
    """Do what the ledger says may be done."""
    match step:
        case Done(notification):
            return Published(notification)
        case Undelivered(lease, notification):
            return run.tell(lease, notification)
        case Wait(until, problem, lease):
            if lease is None:
                return run.later(problem, not_after=until)
            return run.defer(lease, target, problem, not_before=until)
        case Join(lease, job_ids):
            return run.close(lease, target, "joined", job_ids=job_ids, starts_cool_down=False)
        case Exhausted(lease):
            return run.close(lease, target, "abandoned", problem=CUT_OFF)
        case Send(lease):
            return send(run, target, lease)
        case Reconcile(lease):
            from rds_snap_backup.submit.reconcile import reconcile

            match reconcile(run, lease, target):
                case Lease() as free:
                    return resume(run, target, run.services.ledger.send_again(free))
                case end:
                    return end


def send(run: Run, target: Target, lease: Lease) -> Published | Deferred:
    """Send the request, once, and give its outcome the consequence that the outcome has."""
    outcome = run.services.commvault.create_task(request_for(lease, target), run.deadline)
    logger.info("Commvault answered", outcome=type(outcome).__name__, attempt=lease.attempt)
    match outcome:
        case Submitted(job_ids, task_id, problem):
            try:
                return run.close(
                    lease, target, "submitted", job_ids=job_ids, task_id=task_id, problem=problem, claims=job_ids
                )
            except Claimed:
                # Another submission took our job for its own: then its own, if there is one, is free for us.
                return run.leave_unknown(lease, target, TAKEN, attempt_ended=True)
        case Scheduled(task_id):
            return run.close(lease, target, "scheduled", task_id=task_id)
        case AlreadyRunning(problem):
            from rds_snap_backup.submit.reconcile import join_running

            return join_running(run, lease, target, problem)
        case Rejected(problem):
            return run.close(lease, target, "rejected", problem=problem)
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return run.defer(lease, target, problem)
        case Throttled(problem, seconds):
            return run.defer(lease, target, problem, throttle_seconds=seconds)
        case Unknown() if target.task_type == "SCHEDULE":
            from rds_snap_backup.submit.reconcile import abandon_schedule

            return abandon_schedule(run, lease, target)
        case Unknown(problem):
            return run.leave_unknown(lease, target, problem, attempt_ended=True)
