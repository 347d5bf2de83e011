"""The Submit function: an event in, job ids out.

A trigger becomes one submission per target. A submission is taken up in the ledger, sent to Commvault once, and its
outcome is recorded and then told. What can not be done now waits on the Submissions queue, which is the only retry.
"""

from typing import TYPE_CHECKING, Any

from rds_snap_backup.config import Config
from rds_snap_backup.deliveries import AWS_FAILURES, Delivery, direct, handle_records
from rds_snap_backup.ledger import IN_PROGRESS
from rds_snap_backup.observability import count, logger
from rds_snap_backup.outcomes import (
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
from rds_snap_backup.problems import Problem, Refused
from rds_snap_backup.runs import Later, Run, Told, missing
from rds_snap_backup.steps import (
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
from rds_snap_backup.targets import Target
from rds_snap_backup.triggers import Check, Ignored, Request, parse
from rds_snap_backup.wiring import Clients, Parts, assemble

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


PARTS = assemble(Config.from_env(), Clients.make())

CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs of this submission were cut off before they ended; a request may have been accepted.",
    "Look for timeouts or lack of memory in the Submit function's log, and for a job in Commvault; then redrive.",
)
TAKEN = Problem("JOB_TAKEN", "Another submission was credited with the job that was started.", "It sorts itself out.")


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle what fired, or what waited on the Submissions queue; the design of the answers is in the README."""
    if isinstance(event, dict) and event.get("Records"):
        return handle_records(PARTS, event, context, handle)
    return handle(PARTS, event, direct(PARTS, context))


def handle(parts: Parts, event: Any, delivery: Delivery) -> dict[str, Any]:
    """Turn one event into submissions, one per target; more than one go to the Submissions queue."""
    try:
        request = parse(event, delivery.id)
    except Refused as refused:
        parts.queues.refuse(event, delivery.id, refused.problem.to_json())
        return refuse(parts, refused.problem)
    match request:
        case Check():
            from rds_snap_backup.preflight import check  # A rare path, and the costliest to import.

            return check(parts, delivery.seconds_left)
        case Ignored(reason):
            return ignore(parts, reason)
    match parts.targets.select(request):
        case ():
            return ignore(parts, f"No target's databases match {request.trigger.source_arn or 'anything'}.")
        case (name,):
            return submit_one(parts, request, name, delivery)
        case names:
            parts.queues.fan_out(request.trigger, names)
            logger.info("The trigger was fanned out", trigger=request.trigger.id, targets=len(names))
            return {"submissions": [{"status": "queued", "target": name} for name in names]}


def submit_one(parts: Parts, request: Request, name: str, delivery: Delivery) -> dict[str, Any]:
    """Submit a trigger for one target, and see to it that what can not be done now is done later."""
    run = Run(parts, delivery.seconds_left, delivery.tries)
    logger.append_keys(target=name, trigger=request.trigger.id)
    try:
        end = submit(run, request, name)
    except Refused as refused:
        error = refused.problem.to_json()
        parts.queues.dead_letter(request.trigger, name, request.attempt or 0, error)
        return refuse(parts, refused.problem)
    except AWS_FAILURES as failure:
        if delivery.is_queued:
            raise
        logger.exception("An AWS call failed; the submission goes to the queue")
        end = run.later(Problem("AWS_FAILURE", str(failure), "It is tried again by itself."))
    match end:
        case Told(notification):
            return {"submissions": [notification]}
        case Later(seconds, problem):
            error = problem.to_json()
            logger.warning("Deferred", seconds=seconds, error=error)
            delivery.come_back(request, name, seconds)
            return {"submissions": [{"status": "deferred", "target": name, "error": error}]}
        case Ignored(reason):
            return ignore(parts, reason)


def submit(run: Run, request: Request, name: str) -> Told | Later | Ignored:
    """Submit a trigger for one target, or go on with it from where an earlier run was. Raises `Refused`."""
    parts = run.parts
    target = parts.targets.load(name)
    if not target.accepts(request.trigger):
        return Ignored(f"The target {name!r} does not list {request.trigger.rds_event_id} in its rdsEventIds.")
    minutes = parts.config.cool_down_minutes if target.cool_down_minutes is None else target.cool_down_minutes
    submission = Submission(request.trigger, name, minutes * 60)
    try:
        return go_on(run, target, parts.ledger.begin(submission, run.owner, request.attempt))
    except LostLease:
        return run.later(IN_PROGRESS)


def go_on(run: Run, target: Target, step: Step) -> Told | Later:
    """Do what the ledger says may be done."""
    match step:
        case Done(notification):
            return Told(notification)
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
            from rds_snap_backup.reconcile import reconcile

            match reconcile(run, lease, target):
                case Lease() as free:
                    return go_on(run, target, run.parts.ledger.send_again(free))
                case end:
                    return end


def send(run: Run, target: Target, lease: Lease) -> Told | Later:
    """Send the request, once, and give its outcome the consequence that the outcome has."""
    parts, rest = run.parts, missing(lease, target)
    outcome = parts.credentials.authorized(
        lambda token: parts.commvault.create_task(target, rest, token, run.seconds_to_ask)
    )
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
            from rds_snap_backup.reconcile import join_running

            return join_running(run, lease, target, problem)
        case Rejected(problem):
            return run.close(lease, target, "rejected", problem=problem)
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return run.defer(lease, target, problem)
        case Throttled(problem, seconds):
            return run.defer(lease, target, problem, throttle_seconds=seconds)
        case Unknown() if target.task_type == "SCHEDULE":
            from rds_snap_backup.reconcile import abandon_schedule

            return abandon_schedule(run, lease, target)
        case Unknown(problem):
            return run.leave_unknown(lease, target, problem, attempt_ended=True)


def ignore(parts: Parts, reason: str) -> dict[str, Any]:
    """Answer an event that must not start a backup."""
    logger.info("Ignored", reason=reason)
    count("EventIgnored", parts.config.service)
    return {"submissions": [], "ignored": reason}


def refuse(parts: Parts, problem: Problem) -> dict[str, Any]:
    """Answer an event that is in the dead-letter queue, since it can not be understood."""
    logger.error("Refused", error=problem.to_json())
    count("EventRefused", parts.config.service)
    return {"submissions": [], "refused": problem.to_json()}
