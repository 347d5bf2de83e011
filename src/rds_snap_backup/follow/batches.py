"""A batch of the Jobs queue: all its jobs are looked at first, then each message is handled.

It decides when a job is looked at again. What Lambda is told is `follow.py`'s business.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.commvault.jobs import Job
from rds_snap_backup.config import Config, ConfigError
from rds_snap_backup.follow.poller import NOT_ASKED, RATE_LIMITED, JobPoller, Missing, Observation
from rds_snap_backup.follow.tracking import MISSING_SECONDS, NotASubmission, TrackedSubmission
from rds_snap_backup.ledger.completions import Completions
from rds_snap_backup.ledger.steps import Done, Publish, Wait
from rds_snap_backup.ledger.table import Item, Value
from rds_snap_backup.messaging.batches import MAX_PAUSE_SECONDS, Consumer, Message, Redeliver, backoff
from rds_snap_backup.observability import MetricName, count, logger
from rds_snap_backup.problems import Problem

# Kept back from the function's time for what follows the reading, and for one message.
RESERVE_SECONDS = 15.0
MESSAGE_SECONDS = 5.0

METRICS: dict[str, MetricName] = {
    "completed": "BackupCompleted",
    "completed_with_errors": "BackupCompleted",
    "failed": "BackupFailed",
    "killed": "BackupFailed",
    "lost": "JobLost",
}


@dataclass(frozen=True, slots=True)
class Follower:
    """What a sandbox works with."""

    services: Services
    completions: Completions
    looks: JobPoller
    jobs_queue: Consumer

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Put it together; raise `ConfigError` where there is no Jobs queue."""
        if not config.jobs_queue_url:
            raise ConfigError("The environment variable JOBS_QUEUE_URL is not set: deploy the stack's template again.")
        services = bootstrap(config, clients, clock)
        return cls(
            services=services,
            completions=services.completions,
            # No pause is shorter than the first, and the first one goes by before the first look.
            looks=JobPoller(services.commvault, config.first_poll_seconds, clock),
            jobs_queue=Consumer(config.jobs_queue_url, clients.sqs),
        )


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """A message of the Jobs queue, read."""

    receives: int
    content: TrackedSubmission | NotASubmission

    @classmethod
    def of(cls, message: Message) -> Self:
        """Read a message."""
        try:
            return cls(message.receives, TrackedSubmission.parse(message.body))
        except NotASubmission as error:
            return cls(message.receives, error)


class Batch:
    """The messages of one invocation, and what is known about their jobs."""

    def __init__(self, follower: Follower, seconds_left: Callable[[], float]) -> None:
        self._follower = follower
        self._services = follower.services
        self._seconds_left = seconds_left
        self._owner = uuid.uuid4().hex
        self._items: dict[str, Item] = {}
        self._sights: dict[str, Observation] = {}

    def look(self, messages: Iterable[TrackedMessage]) -> None:
        """Look at every job that is due and whose end is not recorded, with as few calls as can be."""
        latest = self._services.clock() - self._services.config.first_poll_seconds
        submitted: dict[str, float] = {}
        for message in messages:
            match message.content:
                # A job that has only just begun is looked at when its first pause is over.
                case TrackedSubmission(job_ids=job_ids, submitted_at=submitted_at) if submitted_at <= latest:
                    submitted |= {one: min(submitted_at, submitted.get(one, submitted_at)) for one in job_ids}
        self._items = {job_id: {} for job_id in submitted} | self._follower.completions.find(submitted)
        wanted = {job_id: at for job_id, at in submitted.items() if "end" not in self._items[job_id]}
        self._sights = self._follower.looks.look(wanted, self._seconds_left() - RESERVE_SECONDS)
        for problem in {observation for observation in self._sights.values() if isinstance(observation, Problem)}:
            logger.warning("Jobs could not be looked at", error=problem.to_json())

    def handle(self, message: TrackedMessage) -> None:
        """Tell the ends of a message's jobs; raise `Redeliver` while there are jobs without one."""
        if self._seconds_left() < MESSAGE_SECONDS:
            raise Redeliver  # It returns when its visibility timeout is over.
        match message.content:
            case NotASubmission() as error:
                # Only the topic can send to this queue, so a person must see it: the function fails for it at each
                # receive, until it is in the dead-letter queue after 1,000 of them, which are ten days.
                raise Redeliver(backoff(self._services.config.first_poll_seconds, message.receives), error)
            case TrackedSubmission() as submission:
                waits = [self._tell_end(message, submission, job_id) for job_id in submission.job_ids]
                if pauses := [seconds for seconds in waits if seconds is not None]:
                    raise Redeliver(min(*pauses, MAX_PAUSE_SECONDS))

    def _tell_end(self, message: TrackedMessage, submission: TrackedSubmission, job_id: str) -> float | None:
        """Tell a job's end, once. Return None when that is done, or in how many seconds to look again."""
        now, config = self._services.clock(), self._services.config
        item = self._items.get(job_id, {})
        if "end" in item:
            step = self._follower.completions.resume(job_id, item, self._owner)
        else:
            observation = self._sights.get(job_id, NOT_ASKED)
            missing_since = self._note(job_id, item, observation)
            end = submission.end_of(job_id, observation, missing_since, now, config.follow_hours)
            if end is None:
                if isinstance(observation, Problem) and observation.code == RATE_LIMITED:
                    return MAX_PAUSE_SECONDS
                pause = min(
                    backoff(config.first_poll_seconds, message.receives),
                    submission.submitted_at + config.follow_hours * 3600 - now,
                )
                return min(pause, missing_since + MISSING_SECONDS - now) if isinstance(observation, Missing) else pause
            step = self._follower.completions.record(job_id, item, end, self._owner)
        match step:
            case Publish(notification):
                self._tell(job_id, notification)
            case Wait(until):
                return until - now
            case Done():
                pass
        return None

    def _tell(self, job_id: str, notification: dict[str, Any]) -> None:
        """Publish an end that is recorded, and mark it as told."""
        status = notification["status"]
        self._services.notifications.publish(notification)
        count(METRICS[status], self._services.config.service)
        self._follower.completions.mark_published(job_id, self._owner)
        shown = {name: notification[name] for name in ("target", "status", "jobIds", "durationSeconds", "reason")}
        log = logger.info if status == "completed" else logger.warning
        log("The job has ended", trigger=notification["trigger"]["id"], **shown)

    def _note(self, job_id: str, item: Item, observation: Observation) -> float:
        """Note what a later look must know. Return since when the job is missing: now, where it is not."""
        now = self._services.clock()
        news: dict[str, Value] = {}
        forget: tuple[str, ...] = ()
        match observation:
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
            self._follower.completions.note(job_id, news, forget)
            item |= news
        return float(item.get("missingSince", now))
