"""The example of events out: its queue, the event that its pipe makes of a message, and the chat message that a rule makes of it.

The emulator deploys pipes and does not poll queues for them. So a pipe's work is done here on the real messages: the target
parameters of the template, applied to the bodies.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.emulator import ACCOUNT, REGION, Emulator
from local.stack import apply_template
from local.subscriber import Subscriber
from local.tools import ROOT
from rds_snap_backup.core.backups import Backup, Tried
from rds_snap_backup.core.phases import Ended, JobRef
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.messaging.notifications import JOB_ENDS, PROBLEMS, Notifications, render
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.unit.documents import read
from tests.unit.template import CHAT, EVENTS_OUT, Resolved

BUS = "notifications-out"
PIPE = Resolved({"EventBusName": BUS}, EVENTS_OUT).resources["Pipe"]["Properties"]
SUBMITTED = 1769824804
TRIGGER = Trigger("schedule", "arn|2026-01-31T02:00:00Z", "2026-01-31T02:00:00Z")
HOSTILE = '<!channel> @here *x* `y` "}, {"'


def backup_notification(status: str, target: str = "orders", job_id: str = "1354") -> dict[str, Any]:
    """Return the notification about a backup; one that was rejected has no job."""
    association = Association("aws-prod", "RDS", "nightly", "aws-prod")
    ended = Ended("failed", JobRef(job_id, "FULL", SUBMITTED))
    backup = Backup(association, SUBMITTED, ended, Tried(SUBMITTED))
    error = Problem("JOB_FAILED", "…", "…")
    notice = Notice(status, SUBMITTED, (0,), attempt=1, level="FULL", error=error)
    if status != "rejected":
        facts: dict[str, Any] = {
            "started": SUBMITTED + 1,
            "ended": SUBMITTED + 841,
            "reason": "The snapshot quota is reached.",
            "submitted_at": SUBMITTED,
        }
        notice = Notice(status, SUBMITTED, (0,), 1, "FULL", job_ids=(job_id,), error=error, **facts)
    return render(Submission(TRIGGER, target, SUBMITTED, SUBMITTED, backups=(backup,)), notice)


def audit_notification() -> dict[str, Any]:
    """Return the notification of an audit without findings."""
    counts = dict.fromkeys(audit_messages.VERDICTS, 0) | {"databases": 3, "protected": 3, "findings": 0}
    since = {"time": "2026-01-30T06:00:00Z", "submissions": 3, "backups": {}, "jobs": {"failed": 0}}
    answer = {"version": "2", "status": "audit", "ok": True, "news": False, "counts": counts, "since": since}
    return {**answer, "findings": [], "title": audit_messages.title(answer)}


@dataclass
class EventsOut:
    """The example, a topic, a queue that gets all events of the bus, and a subscriber of the chat topic."""

    aws: Emulator
    topic: str
    queue_url: str
    events_url: str
    chat: Subscriber

    def publish(self, notification: dict[str, Any]) -> None:
        notifications = Notifications(self.topic, self.aws.client("sns"))
        if notification["status"] == "audit":
            audit_messages.publish(notifications, notification, is_problem=False)
        else:
            notifications.publish(notification)

    def run_pipe(self) -> list[dict[str, Any]]:
        """Put the queue's messages on the bus as the pipe does, and return the events that arrived there."""
        target = PIPE["TargetParameters"]
        assert target["InputTemplate"] == "<$.body>"
        for body in self._received(self.queue_url):
            # A body that is JSON is an object to a pipe, and the template is that object.
            bus = target["EventBridgeEventBusParameters"]
            entry = {"Source": bus["Source"], "DetailType": bus["DetailType"], "Detail": json.dumps(json.loads(body))}
            self.aws.client("events").put_events(Entries=[{**entry, "EventBusName": PIPE["Target"].split("/")[1]}])
        return [json.loads(body) for body in self._received(self.events_url)]

    def _received(self, url: str) -> list[str]:
        sqs, bodies = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@pytest.fixture(scope="module")
