"""The loop: drives the coordinator of each submission of a run, and answers its requests.

A batch's jobs are read together first and the ends are published; then requests are sent one at a time. What a run does
not reach is left as the record says.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.backup.decisions import Decisions
from rds_snap_backup.backup.polling import READ_SECONDS, JobReader
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.clients import Client
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.commvault.jobs import UNREACHABLE
from rds_snap_backup.core.coordinator import (
    AskStatus,
    Coordinator,
    Drop,
    Publish,
    ReadInventory,
    ReadJobs,
    ReadStart,
    ReadSubclients,
    ReadTarget,
    Request,
    Run,
    Save,
    Saved,
    SaveResult,
    Send,
    Stale,
)
from rds_snap_backup.core.outcomes import Outcome, Submitted, Throttled, Unavailable
from rds_snap_backup.core.phases import Waiting
from rds_snap_backup.core.record import Change, Notice, Submission
from rds_snap_backup.messaging.notifications import render
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import INVALID, Association

# A request takes 30 s at most; recording its outcome has the rest.
SEND_SECONDS = 38.0
RECORD_SECONDS = 8.0
# Kept back from the time of a run when Commvault is asked for anything else, or the token is renewed.
RESERVE_SECONDS = 12.0
# Once rows show whose the named jobs are, a backup without one is looked for in the list at once.
MAX_LOOKS = 2

METRICS: dict[str, MetricName] = {
    "submitted": "BackupSubmitted",
    "scheduled": "BackupSubmitted",
    "joined": "BackupJoined",
    "rejected": "BackupRejected",
    "abandoned": "SubmissionAbandoned",
    "retrying": "BackupRetried",
    "completed": "BackupCompleted",
    "completed_with_errors": "BackupCompleted",
    "failed": "BackupFailed",
    "killed": "BackupFailed",
    "lost": "JobLost",
}


@dataclass
class Work:
    """One submission in one run: its record as it is now, and how the run leaves it.

    `letter` is the number of the dead letter that its message is, 0 for none. `until`: when to go on, 0 if the run did
    not reach it; None once it is over. `failure` is what it failed with, `unusable` why its letter cannot open it again.
    """

    submission: Submission
    letter: int = 0
    until: float | None = 0
    failure: Exception | None = None
    unusable: Problem | None = None
    began_as: Submission | None = field(default=None, repr=False)
    steps: Run | None = field(default=None, repr=False)
    request: Request | None = field(default=None, repr=False)

    @property
    def names(self) -> dict[str, Any]:
        """The fields that name it in the log."""
        return {"target": self.submission.target, "trigger": self.submission.trigger.id}


class Loop:
    """Works on submissions, for one sandbox."""

    def __init__(self, services: Services, decisions: Decisions) -> None:
        self._services = services
        self._decisions = decisions
        self._coordinator = Coordinator(services.config.policy, services.clock)
        self._reader = JobReader(services.commvault, services.config.first_poll_seconds, services.clock)

    def run(self, batch: Sequence[Work], seconds_left: Callable[[], float]) -> None:
        """Take each submission as far as it goes now. A failure is kept in the `Work`."""
        for work in batch:
            work.began_as, work.steps = work.submission, self._coordinator.run(work.submission, work.letter)
            self._each(work, lambda work: self._advance(work, None))
        read_until = time.monotonic() + READ_SECONDS
        seconds = seconds_left() - RESERVE_SECONDS
        for _ in range(MAX_LOOKS):
            if looking := [work for work in batch if isinstance(work.request, ReadJobs)]:
                self._read_jobs(looking, seconds)
            seconds = min(seconds_left() - RESERVE_SECONDS, read_until - time.monotonic())
        for work in batch:
            self._each(work, lambda work: self._act(work, seconds_left))
            self._leave(work)

    def _each(self, work: Work, act: Callable[[Work], object]) -> None:
        """Do something with one submission; a failure of it, or of AWS, does not stop the others."""
        if work.failure:
            return
        try:
            act(work)
        except Exception as failure:  # noqa: BLE001 # AWS failed, or its record is broken: the others go on
            logger.exception("A submission failed; it goes on with its message", **work.names)
            work.failure, work.request = failure, None

    def _advance(self, work: Work, answer: Any) -> None:
        """Answer the coordinator until it ends or asks for what needs the run's time."""
        if work.steps is None:
            return
        while True:
            try:
                work.request = work.steps.send(answer)
            except StopIteration as stop:
                work.request = None
                if isinstance(stop.value, Problem):
                    work.unusable, work.until = stop.value, None
                else:
                    work.until = stop.value
                return
            match work.request:
                case Save(change):
                    answer = self._save(work, change)
                case Publish(notice):
                    self._publish(work, notice)
                    answer = None
                case ReadSubclients(keys):
                    answer = self._services.submissions.subclients(keys)
                case ReadTarget():
                    answer = self._decisions.fresh(work.submission)
                case Drop(attempt, outcome):
                    job_ids = list(outcome.job_ids) if isinstance(outcome, Submitted) else []
                    names = {"attempt": attempt.number, "job_ids": job_ids, **work.names}
                    logger.error("An outcome finds its attempt no longer out", outcome=repr(outcome), **names)
                    answer = None
                case _:
                    return

    def _act(self, work: Work, seconds_left: Callable[[], float]) -> None:
        """Answer what needs the run's time: ask RDS, read the inventory, send requests."""
        while work.request and seconds_left() >= SEND_SECONDS:
            match work.request:
                case AskStatus():
                    answer: Any = self._decisions.status(work.submission.trigger)
                case ReadInventory(associations):
                    answer = self._unknown(associations, seconds_left)
                case ReadStart(keys):
                    self._services.commvault.prepare(time.monotonic() + seconds_left() - RESERVE_SECONDS)
                    if seconds_left() < SEND_SECONDS:
                        return  # Renewing the token took long. The next delivery goes on.
                    answer = self._decisions.start_inputs(work.submission, keys)
                case _:
                    return  # Jobs are read by the next run.
            self._advance(work, answer)
            if isinstance(work.request, Send):
                self._advance(work, self._send(work, work.request, time.monotonic() + seconds_left() - RECORD_SECONDS))

    def _leave(self, work: Work) -> None:
        """Count how a run leaves a submission, and close what it did not reach."""
        if work.steps:
            work.steps.close()
        if work.began_as is None or work.failure:
            return
        known = {backup.key: backup for backup in work.began_as.backups}
        now, service = self._services.clock(), self._services.config.service
        deferred: list[Waiting] = []
        for backup in work.submission.backups:
            # A letter that opens a trigger which was rejected before it had backups makes them in this run.
            before = known.get(backup.key)
            is_changed = before is None or (backup.phase != before.phase and backup.failures == before.failures)
            phase = backup.phase
            if is_changed and isinstance(phase, Waiting) and phase.due > now and phase.reason != "gathering":
                deferred.append(phase)
        if deferred:
            count("SubmissionDeferred", service)
        if throttled := [phase.due - now for phase in deferred if phase.reason == "throttled"]:
            count("SubmissionThrottled", service)
            count("ThrottledSeconds", service, round(max(throttled)))

    def _save(self, work: Work, change: Change) -> SaveResult:
        result = self._services.submissions.save(change)
        match result:
            case Saved(submission) | Stale(submission):
                work.submission = submission
        return result

    # ---- Publishing

    def _publish(self, work: Work, notice: Notice) -> None:
        """Publish a notice, and keep its dead letter."""
        services, submission = self._services, work.submission
        notification = render(submission, notice)
        error = notification.get("error")
        services.notifications.publish(notification)
        if notice.letter:
            services.queues.dead_letter(submission.trigger, submission.target, notice.letter, error or {})
        is_invalid = error is not None and not notice.backups and error["code"] in INVALID
        metric = "EventRefused" if is_invalid else METRICS[notice.status]
        count(metric, services.config.service, _number(notice) if metric != "EventRefused" else 1)
        if notice.is_reconciled and notice.status == "submitted":
            count("SubmissionReconciled", services.config.service)
        log = logger.error if error else logger.info
        log("Published", status=notice.status, job_ids=list(notice.job_ids), error=error, **work.names)

    # ---- Reading jobs

    def _read_jobs(self, looking: Sequence[Work], seconds: float) -> None:
        """Read the jobs of all these submissions together, in this time, and let each go on."""
        deadline = time.monotonic() + seconds
        # A token that has expired while jobs ran is renewed here: nothing else is sent for them. Reading has what is left.
        self._services.commvault.prepare(deadline)
        wanted = [work.request.wanted for work in looking if isinstance(work.request, ReadJobs)]
        for work, read in zip(looking, self._reader.read(wanted, deadline - time.monotonic()), strict=True):
            if read.problem and read.problem.code in UNREACHABLE:
                count("CommvaultUnreachable", self._services.config.service)
            self._each(work, lambda work, read=read: self._advance(work, read))  # type: ignore[misc]

    # ---- Before a request

    def _unknown(
        self, associations: Sequence[Association], seconds_left: Callable[[], float]
    ) -> frozenset[str] | Problem:
        """Return which names of a refused group Commvault does not know."""
        discovery = Discovery(self._services.commvault, lambda: seconds_left() - RESERVE_SECONDS / 2)
        unknown: set[str] = set()
        for association in associations:
            match discovery.client(association.client_name):
                case Problem() as problem:
                    return problem
                case None:
                    unknown.add(association.key)
                case Client() as client:
                    content = discovery.names(client)
                    if isinstance(content, Problem):
                        return content
                    if (association.instance_name, association.subclient_name) not in content.subclients:
                        unknown.add(association.key)
        return frozenset(unknown)

    # ---- A request

    def _send(self, work: Work, send: Send, deadline: float) -> Outcome:
        """Send the request, once."""
        services = self._services
        outcome = services.commvault.create_task(send.request, deadline)
        names = {"attempt": send.attempt.number, **work.names}
        logger.info("Commvault answered", outcome=type(outcome).__name__, **names)
        if isinstance(outcome, Throttled):
            services.submissions.note_throttle(services.clock() + outcome.seconds)
        elif isinstance(outcome, Unavailable):
            count("CommvaultUnreachable", services.config.service)
        elif isinstance(outcome, Submitted) and len(set(outcome.job_ids)) > len(send.request.associations):
            job_ids = list(outcome.job_ids)
            logger.warning("Commvault's answer named more jobs than backups", job_ids=job_ids, **names)
        return outcome


def _number(notice: Notice) -> int:
    """Return how many backups the metric of a notice counts: of `submitted` those that have a job by now."""
    if notice.status == "submitted":
        return min(len(notice.job_ids), len(notice.backups))
    return 1 if notice.status == "abandoned" else max(len(notice.backups), 1)
