"""Deliveries: how a trigger, or a submission's message, reaches the function, and what becomes of it.

A direct delivery for one target sends the submission's message first and then works on the submission at once. For
several targets it sends one message each. A trigger on the queue becomes its submissions' messages.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rds_snap_backup.backup.decisions import Decisions, Selected, Unusable
from rds_snap_backup.backup.loop import RESERVE_SECONDS, Loop, Work
from rds_snap_backup.backup.results import ignored, queued, refused, result_of
from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.core.coordinator import Conflict, Saved, Stale
from rds_snap_backup.core.record import Change, Submission, submission_key
from rds_snap_backup.ledger.records import UnreadableRecordError
from rds_snap_backup.messaging.queues import FanOutError
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.rds.statuses import Statuses
from rds_snap_backup.targets import OutOfTime
from rds_snap_backup.triggers import Arrival, Ignored, SubmissionMessage, Trigger, parse, unwrap
from rds_snap_backup.untrusted import list_in

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

# Of an RDS event's run: 600 documents are 60 calls.
SELECT_SECONDS = 10.0
MAX_JITTER_SECONDS = 30.0
# A message whose record cannot be read waits for the version that can.
UNREADABLE_SECONDS = 3600.0


@dataclass
class Waiting:
    """A message of the queue whose submission may not be over: `seconds` until it is visible again, None: left as it is.

    `letter` is the number of the dead letter that it is, 0 for none.
    """

    record: Mapping[str, Any]
    work: Work | None = None
    letter: int = 0
    seconds: float | None = None


class Deliveries:
    """Receives everything that reaches the function, for one sandbox."""

    def __init__(self, services: Services, rds: "Callable[[], RDSClient]") -> None:
        config = services.config
        self._services = services
        self._statuses = Statuses(rds, config.own_account, config.region, services.clock)
        self._decisions = Decisions(services, self._statuses)
        self._loop = Loop(services, self._decisions)

    @staticmethod
    def is_batch(event: object) -> bool:
        """Tell whether an event is what Lambda's poller sends: messages of a queue."""
        records = list_in(event, "Records")
        return bool(records) and all(
            isinstance(record, dict)
            and record.get("eventSource") == "aws:sqs"
            and all(isinstance(record.get(name), str) for name in ("messageId", "receiptHandle", "body"))
            for record in records
        )

    # ---- Direct deliveries

    def receive(self, event: Any, request_id: str, seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Turn an event that a service or a caller invoked the function with into submissions, or explain it."""
        arrival = Arrival(request_id, self._services.clock())
        match event:
            case {"explain": asked}:
                from rds_snap_backup.backup.explaining import Explainer

                # What an explanation could not ask RDS is no reason for the next event to wait.
                decisions = Decisions(self._services, copy(self._statuses))
                return Explainer(self._services, decisions).explain(asked, arrival)
        stop_at = seconds_left() - SELECT_SECONDS
        try:
            selected = self._decisions.select(
                parse(event, arrival, self._services.config.service), lambda: seconds_left() - stop_at
            )
        except InvalidInput as invalid:
            return self._refuse(event, arrival.id, invalid.problem)
        except OutOfTime:
            logger.warning("The targets of the event cannot be selected now; it goes on the queue")
            self._services.queues.send_event(event, request_id)
            return queued(())
        match selected:
            case Ignored(reason):
                return self._ignore(reason)
            case SubmissionMessage():
                raise AssertionError("only a message of the queue is read as a submission's")
            case Selected(trigger=trigger, names=(name,)):
                return self._receive_one(trigger, name, seconds_left)
            case Selected(trigger=trigger, names=names):
                return self._receive_many(trigger, names)

    def _receive_one(self, trigger: Trigger, name: str, seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Send the submission's message, and work on the submission at once."""
        services = self._services
        known = services.submissions.load(submission_key(name, trigger))
        if known and trigger.kind == "manual":
            self._resend_if_stuck(known)
            return result_of(services, [known])
        try:
            submission = known or self._decisions.begin(trigger, name)
        except OutOfTime:
            logger.warning("The document cannot be read now; the trigger goes on the queue", target=name)
            services.queues.send(trigger, name, services.config.first_poll_seconds)
            return queued((name,))
        if isinstance(submission, Ignored):
            return self._ignore(submission.reason)
        if _is_refused(submission):
            submission = self._recorded(submission)
        # A rejected trigger has nothing to send: it is only published.
        is_sent = submission.is_over or not submission.backups or self._send(trigger, name)
        work = Work(submission)
        self._loop.run([work], seconds_left)
        if not is_sent and work.until is not None and not self._send(trigger, name) and not work.failure:
            logger.error("The submission has no message", target=name, trigger=trigger.id)
            # Lambda's on-failure destination brings an event again; a caller sees the answer, and can ask again.
            if trigger.kind != "manual" or not work.submission.version:
                raise FanOutError(f"No message could be sent for the target {name}.")
        if work.failure and not isinstance(work.failure, OutOfTime):
            raise work.failure
        return result_of(services, [work.submission])

    def _receive_many(self, trigger: Trigger, names: Sequence[str]) -> dict[str, Any]:
        services = self._services
        known: dict[str, Submission] = {}
        if trigger.kind == "manual":
            keys = {name: submission_key(name, trigger) for name in names}
            found = services.submissions.load_all(keys.values())
            known = {name: found[key] for name, key in keys.items() if key in found}
        for submission in known.values():
            self._resend_if_stuck(submission)
        new = [name for name in names if name not in known]
        services.queues.send_all(trigger, new)
        logger.info("Queued", trigger=trigger.id, targets=len(new))
        return result_of(services, known.values(), new)

    def _send(self, trigger: Trigger, name: str) -> bool:
        try:
            self._services.queues.send(trigger, name, self._services.config.first_poll_seconds)
        except AWS_FAILURES:
            logger.warning("The submission's message could not be sent", target=name, exc_info=True)
            return False
        return True

    def _resend_if_stuck(self, submission: Submission) -> None:
        if submission.is_stuck(self._services.clock()):
            logger.warning("The submission's message is sent again", target=submission.target)
            self._services.queues.send(submission.trigger, submission.target)

    # ---- The queue

    def receive_batch(self, records: Sequence[Mapping[str, Any]], seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Continue the submissions of a batch of messages; raise a failure if none of them is done with."""
        works: dict[str, Work] = {}
        waiting: list[Waiting] = []
        failure: Exception | None = None
        for record in records:
            try:
                if work := self._open(record, seconds_left):
                    # Copies of one message in a batch are one submission, which a letter among them opens again.
                    known = works.setdefault(work.submission.key, work)
                    known.letter = max(known.letter, work.letter)
                    waiting.append(Waiting(record, known, work.letter))
            except OutOfTime:
                logger.warning("The targets of a trigger cannot be selected now; its message is received again")
                waiting.append(Waiting(record))
            except UnreadableRecordError:
                logger.exception("The record of a message cannot be read; the message is kept")
                waiting.append(Waiting(record, seconds=UNREADABLE_SECONDS))
            except Exception as error:  # noqa: BLE001 # one message, be it broken, does not stop the others
                logger.exception("A message failed; it is received again")
                waiting.append(Waiting(record))
                failure = error
        self._loop.run(list(works.values()), seconds_left)
        kept = [message for message in waiting if self._is_kept(message)]
        self._services.queues.postpone(
            {message.record["receiptHandle"]: message.seconds for message in kept if message.seconds is not None}
        )
        # A document that cannot be read now is no failure: its message comes again.
        failures = (work.failure for work in works.values() if not isinstance(work.failure, OutOfTime))
        failure = failure or next(filter(None, failures), None)
        # Raising brings the whole batch again, also the messages that are done with.
        if failure and len(kept) == len(records):
            raise failure
        return {"batchItemFailures": [{"itemIdentifier": message.record["messageId"]} for message in kept]}

    def _is_kept(self, message: Waiting) -> bool:
        """Tell whether a message is to come back, and set when."""
        work = message.work
        if work is None or work.failure:
            return True
        if work.unusable and message.letter:
            self._keep_letter(work.submission, message.letter, work.unusable)
            return False
        if work.until is None and (work.submission.is_over or not work.unusable):
            return False
        rest = max((work.until or 0) - self._services.clock(), 0)
        jitter = random.uniform(0, min(rest / 10, MAX_JITTER_SECONDS))  # noqa: S311  # nosec B311 # a jitter
        message.seconds = rest + jitter
        return True

    def _open(self, record: Mapping[str, Any], seconds_left: Callable[[], float]) -> Work | None:
        """Return the submission that a message is for; None where the message is done with."""
        services = self._services
        event, arrival = unwrap(record["body"], record["messageId"], record.get("messageAttributes"), services.clock())
        try:
            selected = self._decisions.select(
                parse(event, arrival, services.config.service), lambda: seconds_left() - RESERVE_SECONDS
            )
        except InvalidInput as invalid:
            self._refuse(event, arrival.id, invalid.problem)
            return None
        match selected:
            case SubmissionMessage():
                return self._continue(selected)
            case Ignored(reason):
                self._ignore(reason)
            case Selected(trigger=trigger, names=names):
                services.queues.send_all(trigger, names)
        return None

    def _continue(self, message: SubmissionMessage) -> Work | None:
        services, trigger, name, letter = self._services, message.trigger, message.target, message.letter
        known = services.submissions.load(submission_key(name, trigger))
        match self._decisions.resume(message, known):
            case Ignored(reason):
                self._ignore(reason)
                return None
            case Unusable(problem):
                services.queues.dead_letter(trigger, name, letter or 0, problem.to_json())
                self._count_refused(problem)
                return None
            case submission:
                if _is_refused(submission):
                    submission = self._recorded(submission)
                return Work(submission, letter or 0)

    def _keep_letter(self, submission: Submission, letter: int, problem: Problem) -> None:
        """Keep a letter as it is: it cannot open its submission again."""
        self._services.queues.dead_letter(submission.trigger, submission.target, letter, problem.to_json())
        self._count_refused(problem)

    def _recorded(self, changed: Submission) -> Submission:
        """Save a submission, unless another delivery was faster; return it as the ledger has it."""
        match self._services.submissions.save(Change(changed)):
            case Saved(submission) | Stale(submission):
                return submission
            case Conflict():
                return changed

    # ---- What starts nothing

    def _ignore(self, reason: str) -> dict[str, Any]:
        logger.info("Ignored", reason=reason)
        count("EventIgnored", self._services.config.service)
        return ignored(reason)

    def _refuse(self, event: Any, delivery_id: str, problem: Problem) -> dict[str, Any]:
        self._services.queues.refuse(event, delivery_id, problem.to_json())
        self._count_refused(problem)
        return refused(problem)

    def _count_refused(self, problem: Problem) -> None:
        logger.error("Event refused", error=problem.to_json())
        count("EventRefused", self._services.config.service)


def _is_refused(submission: Submission) -> bool:
    """Tell whether a new submission is rejected: it is recorded before that is published."""
    return submission.error is not None and not submission.version
