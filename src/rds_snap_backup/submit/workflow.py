"""The submission: taken up in the ledger, sent to Commvault once, its outcome recorded and then published.

What cannot be done now is deferred to the Submissions queue, which is the only retry mechanism.
"""

from rds_snap_backup.bootstrap import Services
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
from rds_snap_backup.ledger.outbox import IN_PROGRESS
from rds_snap_backup.ledger.steps import (
    Claimed,
    Complete,
    Done,
    Exhausted,
    Join,
    Lease,
    LostLease,
    Pin,
    Publish,
    Reconcile,
    Send,
    Step,
    Submission,
    Wait,
)
from rds_snap_backup.messaging import notifications
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.submit.deliveries import DirectDelivery
from rds_snap_backup.submit.reports import only_reports
from rds_snap_backup.submit.runs import TAKEN, Deferred, End, LetterReturned, Published, Reported, Run
from rds_snap_backup.triggers import Ignored, Request

CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs of this submission in a row were cut off before they ended; a request may have been accepted.",
    "Look for timeouts or lack of memory in the Submit function's log, and for a job in Commvault; then redrive.",
)
EXPIRED = Problem(
    "SUBMISSION_EXPIRED",
    "The ledger does not know the dead letter's submission any more: its item has expired.",
    "Start the target by hand if a backup is still needed, and delete the dead letter.",
)


def submit(run: Run, request: Request, name: str) -> End:
    """Submit a trigger for one target, or resume it from where an earlier run left it.

    The ledger comes before the target's document: what it knows is driven by what was sent, whatever has become of the
    document. A new submission needs no question of its own: it is recorded where the ledger knows nothing of it.
    """
    ledger, submission = run.services.ledger, Submission(request.trigger, name)
    document = read_document(run.services, request, name)
    pin = document if isinstance(document, Pin) else None
    try:
        if pin is None or request.attempt is not None or only_reports(request, run.delivery):
            entry = ledger.look_up(submission)
            match entry, document:
                case None, _ if request.attempt is not None:
                    return LetterReturned(EXPIRED)
                case None, Ignored() as ignored:
                    return ignored
                case None, Problem() as problem:
                    send_safety_net(run, request, name)
                    return reject(run, submission, problem)
                case None, _:
                    pass
                case _ if entry and only_reports(request, run.delivery):
                    return Reported(entry)
                case _ if entry and pin is None and entry.is_reopened_by(request.attempt):
                    return LetterReturned(document if isinstance(document, Problem) else _disabled(name))
        send_safety_net(run, request, name)
        run.services.commvault.prepare(run.deadline)
        step = ledger.begin(submission, run.owner, pin, request.attempt, is_queued=run.delivery.is_queued)
        return resume(run, step, pin)
    except LostLease:
        return run.wait(IN_PROGRESS)


def send_safety_net(run: Run, request: Request, name: str) -> None:
    """Ensure that what is recorded of a manual call is published, although nothing redelivers a call that is killed."""
    if request.trigger.kind == "manual" and isinstance(run.delivery, DirectDelivery):
        run.delivery.send_safety_net(request.trigger, name)


def read_document(services: Services, request: Request, name: str) -> Pin | Ignored | Problem:
    """Return what the target's document asks for, or why it is not usable; a redrive reads it past the cache."""
    try:
        target = services.targets.load(name, past_cache=request.attempt is not None)
    except InvalidInput as invalid:
        return invalid.problem
    if reason := target.declines(request.trigger):
        return Ignored(reason)
    minutes = services.config.cool_down_minutes if target.cool_down_minutes is None else target.cool_down_minutes
    return Pin(target.request, minutes * 60)


def reject(run: Run, submission: Submission, problem: Problem) -> End:
    """Record and publish that a trigger's target is unknown or not valid."""
    notification = notifications.build(
        "rejected", submission.target, None, submission.trigger, now=run.services.clock(), problem=problem
    )
    return resume(run, run.services.ledger.reject(submission, run.owner, notification), None)


def resume(run: Run, step: Step, document: Pin | None) -> Published | Deferred:
    """Do what the ledger says may be done."""
    match step:
        case Done(notification):
            return Published(notification)
        case Publish(notification, Lease() as lease):
            return run.publish(lease, notification)
        case Wait(until, problem, None):
            return run.wait(problem, not_after=until)
        case Wait(until, problem, Lease() as lease):
            return run.defer(lease, problem, not_before=until)
        case Join(lease, job_ids, problem):
            return run.close(lease, "joined", job_ids=job_ids, problem=problem, starts_cool_down=False)
        case Exhausted(lease):
            return run.close(lease, "abandoned", problem=CUT_OFF)
        case Complete(lease):
            return run.close(lease, "submitted")
        case Send(lease):
            return send(run, lease)
        case Reconcile(lease):
            from rds_snap_backup.submit.reconcile import reconcile

            match reconcile(run, lease):
                case Lease() as free:
                    again = run.services.ledger.send_again(free, document, is_queued=run.delivery.is_queued)
                    return resume(run, again, document)
                case end:
                    return end
        case _:
            raise AssertionError(step)


def send(run: Run, lease: Lease) -> Published | Deferred:
    """Send the request, once, and give its outcome the consequence that the outcome has."""
    request = lease.request
    outcome = run.services.commvault.create_task(request, run.deadline)
    logger.info("Commvault answered", outcome=type(outcome).__name__, attempt=lease.attempt)
    match outcome:
        case Submitted(job_ids, task_id, problem):
            return record_jobs(run, lease, job_ids, task_id, problem)
        case Scheduled(task_id):
            return run.close(lease, "scheduled", task_id=task_id)
        case AlreadyRunning(problem):
            from rds_snap_backup.submit.reconcile import join_running

            return join_running(run, lease, problem)
        case Rejected(problem):
            return run.close(lease, "rejected", problem=problem)
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return run.defer(lease, problem)
        case Throttled(problem, seconds):
            return run.defer(lease, problem, throttle_seconds=seconds)
        case Unknown() if request.task_type == "SCHEDULE":
            from rds_snap_backup.submit.reconcile import abandon_schedule

            return abandon_schedule(run, lease)
        case Unknown(problem):
            return run.leave_unknown(lease, problem, attempt_ended=True)


def record_jobs(
    run: Run, lease: Lease, job_ids: tuple[str, ...], task_id: int | None, problem: Problem | None
) -> Published | Deferred:
    """Record the jobs that Commvault named; where they are too few and it does not say why, look for the others."""
    lease = lease.without(job_ids)  # An ID that is counted again is not the one of an earlier job any more.
    is_short = problem is None and len(job_ids) < len(lease.missing)
    if is_short:
        from rds_snap_backup.submit.reconcile import without_job

        problem = without_job(lease.missing)
    notification = run.notification(lease, "submitted", job_ids, task_id, problem)
    try:
        run.services.ledger.close(lease, "submitted", notification, job_ids)
    except Claimed:
        # Another submission adopted our job: then its own, if there is one, is free for us.
        return run.leave_unknown(lease, TAKEN, attempt_ended=True)
    if is_short:
        from rds_snap_backup.submit.reconcile import find_rest

        notification = find_rest(run, lease, notification, job_ids)
    return run.publish(lease, notification)


def _disabled(name: str) -> Problem:
    return Problem(
        "TARGET_DISABLED",
        f"The target {name!r} is disabled, or does not accept this event.",
        "Enable it in its document, then redrive the dead letter.",
    )
