"""SNS messages: one JSON object for programs, plain text for people; and who is subscribed to them.

What an audit's message holds is decided in `audit_messages.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import BackupRequest
from rds_snap_backup.triggers import Trigger

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

VERSION = "1"
SUBMITTED = frozenset({"submitted", "joined", "scheduled"})
SUBMISSION_ENDS = SUBMITTED | {"rejected", "abandoned"}
# Of the 262,144 bytes that SNS accepts, attributes and all. JSON escapes what is not ASCII: characters are bytes.
MAX_MESSAGE_BYTES = 250_000
# SNS accepts fewer than 100 characters.
MAX_SUBJECT = 99


def build(
    status: str,
    target: str,
    request: BackupRequest | None,
    trigger: Trigger,
    *,
    now: float,
    job_ids: Sequence[str] = (),
    task_id: int | None = None,
    problem: Problem | None = None,
    reconciled: bool = False,
) -> dict[str, Any]:
    """Return the notification of a submission's end; `request` is None where its target's document is not usable.

    `submittedAt` is null where nothing was submitted.
    """
    is_submitted = status in SUBMITTED or bool(job_ids)
    associations = request.associations if request else ()
    notification: dict[str, Any] = {
        "version": VERSION,
        "status": status,
        "target": target,
        "jobIds": list(job_ids),
        "taskId": task_id,
        "backupLevel": request.backup_level if request else None,
        "associations": [association.to_json() for association in associations],
        "trigger": trigger.to_json(),
        "submittedAt": iso(now) if is_submitted else None,
        "reconciled": reconciled,
    }
    return notification if problem is None else {**notification, "error": problem.to_json()}


def build_end(
    submission: Mapping[str, Any],
    job_id: str,
    status: str,
    *,
    associations: Sequence[Mapping[str, str]],
    started: float,
    ended: float,
    reason: str,
    problem: Problem | None,
) -> dict[str, Any]:
    """Return the notification of a job's end, for the associations that it ran for. Times that are not known are 0."""
    notification: dict[str, Any] = {
        "version": VERSION,
        "status": status,
        "target": submission["target"],
        "jobIds": [job_id],
        **{name: submission.get(name) for name in ("taskId", "backupLevel", "trigger", "submittedAt")},
        "associations": list(associations),
        "reconciled": bool(submission.get("reconciled")),
        "startedAt": iso(started) if started else None,
        "endedAt": iso(ended) if ended else None,
        "durationSeconds": round(ended - started) if started and ended else None,
        "reason": reason or None,
    }
    return notification if problem is None else {**notification, "error": problem.to_json()}


def iso(timestamp: float) -> str:
    """Return Unix seconds as `2026-01-31T02:00:04Z`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Subscription:
    """A subscription of the topic. One that its owner has not confirmed yet receives nothing."""

    protocol: str
    endpoint: str
    is_confirmed: bool


class Notifications:
    """The topic."""

    def __init__(self, topic_arn: str, client: "SNSClient") -> None:
        self._topic_arn = topic_arn
        self._client = client

    def publish(self, notification: dict[str, Any]) -> None:
        """Publish a notification; its attributes `status`, `target`, `trigger` and `followed` serve filter policies."""
        attributes = {
            "status": notification["status"],
            "target": notification["target"],
            "trigger": notification["trigger"]["kind"],
        }
        if notification["jobIds"] and notification["status"] in SUBMISSION_ENDS:
            attributes["followed"] = "yes"
        self._publish(_subject(notification), _message(notification), attributes)

    def publish_audit(self, report: Mapping[str, Any]) -> None:
        """Publish what an audit found, which is of no one target and no one trigger."""
        message = audit_messages.message(report, MAX_MESSAGE_BYTES)
        self._publish(audit_messages.subject(report), message, {"status": report["status"]})

    def subscriptions(self) -> Iterator[Subscription]:
        """Yield the topic's subscriptions, page by page."""
        pages = self._client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self._topic_arn)
        for page in pages:
            for row in page["Subscriptions"]:
                # https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html: else "PendingConfirmation" or "Deleted".
                is_confirmed = row.get("SubscriptionArn", "").startswith("arn:")
                yield Subscription(row.get("Protocol", ""), row.get("Endpoint", ""), is_confirmed)

    def _publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        self._client.publish(
            TopicArn=self._topic_arn,
            Subject=subject[:MAX_SUBJECT],
            MessageStructure="json",
            Message=message,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )


def _message(notification: dict[str, Any]) -> str:
    """Return the message in its forms; where it is larger than SNS accepts, associations are counted, not listed."""
    message = json.dumps({"default": json.dumps(notification), "email": _text(notification)})
    if len(message) <= MAX_MESSAGE_BYTES:
        return message
    counted = {**notification, "associations": [], "associationCount": len(notification["associations"])}
    return json.dumps({"default": json.dumps(counted), "email": _text(counted)})


def _subject(notification: dict[str, Any]) -> str:
    status = notification["status"].replace("_", " ")
    jobs = ", ".join(notification["jobIds"])
    return f"RDS backup {status}: {notification['target']}{f' (job {jobs})' if jobs else ''}"


def _text(notification: dict[str, Any]) -> str:
    trigger, error = notification["trigger"], notification.get("error")
    lines = [
        ("Target", notification["target"]),
        ("Status", notification["status"].replace("_", " ")),
        ("Jobs", ", ".join(notification["jobIds"])),
        ("Task", notification["taskId"]),
        ("Level", notification["backupLevel"]),
        ("Submitted", notification["submittedAt"]),
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
        f"  {one['clientName']} / {one['instanceName']} / {one['subclientName']}"
        for one in notification["associations"]
    ]
    known = [f"{name}: {value}" for name, value in lines if value not in {None, ""}]
    counted = notification.get("associationCount")
    return "\n".join([*known, f"Subclients: {counted}" if counted else "Subclients:", *subclients])
