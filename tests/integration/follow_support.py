"""A world whose time is simulated: its Jobs queue is filled by the real topic, and its visibility follows that time."""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.follow.batches import Follower
from rds_snap_backup.follow.workflow import follow
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.observability import logger
from tests.integration.world import ASSOCIATION, World, lazily
from tests.support import Context

VISIBILITY_TIMEOUT = 90
RESTORED: dict[str, Any] = {
    "source": "aws.rds",
    "detail-type": "RDS DB Instance Event",
    "detail": {
        "EventID": "RDS-EVENT-0043",
        "SourceType": "DB_INSTANCE",
        "SourceArn": "arn:aws:rds:us-east-1:111122223333:db:orders",
        "SourceIdentifier": "orders",
        "Date": "2026-01-31T02:00:00.000Z",
        "Message": "Restored from snapshot",
    },
}


@dataclass(slots=True)
class Waiting:
    """A message on the Jobs queue."""

    id: str
    body: str
    visible_at: float
    receives: int = 0

    def record(self) -> dict[str, Any]:
        """Receive it."""
        self.receives += 1
        return {
            "messageId": self.id,
            "receiptHandle": self.id,
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.receives)},
            "eventSource": "aws:sqs",
        }


class Broken:
    """A client of AWS whose calls of one name fail, after so many that do not; other calls are the real client's."""

    def __init__(self, client: Any, name: str, after: int = 0) -> None:
        self._client, self._name, self._left = client, name, after

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            self._left -= 1
            if self._left < 0:
                raise ConnectionError(f"{name} was cut off")
        return getattr(self._client, name)


class Following:
    """Submit and Follow with one clock; `now` is the time."""

    def __init__(self, aws: Emulator, commserve: CommServe, **settings: str) -> None:
        self.aws, self.commserve = aws, commserve
        commserve.clock.freeze()
        sqs = aws.client("sqs")
        self.url = sqs.create_queue(QueueName=f"jobs-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        self.world = World(aws, commserve, JOBS_QUEUE_URL=self.url, **{"FIRST_POLL_SECONDS": "60", **settings})
        arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = self.world.config.notifications_topic_arn
        sender = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**sender, "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps(policy)})
        aws.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={
                "RawMessageDelivery": "true",
                "FilterPolicy": json.dumps({"status": ["submitted", "joined"]}),
            },
        )
        self.submitter = self.world.sandbox(self.clock)
        self.follower = self.sandbox()
        self.messages: dict[str, Waiting] = {}

    def clock(self) -> float:
        """The time, which is the simulator's."""
        return self.commserve.clock.now()

    def sandbox(self, clock: Callable[[], float] | None = None, **clients: Any) -> Follower:
        """Return another sandbox of the Follow function, whose clock is the simulator's where none is given."""
        names = ("dynamodb", "secretsmanager", "sns", "ssm")
        made = {name: self.aws.client(name) for name in names} | {"sqs": self} | clients
        return Follower.make(self.world.config, lazily(made), clock or self.clock)

    def change_message_visibility(self, **call: Any) -> None:
        """Be the queue's API."""
        assert call["QueueUrl"] == self.url
        assert 1 <= call["VisibilityTimeout"] <= 900
        self.messages[call["ReceiptHandle"]].visible_at = self.clock() + call["VisibilityTimeout"]

    def submit(self, target: str = "default") -> dict[str, Any]:
        """Submit a backup and let its notification reach the Jobs queue; return it."""
        return self.trigger({"target": target, "requestId": uuid.uuid4().hex})

    def trigger(self, event: dict[str, Any]) -> dict[str, Any]:
        """Deliver any trigger like that."""
        (submission,) = self.world.deliver(event, self.submitter)["submissions"]
        self.collect()
        return dict(submission)

    def collect(self) -> None:
        """Take what the topic has sent to the real queue."""
        sqs = self.aws.client("sqs")
        while received := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in received:
                self.put(message["Body"], message["MessageId"])
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def put(self, body: str, message_id: str | None = None) -> Waiting:
        """Put a message on the Jobs queue."""
        waiting = Waiting(message_id or uuid.uuid4().hex, body, self.clock())
        self.messages[waiting.id] = waiting
        return waiting

    def put_job(self, **job: Any) -> str:
        """Start a job of any subclient, as if it had just been submitted, and return its id."""
        job_id = self.commserve.add_job("aws-prod", "orders-db", **job).id
        notification = {
            "version": "1",
            "status": "submitted",
            "target": "default",
            "jobIds": [job_id],
            "taskId": 402,
            "backupLevel": "FULL",
            "associations": [ASSOCIATION],
            "trigger": {"kind": "manual", "id": job_id},
            "submittedAt": iso(self.clock()),
            "reconciled": False,
        }
        self.put(json.dumps(notification))
        return job_id

    def due(self) -> list[Waiting]:
        """The messages that are visible."""
        now = self.clock()
        return [one for one in self.messages.values() if one.visible_at <= now]

    def receive(self, follower: Follower | None = None, most: int = 10, context: Any = None) -> None:
        """Be the event source once: hand over what is due, delete what was done; nothing, where the function failed."""
        batch = self.due()[:most]
        for one in batch:
            one.visible_at = self.clock() + VISIBILITY_TIMEOUT
        event = {"Records": [one.record() for one in batch]}
        ours: Any = context or Context()
        answer = follow(follower or self.follower, event, ours)
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for one in batch:
            if one.id not in failed:
                del self.messages[one.id]

    def run(self, seconds: float) -> None:
        """Let so much time go by, and the event source hand over what is due meanwhile."""
        end = self.clock() + seconds
        while self.messages and (at := min(one.visible_at for one in self.messages.values())) <= end:
            self.commserve.advance(max(0.0, at - self.clock()))
            self.receive()
        self.commserve.advance(max(0.0, end - self.clock()))

    def polls(self) -> int:
        """How many reading calls Commvault has had."""
        return sum(request.method == "GET" for request in self.commserve.requests)

    def ends(self) -> list[dict[str, Any]]:
        """What was published of the ends of jobs, so far."""
        submissions = {"submitted", "joined"}
        return [dict(one) for one in self.world.notifications() if one["status"] not in submissions]

    def polls_between(self, since: float, until: float) -> int:
        """How many of them in a time."""
        return sum(since <= request.clock < until for request in self.commserve.requests if request.method == "GET")

    @contextmanager
    def logged(self, text: str) -> Iterator[list[str]]:
        """Collect the log's lines of a text."""
        lines: list[str] = []

        class Keep(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if text in record.getMessage():
                    lines.append(record.getMessage())

        handler, named = Keep(), logging.getLogger(logger.name)
        named.addHandler(handler)
        try:
            yield lines
        finally:
            named.removeHandler(handler)
