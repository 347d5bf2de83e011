"""The loop: load the record, decide, act, apply what happened, save. One run works on one submission or on a batch.

A batch's jobs are read together first and the ends are published; then requests are sent one at a time. What a run does
not reach is left as the record says.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rds_snap_backup.backup.decisions import Decisions
from rds_snap_backup.backup.polling import READ_SECONDS, JobReader
from rds_snap_backup.bootstrap import Services, policy_of
from rds_snap_backup.commvault.clients import Client
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.commvault.outcomes import Throttled
from rds_snap_backup.ledger.submissions import Stale, SubclientChanged
from rds_snap_backup.ledger.table import Contended
from rds_snap_backup.messaging.notifications import render
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Attempt, Change, Notice, Subclients, Submission
from rds_snap_backup.sightings import Sight, see, take_inventory, touched
from rds_snap_backup.submission import (
    Look,
    Over,
    Publish,
    ReadInventory,
    Settle,
    Start,
    Step,
    Wait,
    answered,
    decide,
    elapse,
    out_attempt,
    published,
)
from rds_snap_backup.targets import INVALID, Association, Target

# A request takes 30 s at most; recording its outcome has the rest.
SEND_SECONDS = 38.0
RECORD_SECONDS = 8.0
# Kept back from the time of a run when Commvault is asked for anything else, or the token is renewed.
RESERVE_SECONDS = 12.0
MAX_TRIES = 3
MAX_RECORD_TRIES = 6
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

    `until`: when to go on, 0 if the run did not reach it; None once it is over. `failure` is what it failed with.
    """

    submission: Submission
    is_past_cache: bool = False
    until: float | None = 0
    failure: Exception | None = None
    look: Look | None = field(default=None, repr=False)
    is_deferred: bool = False
    # Another transaction holds an item: the run leaves the submission alone.
    is_contended: bool = False

    @property
    def names(self) -> dict[str, Any]:
        """The fields that name it in the log."""
        return {"target": self.submission.target, "trigger": self.submission.trigger.id}


