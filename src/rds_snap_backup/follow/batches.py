"""A batch of the Jobs queue: all its jobs are polled first, then each message is handled.

It decides when a job is polled again. What Lambda is answered is `workflow.py`'s business.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.commvault.jobs import Job
from rds_snap_backup.config import Config, ConfigError
from rds_snap_backup.follow.poller import NOT_ASKED, RATE_LIMITED, JobPoller, Missing, Observation
from rds_snap_backup.follow.tracking import MISSING_SECONDS, NotASubmission, TrackedSubmission
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


@dataclass(frozen=True)
class Follower:
    """What a sandbox works with."""

    services: Services
    poller: JobPoller
    jobs_queue: Consumer

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it; raise `ConfigError` where there is no Jobs queue."""
        if not config.jobs_queue_url:
            raise ConfigError("The environment variable JOBS_QUEUE_URL is not set: deploy the stack's template again.")
        services = bootstrap(config, clients, clock)
        clients.sqs()  # Made while the sandbox starts: nearly every run leaves a job that is polled again.
        return cls(
            services=services,
            # No pause is shorter than the first, and that one passes before the first poll.
            poller=JobPoller(services.commvault, config.first_poll_seconds, clock),
            jobs_queue=Consumer(config.jobs_queue_url, clients.sqs),
        )


@dataclass(frozen=True)
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
        self._published: set[str] = set()
        self._observations: dict[str, Observation] = {}

    def poll(self, messages: Iterable[TrackedMessage]) -> None:
        """Poll every job that is due and whose end is not recorded, with as few calls as possible."""
        now, config = self._services.clock(), self._services.config
        latest, oldest = now - config.first_poll_seconds, now - config.follow_hours * 3600 - MAX_PAUSE_SECONDS
        # A job that has only just begun is polled when its first pause is over.
        due = [
            (job_id, submission)
            for submission in (message.content for message in messages)
            if isinstance(submission, TrackedSubmission) and submission.submitted_at <= latest
            for job_id in submission.job_ids
        ]
        job_ids = {job_id for job_id, _ in due}
        self._items = {job_id: {} for job_id in job_ids} | self._services.completions.find(job_ids)
        wanted: dict[str, float] = {}
        for job_id, submission in due:
            item = self._items[job_id]
            if "end" not in item and not submission.superseded(job_id, item):
                # What is older ends as lost whatever Commvault answers, and would make its list of jobs long for all.
                since = max(submission.submitted_at, oldest)
                wanted[job_id] = min(since, wanted.get(job_id, since))
        deadline = time.monotonic() + self._seconds_left() - RESERVE_SECONDS
        self._observations = self._follower.poller.poll(wanted, deadline)
        for problem in {one for one in self._observations.values() if isinstance(one, Problem)}:
            logger.warning("Jobs could not be polled", error=problem.to_json())

    def handle(self, message: TrackedMessage) -> None:
        """Publish the ends of a message's jobs; raise `Redeliver` while there are jobs without one."""
        if self._seconds_left() < MESSAGE_SECONDS:
            raise Redeliver  # It is redelivered when its visibility timeout is over.
        match message.content:
            case NotASubmission() as error:
                # Only the topic can send to this queue, so a person must see it: the function fails for it at each
                # receive, until it is in the dead-letter queue after 1,000 of them, which are ten days.
                raise Redeliver(backoff(self._services.config.first_poll_seconds, message.receives), error)
            case TrackedSubmission() as submission:
                self._publish_ends(message, submission)

    def _publish_ends(self, message: TrackedMessage, submission: TrackedSubmission) -> None:
        pauses: list[float] = []
        ends: list[Mapping[str, Any]] = []
        failures: list[Exception] = []
        for job_id in submission.job_ids:
            try:
                end = self._publish_end(message, submission, job_id)
            except Exception as failure:  # noqa: BLE001 - whatever one job meets, the other jobs' ends are published
                failures.append(failure)
            else:
                match end:
                    case Mapping():
                        ends.append(end)
                    case seconds:
                        pauses.append(seconds)
        if failures:
            raise failures[0]
        if pauses:
            raise Redeliver(min(*pauses, MAX_PAUSE_SECONDS))
        if (began_at := submission.completed_from(ends)) is not None:
            self._services.history.record_completion(submission.notification["target"], began_at, submission.job_ids)

    def _publish_end(
        self, message: TrackedMessage, submission: TrackedSubmission, job_id: str
    ) -> float | Mapping[str, Any]:
        """Publish a job's end, once, and return its notification; or return in how many seconds to poll it again."""
        now, config = self._services.clock(), self._services.config
        item = self._items.get(job_id, {})
        completions, completion_id = self._services.completions, job_id
        if end := submission.superseded(job_id, item):
            completion_id = end.id
            step = completions.record(completion_id, {}, end.notification, self._owner)
        elif "end" in item:
            step = completions.resume(job_id, item, self._owner)
        else:
            observation = self._observations.get(job_id, NOT_ASKED)
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
            completion_id = end.id
            own = item if completion_id == job_id else {}
            step = completions.record(completion_id, own, end.notification, self._owner)
        match step:
            # A batch can have several messages about one job.
            case Publish(notification) if completion_id not in self._published:
                self._publish(completion_id, notification)
                self._published.add(completion_id)
                return notification
            case Publish(notification) | Done(notification):
                return notification
            case Wait(until):
                return until - now

    def _publish(self, completion_id: str, notification: dict[str, Any]) -> None:
        """Publish an end that is recorded, and mark it as published."""
        status = notification["status"]
        self._services.notifications.publish(notification)
        count(METRICS[status], self._services.config.service)
        self._services.completions.mark_published(completion_id, self._owner)
        shown = {name: notification[name] for name in ("target", "status", "jobIds", "durationSeconds", "reason")}
        log = logger.info if status == "completed" else logger.warning
        log("The job has ended", trigger=notification["trigger"]["id"], **shown)

    def _note(self, job_id: str, item: Item, observation: Observation) -> float:
        """Note what a later poll must know. Return since when the job is missing: now, where it is not."""
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
                    # Once for all polls of the job, and all messages about it.
                    logger.warning("An unknown job status counts as running", job=job_id, status=job.status)
                    news = {"unknownStatus": job.status}
        if news or forget:
            self._services.completions.note(job_id, news, forget)
            item |= news
        return float(item.get("missingSince", now))
