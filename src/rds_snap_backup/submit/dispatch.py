"""From an event to submissions: one is submitted here and now, several go to the Submissions queue, one message each."""

from typing import Any

from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.ledger.steps import Submission
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.submit.deliveries import Delivery
from rds_snap_backup.submit.reports import only_reports, report, report_all
from rds_snap_backup.submit.runs import Deferred, End, LetterReturned, Published, Reported, Run
from rds_snap_backup.submit.workflow import submit
from rds_snap_backup.targets import INVALID
from rds_snap_backup.triggers import ALL, Check, Ignored, Request, parse
from rds_snap_backup.untrusted import clean_text


def handle(services: Services, event: Any, delivery: Delivery) -> dict[str, Any]:
    """Turn one event into submissions, one per target; more than one go to the Submissions queue."""
    try:
        request = parse(event, delivery.arrival)
    except InvalidInput as invalid:
        services.queues.refuse(event, delivery.arrival.id, invalid.problem.to_json())
        return refuse(services, invalid.problem)
    match request:
        case Check(target):
            from rds_snap_backup.audit.preflight import check  # A rare path, and the costliest to import.

            return check(services, delivery.seconds_left, target)
        case Ignored(reason):
            return ignore(services, reason)
        case Request(account=str(account)) if account not in services.config.account_ids:
            return ignore(services, f"Events of the account {account!r} do not count: AccountIds does not list it.")
    match select(services, request):
        case ():
            return ignore(
                services, f"No target's databases match {clean_text(request.trigger.source_arn or 'anything')}."
            )
        case (name,):
            return submit_one(services, request, name, delivery)
        case names:
            if ALL in request.names and only_reports(request, delivery):
                known = services.ledger.look_up_all(Submission(request.trigger, name) for name in names)
                if known:
                    # The first call may have failed before it had sent all of them.
                    services.queues.fan_out(request.trigger, [name for name in names if name not in known])
                    return {"submissions": report_all(services, request.trigger, names, known)}
            services.queues.fan_out(request.trigger, names)
            logger.info("Fanned out", trigger=request.trigger.id, targets=len(names))
            return {"submissions": [{"status": "queued", "target": name} for name in names]}


def select(services: Services, request: Request) -> tuple[str, ...]:
    """Return the targets that a request selects, and for an RDS event also those that it selected before.

    An earlier delivery may have left a submission open, or not published, of a target whose document has been edited or
    deleted since.
    """
    names = services.targets.select(request)
    if request.names:
        return names
    return tuple(dict.fromkeys((*names, *services.ledger.open_targets(request.trigger))))


def submit_one(services: Services, request: Request, name: str, delivery: Delivery) -> dict[str, Any]:
    """Submit a trigger for one target, and ensure that what cannot be done now is retried."""
    run = Run(services, delivery)
    logger.append_keys(target=name, trigger=request.trigger.id)
    end: End
    try:
        end = submit(run, request, name)
    except AWS_FAILURES as failure:
        if delivery.is_queued:
            raise
        logger.exception("An AWS call failed; the submission goes to the queue")
        end = run.wait(Problem("AWS_FAILURE", clean_text(str(failure)), "It is retried automatically."))
    match end:
        case Published(notification, is_marked):
            if not is_marked:
                # It may be published once more: that is the price of not losing track of it.
                delivery.redeliver(request.trigger, name, run.pause)
            return _answer(notification)
        case Reported(entry):
            return {"submissions": [report(services, request.trigger, name, entry)]}
        case Deferred(seconds, problem):
            error = problem.to_json()
            logger.warning("Deferred", seconds=seconds, error=error)
            delivery.redeliver(request.trigger, name, seconds)
            return {"submissions": [{"status": "deferred", "target": name, "error": error}]}
        case Ignored(reason):
            return ignore(services, reason)
        case LetterReturned(problem):
            services.queues.dead_letter(request.trigger, name, request.attempt or 0, problem.to_json())
            return refuse(services, problem)


def ignore(services: Services, reason: str) -> dict[str, Any]:
    """Answer an event that must not start a backup."""
    logger.info("Ignored", reason=reason)
    count("EventIgnored", services.config.service)
    return {"submissions": [], "ignored": reason}


def refuse(services: Services, problem: Problem) -> dict[str, Any]:
    """Answer an event that is in the dead-letter queue, because it is not valid."""
    logger.error("Event refused", error=problem.to_json())
    count("EventRefused", services.config.service)
    return {"submissions": [], "refused": problem.to_json()}


def _answer(notification: dict[str, Any]) -> dict[str, Any]:
    """A trigger for a target that is unknown or not valid is refused, although it is published as `rejected`, too."""
    error = notification.get("error")
    if error is not None and error["code"] in INVALID:
        return {"submissions": [], "refused": error}
    return {"submissions": [notification]}
