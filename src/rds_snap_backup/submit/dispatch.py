"""From an event to submissions: one is submitted here and now, several go to the Submissions queue, one message each."""

from typing import Any

from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.submit.deliveries import Delivery
from rds_snap_backup.submit.runs import Deferred, Published, Run
from rds_snap_backup.submit.workflow import submit
from rds_snap_backup.triggers import Check, Ignored, Request, parse


def handle(services: Services, event: Any, delivery: Delivery) -> dict[str, Any]:
    """Turn one event into submissions, one per target; more than one go to the Submissions queue."""
    try:
        request = parse(event, delivery.id)
    except InvalidInput as refused:
        services.queues.refuse(event, delivery.id, refused.problem.to_json())
        return refuse(services, refused.problem)
    match request:
        case Check():
            from rds_snap_backup.audit.preflight import check  # A rare path, and the costliest to import.

            return check(services, delivery.seconds_left)
        case Ignored(reason):
            return ignore(services, reason)
    match services.targets.select(request):
        case ():
            return ignore(services, f"No target's databases match {request.trigger.source_arn or 'anything'}.")
        case (name,):
            return submit_one(services, request, name, delivery)
        case names:
            services.queues.fan_out(request.trigger, names)
            logger.info("The trigger was fanned out", trigger=request.trigger.id, targets=len(names))
            return {"submissions": [{"status": "queued", "target": name} for name in names]}


def submit_one(services: Services, request: Request, name: str, delivery: Delivery) -> dict[str, Any]:
    """Submit a trigger for one target, and see to it that what can not be done now is done later."""
    run = Run(services, delivery.seconds_left, delivery.tries)
    logger.append_keys(target=name, trigger=request.trigger.id)
    try:
        end = submit(run, request, name)
    except InvalidInput as refused:
        error = refused.problem.to_json()
        services.queues.dead_letter(request.trigger, name, request.attempt or 0, error)
        return refuse(services, refused.problem)
    except AWS_FAILURES as failure:
        if delivery.is_queued:
            raise
        logger.exception("An AWS call failed; the submission goes to the queue")
        end = run.later(Problem("AWS_FAILURE", str(failure), "It is tried again by itself."))
    match end:
        case Published(notification):
            return {"submissions": [notification]}
        case Deferred(seconds, problem):
            error = problem.to_json()
            logger.warning("Deferred", seconds=seconds, error=error)
            delivery.redeliver(request, name, seconds)
            return {"submissions": [{"status": "deferred", "target": name, "error": error}]}
        case Ignored(reason):
            return ignore(services, reason)


def ignore(services: Services, reason: str) -> dict[str, Any]:
    """Answer an event that must not start a backup."""
    logger.info("Ignored", reason=reason)
    count("EventIgnored", services.config.service)
    return {"submissions": [], "ignored": reason}


def refuse(services: Services, problem: Problem) -> dict[str, Any]:
    """Answer an event that is in the dead-letter queue, since it can not be understood."""
    logger.error("InvalidInput", error=problem.to_json())
    count("EventRefused", services.config.service)
    return {"submissions": [], "refused": problem.to_json()}
