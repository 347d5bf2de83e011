"""A batch of the Jobs queue: all its jobs are looked at first, then each message is handled.

It decides when a job is looked at again. What Lambda is told is `follow.py`'s business.
"""

import math
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rds_snap_backup.config import Config, ConfigError
from rds_snap_backup.deliveries import Postponed
from rds_snap_backup.endings import AlreadyTold, Busy, Endings, Tell
from rds_snap_backup.followed import MISSING_SECONDS, Followed, NotASubmission
from rds_snap_backup.jobs import Job
from rds_snap_backup.looks import NOT_ASKED, RATE_LIMITED, Looks, Missing, Sight
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.table import Item, Table, Value
from rds_snap_backup.wiring import Clients, Parts, assemble

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LONGEST_PAUSE = 900
# Kept back from the function's time for what follows the reading, and for one message.
RESERVE_SECONDS = 15.0
MESSAGE_SECONDS = 5.0

METRICS: dict[str, MetricName] = {
    "completed": "BackupCompleted",
    "completed_with_errors": "BackupCompleted",
    "failed": "BackupFailed",
    "killed": "BackupFailed",
    "lost_sight": "JobLost",
}


@dataclass(frozen=True, slots=True)
class Follower:
    """What a sandbox works with."""

    parts: Parts
    endings: Endings
    looks: Looks
    sqs: "SQSClient"

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Put it together; raise `ConfigError` where there is no Jobs queue."""
        if not config.jobs_queue_url:
            raise ConfigError("The environment variable JOBS_QUEUE_URL is not set: deploy the stack's template again.")
        parts = assemble(config, clients, clock)
        return cls(
            parts=parts,
            endings=Endings(Table(config.ledger_table, clients.dynamodb), clock),
            # No pause is shorter than the first, and the first one goes by before the first look.
            looks=Looks(parts.commvault, parts.credentials, config.first_poll_seconds, clock),
            sqs=clients.sqs,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was received; `receives` says how often it was, this time included."""

    receipt_handle: str
    receives: int
    content: Followed | NotASubmission


def read_message(record: dict[str, Any]) -> Message:
    """Read an SQS record."""
    content: Followed | NotASubmission
    try:
        content = Followed.parse(record["body"])
    except NotASubmission as error:
        content = error
    return Message(record["receiptHandle"], int(record["attributes"]["ApproximateReceiveCount"]), content)


class Batch:
    """The messages of one invocation, and what is known about their jobs."""

    def __init__(self, follower: Follower, seconds_left: Callable[[], float]) -> None:
        self._follower = follower
        self._parts = follower.parts
        self._seconds_left = seconds_left
        self._owner = uuid.uuid4().hex
        self._items: dict[str, Item] = {}
        self._sights: dict[str, Sight] = {}

    def look(self, messages: Iterable[Message]) -> None:
        """Look at every job that is due and whose end is not recorded, with as few calls as can be."""
        latest = self._parts.clock() - self._parts.config.first_poll_seconds
        submitted: dict[str, float] = {}
        for message in messages:
            match message.content:
                # A job that has only just begun is looked at when its first pause is over.
                case Followed(job_ids=job_ids, submitted_at=submitted_at) if submitted_at <= latest:
                    submitted |= {one: min(submitted_at, submitted.get(one, submitted_at)) for one in job_ids}
        self._items = {job_id: {} for job_id in submitted} | self._follower.endings.find(submitted)
        wanted = {job_id: at for job_id, at in submitted.items() if "end" not in self._items[job_id]}
        self._sights = self._follower.looks.look(wanted, self._seconds_left() - RESERVE_SECONDS)
        for problem in {sight for sight in self._sights.values() if isinstance(sight, Problem)}:
            logger.warning("Jobs could not be looked at", error=problem.to_json())

    def handle(self, message: Message) -> None:
        """Tell the ends of a message's jobs; raise `Postponed` while there are jobs without one."""
        if self._seconds_left() < MESSAGE_SECONDS:
            raise Postponed  # It returns when its visibility timeout is over.
        match message.content:
            case NotASubmission() as error:
                # Only the topic can send to this queue, so a person must see it: the function fails for it at each
                # receive, until it is in the dead-letter queue after 1,000 of them, which are ten days.
                self._postpone(message, _pause(message, self._parts.config.first_poll_seconds))
                raise error
            case Followed() as submission:
                waits = [self._tell_end(message, submission, job_id) for job_id in submission.job_ids]
                if pauses := [seconds for seconds in waits if seconds is not None]:
                    self._postpone(message, min(pauses))
                    raise Postponed

    def _tell_end(self, message: Message, submission: Followed, job_id: str) -> float | None:
        """Tell a job's end, once. Return None when that is done, or in how many seconds to look again."""
        now, config = self._parts.clock(), self._parts.config
        item = self._items.get(job_id, {})
        if "end" in item:
            step = self._follower.endings.resume(job_id, item, self._owner)
        else:
            sight = self._sights.get(job_id, NOT_ASKED)
            missing_since = self._note(job_id, item, sight)
            end = submission.end_of(job_id, sight, missing_since, now, config.follow_hours)
            if end is None:
                if isinstance(sight, Problem) and sight.code == RATE_LIMITED:
                    return LONGEST_PAUSE
                pause = min(
                    _pause(message, config.first_poll_seconds),
                    submission.submitted_at + config.follow_hours * 3600 - now,
                )
                return min(pause, missing_since + MISSING_SECONDS - now) if isinstance(sight, Missing) else pause
            step = self._follower.endings.record(job_id, end, self._owner)
        match step:
            case Tell(notification):
                self._tell(job_id, notification)
            case Busy(until):
                return until - now
            case AlreadyTold():
                pass
        return None

    def _tell(self, job_id: str, notification: dict[str, Any]) -> None:
        """Publish an end that is recorded, and mark it as told."""
        status = notification["status"]
        self._parts.notifications.publish(notification)
        count(METRICS[status], self._parts.config.service)
        self._follower.endings.mark_told(job_id, self._owner)
        shown = {name: notification[name] for name in ("target", "status", "jobIds", "durationSeconds", "reason")}
        log = logger.info if status == "completed" else logger.warning
        log("The job has ended", trigger=notification["trigger"]["id"], **shown)

    def _note(self, job_id: str, item: Item, sight: Sight) -> float:
        """Note what a later look must know. Return since when the job is missing: now, where it is not."""
        now = self._parts.clock()
        news: dict[str, Value] = {}
        forget: tuple[str, ...] = ()
        match sight:
            case Missing() if "missingSince" not in item:
                news = {"missingSince": now}
            case Job() as job:
                if "missingSince" in item:
                    forget = ("missingSince",)
                if not job.is_known and item.get("unknownStatus") != job.status:
                    # Once for all looks at the job, and all messages about it.
                    logger.warning("An unknown job status counts as running", job=job_id, status=job.status)
                    news = {"unknownStatus": job.status}
        if news or forget:
            self._follower.endings.note(job_id, news, forget)
            item |= news
        return float(item.get("missingSince", now))

    def _postpone(self, message: Message, seconds: float) -> None:
        self._follower.sqs.change_message_visibility(
            QueueUrl=self._parts.config.jobs_queue_url,
            ReceiptHandle=message.receipt_handle,
            VisibilityTimeout=min(max(1, math.ceil(seconds)), LONGEST_PAUSE),
        )


def _pause(message: Message, first: int) -> float:
    return min(first * 2.0 ** min(message.receives - 1, 20), LONGEST_PAUSE)