class Loop:
    """Works on submissions, for one sandbox."""

    def __init__(self, services: Services, decisions: Decisions) -> None:
        self._services = services
        self._decisions = decisions
        self._policy = policy_of(services.config)
        self._reader = JobReader(services.commvault, services.config.first_poll_seconds, services.clock)

    def run(self, batch: Sequence[Work], seconds_left: Callable[[], float]) -> None:
        """Take each submission as far as it goes now. A failure is kept in the `Work`."""
        for work in batch:
            self._each(work, self._advance)
        read_until = time.monotonic() + READ_SECONDS
        seconds = seconds_left() - RESERVE_SECONDS
        for _ in range(MAX_LOOKS):
            looking = [work for work in batch if work.look and not work.failure and not work.is_contended]
            if looking:
                self._look(looking, seconds)
            for work in looking:
                self._each(work, self._advance)
            seconds = min(seconds_left() - RESERVE_SECONDS, read_until - time.monotonic())
        for work in batch:
            self._each(work, lambda work: self._act(work, seconds_left))
        if deferred := sum(work.is_deferred for work in batch):
            count("SubmissionDeferred", self._services.config.service, deferred)

    def _each(self, work: Work, act: Callable[[Work], object]) -> None:
        """Do something with one submission; a failure of it, or of AWS, does not stop the others."""
        if work.failure or work.is_contended:
            return
        for _ in range(MAX_TRIES):
            try:
                act(work)
            except Stale:
                # Another delivery was faster: its record is what counts.
                work.submission = self._services.submissions.load(work.submission.key) or work.submission
                continue
            except Contended:
                logger.info("Another transaction holds an item", **work.names)
                work.is_contended = True
                work.until = self._services.clock() + self._policy.first_retry_seconds
            except Exception as failure:  # noqa: BLE001 # AWS failed, or its record is broken: the others go on
                logger.exception("A submission failed; it goes on with its message", **work.names)
                work.failure = failure
            return
        work.until = self._services.clock() + 1

    def _advance(self, work: Work) -> Step:
        """Apply deadlines and publish until something else is to be done; return that."""
        work.look, work.until = None, 0
        while True:
            self._elapse(work)
            step = decide(work.submission, self._services.clock())
            match step:
                case Publish(notice):
                    self._publish(work, notice)
                    continue
                case Look():
                    work.look = step
                case Over():
                    work.until = None
                case Wait(until):
                    work.until = until
            return step

    def _act(self, work: Work, seconds_left: Callable[[], float]) -> None:
        """Do what needs the run's time: ask RDS, read the inventory, send requests."""
        while True:
            step = self._advance(work)
            if not isinstance(step, (Settle, ReadInventory, Start)) or seconds_left() < SEND_SECONDS:
                return
            match step:
                case Settle():
                    self._settle(work)
                case ReadInventory(associations):
                    self._read_inventory(work, associations, seconds_left)
                case Start(keys):
                    self._start(work, keys, seconds_left)

    def _elapse(self, work: Work) -> None:
        elapsed = elapse(work.submission, self._services.clock())
        if elapsed is not work.submission:
            self._save(work, Change(elapsed))

    def _save(self, work: Work, change: Change) -> None:
        work.submission = self._services.submissions.save(change)

    # ---- Publishing

    def _publish(self, work: Work, notice: Notice) -> None:
        """Publish a notice, keep its dead letter, and take it off the outbox."""
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
        self._save(work, Change(published(submission)))

    # ---- Reading jobs

    def _look(self, looking: Sequence[Work], seconds: float) -> None:
        """Read the jobs of all these submissions together, in this time, and apply to each what was seen."""
        asked = [(work.submission, work.look) for work in looking if work.look]
        # A token that has expired while jobs ran is renewed here: nothing else is sent for them.
        self._services.commvault.prepare(time.monotonic() + seconds)
        sights = self._reader.read(asked, seconds)
        for work, sight in zip([work for work in looking if work.look], sights, strict=True):
            self._each(work, lambda work, sight=sight: self._see(work, sight))  # type: ignore[misc]
            work.look = None

    def _see(self, work: Work, sight: Sight) -> None:
        look = work.look
        if look is None:
            return
        for _ in range(MAX_TRIES):
            keys = touched(work.submission, look, sight)
            subclients: Subclients = self._services.submissions.subclients(keys) if keys else {}
            change = see(work.submission, look, sight, subclients, self._policy)
            _log_foreign(work, change.submission)
            try:
                self._save(work, change)
            except SubclientChanged:
                continue
            return
        raise Contended

    # ---- Before a request

    def _settle(self, work: Work) -> None:
        settled = self._decisions.settle(work.submission)
        work.is_deferred = not settled.is_settled
        if work.is_deferred:
            self._save(work, Change(settled))
        else:
            work.submission = settled  # The start that follows saves it.

    def _read_inventory(
        self, work: Work, associations: Sequence[Association], seconds_left: Callable[[], float]
    ) -> None:
        """Find out which names of a refused group Commvault does not know."""
        discovery = Discovery(self._services.commvault, lambda: seconds_left() - RESERVE_SECONDS / 2)
        unknown = _unknown(discovery, associations)
        self._save(work, Change(take_inventory(work.submission, unknown, self._policy, self._services.clock())))

    # ---- A request

    def _start(self, work: Work, keys: tuple[str, ...], seconds_left: Callable[[], float]) -> None:
        """Begin an attempt for what may be sent: recorded first, sent once, and its outcome recorded."""
        services = self._services
        deadline = time.monotonic() + seconds_left() - RESERVE_SECONDS
        services.commvault.prepare(deadline)
        if seconds_left() < SEND_SECONDS:
            return  # Renewing the token took long. The next delivery goes on.
        for _ in range(MAX_TRIES):
            change = self._decisions.start(work.submission, keys, lambda: self._target(work))
            try:
                self._save(work, change)
            except SubclientChanged:
                continue
            break
        else:
            raise Contended
        attempt = out_attempt(work.submission)
        if attempt is None:
            work.is_deferred = work.is_deferred or any(backup.state == "waiting" for backup in work.submission.backups)
            return
        self._send(work, attempt, change, time.monotonic() + seconds_left() - RECORD_SECONDS)

    def _send(self, work: Work, attempt: Attempt, claims: Change, deadline: float) -> None:
        """Send the request, once, and record its outcome."""
        services = self._services
        outcome = services.commvault.create_task(work.submission.request(attempt), deadline)
        now = services.clock()
        logger.info("Commvault answered", outcome=type(outcome).__name__, attempt=attempt.number, **work.names)
        if isinstance(outcome, Throttled):
            services.submissions.note_throttle(now + outcome.seconds)
        subclients = {item.key: replace(item, version=item.version + 1) for item in claims.subclients}
        for _ in range(MAX_RECORD_TRIES):
            try:
                self._save(work, answered(work.submission, outcome, subclients, self._policy, now))
            except (SubclientChanged, Contended):
                subclients = services.submissions.subclients(subclients)
            except Stale:
                # A redriven letter opened other backups meanwhile. The attempt is still out.
                work.submission = services.submissions.load(work.submission.key) or work.submission
            else:
                break
        else:
            # When the lease is over, the jobs are looked for in Commvault.
            logger.error("The outcome could not be recorded", outcome=repr(outcome), **work.names)
            raise Contended
        waiting = [backup for backup in work.submission.backups if backup.attempt == attempt.number and backup.error]
        work.is_deferred = work.is_deferred or any(backup.is_open for backup in waiting)

    def _target(self, work: Work) -> Target | Problem:
        target = self._decisions.target(work.submission.target, past_cache=work.is_past_cache)
        if isinstance(target, Problem):
            logger.warning("The pinned request is sent", error=target.to_json(), **work.names)
        return target


def _unknown(discovery: Discovery, associations: Sequence[Association]) -> frozenset[str] | Problem:
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


def _number(notice: Notice) -> int:
    """Return how many backups the metric of a notice counts: of `submitted` those that have a job by now."""
    if notice.status == "submitted":
        return min(len(notice.job_ids), len(notice.backups))
    return 1 if notice.status == "abandoned" else max(len(notice.backups), 1)


def _log_foreign(work: Work, seen: Submission) -> None:
    known = {job_id for attempt in work.submission.attempts for job_id in attempt.foreign}
    if foreign := {job_id for attempt in seen.attempts for job_id in attempt.foreign} - known:
        logger.warning("Commvault's answer named jobs of others", job_ids=sorted(foreign), **work.names)
