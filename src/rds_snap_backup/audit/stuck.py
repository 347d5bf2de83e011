"""Submissions that are stuck: they are open, and their message is lost. A scheduled audit sends it again once a day."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rds_snap_backup.audit.findings import Finding, Unasked
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.coordinator import Saved
from rds_snap_backup.core.policy import DAY, HOUR
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls

STUCK = "SUBMISSION_STUCK"
# The next day's audit may begin a little earlier.
AGAIN_SECONDS = DAY - HOUR
SENT = "Its message was sent again. If the next audit names it again, do what its hint says then."
TO_BE_SENT = "The next scheduled audit sends its message again."
SENT_IN_VAIN = (
    "An earlier audit sent its message again, in vain. Check that the Submissions queue's event source mapping is "
    "enabled, and read the Backup function's log; then start the target by hand if the backup is still needed."
)


# Open submissions, and those that cannot be read.
type Opened = tuple[Sequence[Submission], Sequence[Unreadable]]


def ask(
    services: Services, aws: Calls, opened: Opened | Problem, *, is_scheduled: bool
) -> tuple[list[Finding], list[Unasked]]:
    """Return findings and what could not be asked; a scheduled audit sends the messages of stuck submissions again."""
    if isinstance(opened, Problem):
        return [], [Unasked("stuck", opened)]
    submissions, unreadable = opened
    stuck = [submission for submission in submissions if submission.is_stuck(services.clock())]
    found = [*findings_of(stuck, is_scheduled=is_scheduled), *findings_of_unreadable(unreadable)]
    problems = send_again(services, aws, stuck) if is_scheduled else []
    return found, [Unasked("stuck", problem) for problem in problems]


def send_again(services: Services, aws: Calls, stuck: Iterable[Submission]) -> list[Problem]:
    """Send the messages of stuck submissions, unless that was done within a day; return the problems met."""
    oldest = services.clock() - AGAIN_SECONDS
    due = [submission for submission in stuck if submission.resent <= oldest]
    results = [aws.result(lambda submission=submission: _send(services, submission)) for submission in due]  # type: ignore[misc]
    return [result for result in results if isinstance(result, Problem)]


def findings_of(stuck: Iterable[Submission], *, is_scheduled: bool) -> list[Finding]:
    """Return a finding for each, as they were before their messages were sent."""
    return [_finding(submission, is_scheduled=is_scheduled) for submission in stuck]


def findings_of_unreadable(unreadable: Iterable[Unreadable]) -> list[Finding]:
    """Return a finding for each open record that this version cannot read."""
    hint = "Deploy the version that wrote it: its message waits on the queue, and its subclients stay busy until then."
    return [Finding("stuck", STUCK, f"{record.key}: {record.reason}", hint, about=record.key) for record in unreadable]


def _send(services: Services, submission: Submission) -> None:
    """Send first, then record it: a run that is killed in between leaves a message more, never one less."""
    services.queues.send(submission.trigger, submission.target)
    logger.warning("The message is sent again", target=submission.target, trigger=submission.trigger.id)
    if not isinstance(services.submissions.save(Change(replace(submission, resent=services.clock()))), Saved):
        logger.info("The submission goes on already", target=submission.target, trigger=submission.trigger.id)


def _finding(submission: Submission, *, is_scheduled: bool) -> Finding:
    trigger = submission.trigger
    states = ", ".join(sorted({submission.state_of(backup) for backup in submission.backups})) or "rejected"
    message = f"A submission ({states}) should have gone on at {iso(submission.last_due)}: {trigger.kind} trigger {trigger.id}."
    hint = SENT_IN_VAIN if submission.resent else SENT if is_scheduled else TO_BE_SENT
    return Finding("stuck", STUCK, message, hint, submission.target, about=submission.key)