def out(aws: Emulator) -> Iterator[EventsOut]:
    events, sqs = aws.client("events"), aws.client("sqs")
    events.create_event_bus(Name=BUS)
    topic = aws.client("sns").create_topic(Name="notifications")["TopicArn"]
    parameters = {"events-out": {"NotificationsTopicArn": topic}, "chat": {}}
    ours, theirs = (
        apply_template(
            aws, name, (ROOT / "examples" / name / "template.yaml").read_text(), {"EventBusName": BUS} | more
        )
        for name, more in parameters.items()
    )
    url = sqs.create_queue(QueueName="all-events")["QueueUrl"]
    events.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"account": [ACCOUNT]}))
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:all-events"}
    events.put_targets(Rule="all", EventBusName=BUS, Targets=[target])
    yield EventsOut(aws, topic, ours["Queue"], url, Subscriber.subscribe(aws, theirs["Chat"]))
    for name in ("chat", "events-out"):
        aws.client("cloudformation").delete_stack(StackName=name)


def documented() -> list[Any]:
    """Return the JSON objects that the example's README shows: an event, and a pattern."""
    blocks = re.findall(r"```json\n(.*?)```", read("examples/events-out/README.md"), re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_a_notification_is_the_documented_event(out: EventsOut) -> None:
    notification = backup_notification("failed")
    out.publish(notification)
    (event,) = out.run_pipe()
    example, pattern = documented()
    assert event == {
        "version": "0",
        "id": event["id"],
        "detail-type": "RDS Snap Backup Notification",
        "source": "rds-snap-backup",
        "account": ACCOUNT,
        "time": event["time"],
        "region": REGION,
        "resources": [],
        "detail": notification,
    }
    assert example.keys() == event.keys()
    unique = {"trigger": {**notification["trigger"], "id": "…"}}
    assert example["detail"] == notification | unique
    matches = out.aws.client("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
    assert matches["Result"]


def test_what_is_no_notification_does_not_become_an_event(out: EventsOut) -> None:
    out.aws.client("sns").publish(TopicArn=out.topic, Message='{"AlarmName": "on the wrong topic"}')
    assert out.run_pipe() == []


def test_chat_shows_problems_and_the_audit_without_quotes_markup_or_mentions(out: EventsOut) -> None:
    out.chat.receive()
    for status in ("submitted", "retrying", "completed", "joined"):
        out.publish(backup_notification(status))
    out.publish(backup_notification("rejected", HOSTILE))
    out.publish(backup_notification("failed", HOSTILE))
    out.publish(backup_notification("lost", job_id="1355"))
    out.publish(audit_notification())
    events = {event["detail"]["title"]: event for event in out.run_pipe()}
    assert len(events) == 8
    shown = {message.body["content"]["title"]: message.body for message in out.chat.receive()}
    plain = "??channel? ?here ?x? ?y? ??? ??"
    assert sorted(shown) == [
        "audit: 3 of 3 databases protected, no findings",
        f"failed: {plain}, job 1354, JOB_FAILED",
        "lost: orders, job 1355, JOB_FAILED",
        f"rejected: {plain}, JOB_FAILED",
    ]
    for title, message in shown.items():
        event = events[title]
        has_job = event["detail"]["status"] in JOB_ENDS
        thread = f"rds-snap-backup-{ACCOUNT}-{REGION}-2026-01-31T02:00:04Z" if has_job else event["id"]
        assert message == {
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": title,
                "description": f"Account {ACCOUNT}, {REGION}, {event['time']}",
            },
            "metadata": {"threadId": thread},
        }


def test_chat_shows_every_status_of_a_problem_once() -> None:
    rules = Resolved({}, CHAT).of_type("AWS::Events::Rule")
    shown = {name: set(rule["EventPattern"]["detail"]["status"]) for name, rule in rules.items()}
    assert shown == {"JobProblems": PROBLEMS & JOB_ENDS, "Others": PROBLEMS - JOB_ENDS | {"audit"}}
