"""A subscriber of the notifications: an SQS queue on the topic that keeps everything it receives. For tests and the demo."""

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from local.emulator import Emulator


@dataclass(frozen=True, slots=True)
class Message:
    """One message as an SQS subscriber sees it."""

    body: Mapping[str, Any]
    attributes: Mapping[str, str]
    delivered: float  # Unix time


@dataclass(slots=True)
class Subscriber:
    """A queue on the topic; `receive` appends to `received`."""

    aws: Emulator
    queue_url: str
    received: list[Message] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def subscribe(cls, aws: Emulator, topic: str, filter_policy: Mapping[str, Any] | None = None) -> Self:
        """Create a queue and subscribe it to `topic`."""
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName=f"subscriber-{uuid.uuid4().hex[:12]}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_admits(topic, arn))})
        attributes = {"FilterPolicy": json.dumps(filter_policy)} if filter_policy else {}
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return cls(aws, url)

    def receive(self, seconds: int = 0) -> list[Message]:
        """Receive what has arrived, waiting up to `seconds` for the first, and return only the new ones."""
        sqs = self.aws.client("sqs")
        new: list[Message] = []
        while True:
            wait = 0 if new else seconds
            answer = sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=wait,
                AttributeNames=["SentTimestamp"],
            )
            if not answer.get("Messages"):
                break
            for message in answer["Messages"]:
                envelope = json.loads(message["Body"])
                attributes = {name: part["Value"] for name, part in envelope.get("MessageAttributes", {}).items()}
                delivered = int(message["Attributes"]["SentTimestamp"]) / 1000
                new.append(Message(json.loads(envelope["Message"]), attributes, delivered))
            handles = [{"Id": row["MessageId"], "ReceiptHandle": row["ReceiptHandle"]} for row in answer["Messages"]]
            sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=handles)
        with self._lock:
            self.received += new
        return new


def _admits(topic: str, queue: str) -> dict[str, Any]:
    """Return the queue policy that lets the topic deliver, which every SQS subscriber needs."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
