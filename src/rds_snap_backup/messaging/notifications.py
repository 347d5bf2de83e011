"""SNS messages: a notification is rendered from the record's facts when it is published. And who is subscribed.

`audit_messages.py` renders the audit's message.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rds_snap_backup.core.record import Notice, Submission

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
# Quotes and backslashes break JSON that a template builds; chat programs read the others as markup, links and mentions.
NOT_PLAIN = re.compile(r"[^\w .-]")


def render(submission: Submission, notice: Notice) -> dict[str, Any]:
    """Return the notification of a notice."""
    backups = [submission.backups[position] for position in notice.backups]
    jobs = {backup.key: backup.job.id for backup in backups if backup.job and backup.job.id in notice.job_ids}
    if notice.status == "retrying":  # Its backups have no job any more.
        jobs = {backup.key: job_id for backup, job_id in zip(backups, notice.job_ids, strict=False)}
    notification: dict[str, Any] = {
        "version": VERSION,
        "status": notice.status,
        "target": submission.target,
        "attempt": notice.attempt,
        "jobIds": list(notice.job_ids),
        "taskId": notice.task_id,
        "backupLevel": notice.level or None,
        "associations": [{**backup.association.to_json(), "jobId": jobs.get(backup.key)} for backup in backups],
        "trigger": submission.trigger.to_json(),
        "submittedAt": iso(notice.submitted_at),
        "reconciled": notice.is_reconciled,
        "unsettled": submission.is_unsettled,
    }
    if notice.status == "retrying":
        notification["retryAt"] = iso(notice.retry_at)
    if notice.status in JOB_ENDS:
        started, ended = notice.started, notice.ended
        notification |= {
            "startedAt": iso(started),
            "endedAt": iso(ended),
            "durationSeconds": round(ended - started) if started and ended else None,
            "reason": notice.reason or None,
        }
    if notice.error:
        notification["error"] = notice.error.to_json()
    return {**notification, "title": _title(notification)}


def iso(timestamp: float) -> str | None:
    """Return Unix seconds as `2026-01-31T02:00:04Z`; None for 0, an unknown time."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if timestamp else None


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
            _message(notification),
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


def _title(notification: Mapping[str, Any]) -> str:
    """Return one line for people. Names are plain in it: a template can put it into JSON and into a chat message."""
    jobs = notification["jobIds"]
    shown = ", ".join(jobs[:MAX_TITLE_JOBS]) + (
        f" and {len(jobs) - MAX_TITLE_JOBS} more" if len(jobs) > MAX_TITLE_JOBS else ""
    )
    parts = [f"{notification['status'].replace('_', ' ')}: {_plain(notification['target'])}"]
    if jobs:
        parts.append(f"job{'s' if len(jobs) > 1 else ''} {shown}")
    if error := notification.get("error"):
        parts.append(_plain(error["code"]))
    return ", ".join(parts)[:MAX_TITLE]


def _plain(name: str) -> str:
    return NOT_PLAIN.sub("?", name)


def _message(notification: dict[str, Any]) -> str:
    """Return the message in its forms. A document of 8 KB makes far less than SNS accepts."""
    return json.dumps({"default": json.dumps(notification), "email": _text(notification)})


def _text(notification: dict[str, Any]) -> str:
    trigger, error = notification["trigger"], notification.get("error")
    lines = [
        ("Target", notification["target"]),
        ("Status", notification["status"].replace("_", " ")),
        ("Jobs", ", ".join(notification["jobIds"])),
        ("Task", notification["taskId"]),
        ("Level", notification["backupLevel"]),
        ("Attempt", notification["attempt"] or None),
        ("Submitted", notification["submittedAt"]),
        ("Next try", notification.get("retryAt")),
        ("Started", notification.get("startedAt")),
        ("Ended", notification.get("endedAt")),
        ("Duration (s)", notification.get("durationSeconds")),
        ("Reason", notification.get("reason")),
        ("Trigger", trigger["kind"]),
        ("Event", " ".join(filter(None, (trigger.get("rdsEventId"), trigger.get("message"))))),
        ("Database", trigger.get("sourceArn")),
        ("Trigger time", trigger.get("time")),
        ("Trigger id", trigger["id"]),
    ]
    if error:
        lines += [("Error", f"{error['code']}: {error['message']}"), ("What to do", error["hint"])]
    subclients = [
        f"  {names['clientName']} / {names['instanceName']} / {names['subclientName']}"
        + (f": job {names['jobId']}" if names["jobId"] else "")
        for names in notification["associations"]
    ]
    known = [f"{name}: {value}" for name, value in lines if value not in {None, ""}]
    return "\n".join([*known, *(["Subclients:", *subclients] if subclients else [])])
