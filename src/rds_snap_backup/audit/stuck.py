"""Submissions that are stuck: nothing holds them, and nothing has resumed them for an hour. A scheduled audit wakes them."""

from collections.abc import Iterable
from dataclasses import dataclass

from rds_snap_backup.audit.asking import Asking
from rds_snap_backup.audit.findings import Finding, Unasked
from rds_snap_backup.ledger.states import CLOSED
from rds_snap_backup.ledger.stuck import OpenSubmissions, Overdue
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.messaging.queues import Queues
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem

STUCK = "SUBMISSION_STUCK"
STUCK_SECONDS = 3600
WOKEN = "It was put back on the Submissions queue. If the next audit names it again, do what its hint says then."
TO_BE_WOKEN = "The next scheduled audit puts it back on the Submissions queue, once."
WOKEN_IN_VAIN = (
    "An earlier audit put it back on the Submissions queue, in vain. Check that the queue's event source mapping is "
    "enabled, and look in the Submit function's log; then start the target by hand if the backup is still needed."
)


@dataclass(frozen=True)
class Woken:
    """The findings about what is stuck, and what kept from waking some of it."""

    findings: list[Finding]
    unasked: list[Unasked]


def wake(
    queues: Queues,
    open_submissions: OpenSubmissions,
    asking: Asking,
    overdue: Iterable[Overdue],
    *,
    is_scheduled: bool,
) -> Woken:
    """Name what is stuck; a scheduled audit also puts each back on the queue, in the form that the functions use there."""
    found: list[Finding] = []
    problems: list[Problem] = []
    for one in overdue:
        hint = WOKEN_IN_VAIN if one.is_woken else TO_BE_WOKEN
        if is_scheduled and not one.is_woken:
            match asking.one(lambda one=one: _wake(queues, open_submissions, one)):  # type: ignore[misc]
                case Problem() as problem:
                    problems.append(problem)
                case _:
                    hint = WOKEN
        found.append(_finding(one, hint))
    return Woken(found, [Unasked("stuck", problem) for problem in problems])


def _wake(queues: Queues, open_submissions: OpenSubmissions, overdue: Overdue) -> None:
    """Send first, then mark: where a run is killed in between it is sent twice, which does no harm, and never not at all."""
    submission = overdue.submission
    queues.enqueue(submission.trigger, submission.target, 0)
    open_submissions.mark_woken(overdue)
    logger.warning("Put back on the queue", target=submission.target, trigger=submission.trigger.id)


def _finding(overdue: Overdue, hint: str) -> Finding:
    trigger = overdue.submission.trigger
    state = f"{overdue.status}, and not published," if overdue.status in CLOSED else overdue.status
    message = (
        f"A submission is {state} and should have gone on at {iso(overdue.since)}: {trigger.kind} trigger {trigger.id}."
    )
    return Finding("stuck", STUCK, overdue.submission.target, None, message, hint, overdue.submission.key)
