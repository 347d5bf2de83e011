"""SNS messages: a notification is rendered from the record's facts when it is published. And who is subscribed.

`audit_messages.py` renders the audit's message.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.untrusted import MAX_TIME

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

VERSION = "2"
PROBLEMS = frozenset({"rejected", "abandoned", "completed_with_errors", "failed", "killed", "lost"})
JOB_ENDS = frozenset({"completed", "completed_with_errors", "failed", "killed", "lost"})
# Of the 262,144 bytes that SNS accepts, attributes included. JSON escapes what is not ASCII: characters are bytes.
MAX_MESSAGE_BYTES = 250_000
# SNS accepts fewer than 100 characters.
MAX_SUBJECT = 99
MAX_TITLE = 250
MAX_TITLE_JOBS = 5
# The first second that Python's datetime knows.
MIN_TIME = -62135596800
# Quotes and backslashes break JSON that a template builds; chat programs read the others as markup, links and mentions.
NOT_PLAIN = re.compile(r"[^\w .-]")


# Which messages have a field, in words and as a test.
type Presence = tuple[str, Callable[[Notice], bool]]
ALL: Presence = ("all", lambda _: True)
RETRY: Presence = ("`retrying`", lambda notice: notice.status == "retrying")
END: Presence = ("ends of jobs", lambda notice: notice.status in JOB_ENDS)
ERROR: Presence = ("those with an error", lambda notice: notice.error is not None)


@dataclass(frozen=True)
class MessageField:
    """A field of a notification: its meaning in Markdown, its value, its label or its lines in the text, and who has it."""

    meaning: str
    value: Callable[[Submission, Notice], Any]
    text: str | Callable[[Any], Iterable[str]] = lambda _: ()
    presence: Presence = ALL

    def lines(self, value: Any) -> Iterable[str]:
        """Return the lines of a value; none if it is unknown."""
        if not isinstance(self.text, str):
            return self.text(value)
        shown = ", ".join(value) if isinstance(value, list) else value
        return [f"{self.text}: {shown}"] if shown else []


def render(submission: Submission, notice: Notice) -> dict[str, Any]:
    """Return the notification of a notice."""
    return {name: field.value(submission, notice) for name, field in FIELDS.items() if field.presence[1](notice)}


def text_of(notification: Mapping[str, Any]) -> str:
    """Return a notification as plain text for people."""
    return "\n".join(line for name, value in notification.items() for line in FIELDS[name].lines(value))


def iso(timestamp: float) -> str | None:
    """Return Unix seconds as `2026-01-31T02:00:04Z`, of the years 1 to 9999; None for 0, an unknown time."""
    known = min(max(int(timestamp), MIN_TIME), MAX_TIME)
    return datetime.fromtimestamp(known, UTC).isoformat().replace("+00:00", "Z") if timestamp else None


@dataclass(frozen=True)
class Subscription:
    """A subscription of a topic. An unconfirmed one receives nothing."""

    protocol: str
    endpoint: str
    is_confirmed: bool


class Notifications:
    """The topic."""

    def __init__(self, topic_arn: str, client: "SNSClient") -> None:
        self._topic_arn = topic_arn
        self._client = client

    def publish(self, notification: dict[str, Any]) -> None:
        """Publish a notification; its attributes `status`, `target`, `trigger` and `level` serve filter policies."""
        status = notification["status"]
        self.send(
            notification["title"],
            json.dumps({"default": json.dumps(notification), "email": text_of(notification)}),
            {
                "status": status,
                "target": notification["target"],
                "trigger": notification["trigger"]["kind"],
                "level": "problem" if status in PROBLEMS else "info",
            },
        )

    def send(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        """Publish a message that has a form for each protocol (`MessageStructure` json)."""
        self._client.publish(
            TopicArn=self._topic_arn,
            # SNS takes only ASCII here.
            Subject=subject.encode("ascii", "replace").decode()[:MAX_SUBJECT],
            MessageStructure="json",
            Message=message,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def subscriptions(self, topic_arn: str = "") -> Iterator[Subscription]:
        """Yield the subscriptions of the topic, or of another one, page by page."""
        pages = self._client.get_paginator("list_subscriptions_by_topic").paginate(
            TopicArn=topic_arn or self._topic_arn
        )
        for page in pages:
            for row in page["Subscriptions"]:
                # https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html: else "PendingConfirmation" or "Deleted".
                is_confirmed = row.get("SubscriptionArn", "").startswith("arn:")
                yield Subscription(row.get("Protocol", ""), row.get("Endpoint", ""), is_confirmed)


def _duration(_: Submission, notice: Notice) -> int | None:
    return round(notice.ended - notice.started) if notice.started and notice.ended else None


def _associations(submission: Submission, notice: Notice) -> list[dict[str, Any]]:
    backups = [submission.backups[position] for position in notice.backups]
    jobs = {backup.key: backup.job.id for backup in backups if backup.job and backup.job.id in notice.job_ids}
    if notice.status == "retrying":  # Its backups have no job any more.
        jobs = {backup.key: job_id for backup, job_id in zip(backups, notice.job_ids, strict=False)}
    return [{**backup.association.to_json(), "jobId": jobs.get(backup.key)} for backup in backups]


def _subclients(associations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if associations:
        yield "Subclients:"
    for names in associations:
        job = f": job {names['jobId']}" if names["jobId"] else ""
        yield f"  {names['clientName']} / {names['instanceName']} / {names['subclientName']}{job}"


def _trigger(trigger: Mapping[str, Any]) -> Iterable[str]:
    lines = {
        "Trigger": trigger["kind"],
        "Event": " ".join(filter(None, (trigger.get("rdsEventId"), trigger.get("message")))),
        "Database": trigger.get("sourceArn"),
        "Trigger time": trigger.get("time"),
        "Trigger id": trigger["id"],
    }
    return [f"{label}: {value}" for label, value in lines.items() if value]


def _title(submission: Submission, notice: Notice) -> str:
    """Return one line for people. Names are plain in it: a template can put it into JSON and into a chat message."""
    jobs = notice.job_ids
    shown = ", ".join(jobs[:MAX_TITLE_JOBS]) + (
        f" and {len(jobs) - MAX_TITLE_JOBS} more" if len(jobs) > MAX_TITLE_JOBS else ""
    )
    parts = [f"{notice.status.replace('_', ' ')}: {_plain(submission.target)}"]
    if jobs:
        parts.append(f"job{'s' if len(jobs) > 1 else ''} {shown}")
    if notice.error:
        parts.append(_plain(notice.error.code))
    return ", ".join(parts)[:MAX_TITLE]


def _plain(name: str) -> str:
    return NOT_PLAIN.sub("?", name)


# In the order of the text.
FIELDS: Mapping[str, MessageField] = {
    "version": MessageField("`2`", lambda *_: VERSION),
    "status": MessageField("what happened", lambda _, notice: notice.status, "Status"),
    "target": MessageField("the target's name", lambda submission, _: submission.target, "Target"),
    "attempt": MessageField("the number of the request, 0 for none", lambda _, notice: notice.attempt, "Attempt"),
    "jobIds": MessageField("all job IDs, as texts", lambda _, notice: list(notice.job_ids), "Jobs"),
    "taskId": MessageField("Commvault's ID of the task, or null", lambda _, notice: notice.task_id, "Task"),
    "backupLevel": MessageField("the level of the request, or null", lambda _, notice: notice.level or None, "Level"),
    "submittedAt": MessageField(
        "when the request was sent, or null", lambda _, notice: iso(notice.submitted_at), "Submitted"
    ),
    "retryAt": MessageField(
        "when the failed jobs are started again", lambda _, notice: iso(notice.retry_at), "Next try", RETRY
    ),
    "startedAt": MessageField("when the job started, or null", lambda _, notice: iso(notice.started), "Started", END),
    "endedAt": MessageField("when it ended, or null", lambda _, notice: iso(notice.ended), "Ended", END),
    "durationSeconds": MessageField("seconds between the two, or null", _duration, "Duration (s)", END),
    "reason": MessageField("Commvault's reason, or null", lambda _, notice: notice.reason or None, "Reason", END),
    "error": MessageField(
        "`code`, `message` and `hint`: [Errors](#errors)",
        lambda _, notice: notice.error and notice.error.to_json(),
        lambda error: [f"Error: {error['code']}: {error['message']}", f"What to do: {error['hint']}"],
        ERROR,
    ),
    "trigger": MessageField(
        "`kind` and `id`; `time`, `rdsEventId`, `sourceArn` and `message` if known",
        lambda submission, _: submission.trigger.to_json(),
        _trigger,
    ),
    "reconciled": MessageField(
        "true if the job was found after its answer was lost", lambda _, notice: notice.is_reconciled
    ),
    "unsettled": MessageField(
        "true if the database did not become available in time", lambda submission, _: submission.is_unsettled
    ),
    "associations": MessageField(
        "the backups: names, and `jobId`, null until Commvault's job list shows whose job it is",
        _associations,
        _subclients,
    ),
    "title": MessageField("one line for people", _title),
}
