"""A world whose time the test moves: the function's, Commvault's and the queues' clocks are one.

Its queues are in memory, at the SDK's wire, so that a message waits for this time. All other services are the emulator's.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from local.commserve import CommServe
from local.emulator import Emulator
from local.rds import RESTORED, delivered, rds_event
from rds_snap_backup.messaging.notifications import iso
from tests.integration.world import RUN_SECONDS, World, record, scheduled

MINUTE, HOUR, DAY = 60, 3600, 86400
VISIBILITY_SECONDS = 90
BATCH = 10
JOB_SECONDS = 600.0
PAUSES = {"FIRST_RETRY_SECONDS": "30", "FIRST_POLL_SECONDS": "600", "RECONCILE_SECONDS": "600"}


@dataclass(eq=False)
class Message:
    """A message on a queue; it can be received from `due` on."""

    body: str
    due: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Call:
    """A call of AWS, with the parameters that the function gave."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


class Timeline(World):
    """It moves only by `run`. `calls` are the functions' calls of AWS."""

    def __init__(self, aws: Emulator, commserve: CommServe, **settings: str) -> None:
        commserve.clock.freeze()
        commserve.job_seconds = JOB_SECONDS
        self.calls: list[Call] = []
        self.queues: defaultdict[str, list[Message]] = defaultdict(list)
        super().__init__(aws, commserve, **(PAUSES | settings))

    def clock(self) -> float:
        return self.commserve.clock.now()

    def client(self, service: str, **given: Any) -> Any:
        made = super().client(service, **given)
        if "aws_session_token" in given:  # It has another role.
            return made
        made.meta.events.register("provide-client-params", self._record)
        if service == "sqs":
            made.meta.events.register("before-call.sqs", self._answer)
        return made

    def event(self, database: str, event_id: str = RESTORED) -> dict[str, Any]:
        """Return an RDS event of the stack's own account that happens now."""
        return delivered(rds_event(database, event_id, date=iso(self.clock())))

    def schedule(self, name: str, target: str = "default") -> dict[str, Any]:
        """Return the input of a schedule that is due now."""
        return {**scheduled(name, target), "time": iso(self.clock())}

    @property
    def queue(self) -> list[Message]:
        """The messages of the Submissions queue."""
        return self.queues[self.submissions]

    def run(self, seconds: float = 10 * DAY) -> None:
        """Deliver what is on the queue, each message when it is due, until it is empty or so much time is over."""
        until = self.clock() + seconds
        while self.queue and (due := min(message.due for message in self.queue)) <= until:
            self.commserve.advance(max(0, due - self.clock()))
            self.receive()
        if self.queue:
            self.commserve.advance(until - self.clock())

    def receive(self) -> None:
        """Be the event source once, with up to ten messages that are due."""
        batch = [message for message in self.queue if message.due <= self.clock()][:BATCH]
        for message in batch:
            message.due = self.clock() + VISIBILITY_SECONDS
        records = [record(message.id, message.id, message.body) for message in batch]
        answer = self.backup.receive_batch(records, lambda: RUN_SECONDS)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self.queues[self.submissions] = [
            message for message in self.queue if message not in batch or message.id in failed
        ]

    def redrive(self, body: Any) -> None:
        self._put(self.submissions, body if isinstance(body, str) else json.dumps(body))

    def take_over(self) -> None:
        """Take what is on the emulator's queues, where a real run has put it."""
        for url in (self.submissions, self.dead_letter_queue):
            for message in super().messages_of(url):
                self._put(url, message["Body"])

    def messages_of(self, url: str) -> list[dict[str, Any]]:
        return [{"Body": message.body} for message in self.queues[url]]

    def dead_letters(self) -> list[Any]:
        return [json.loads(message.body) for message in self.queues.pop(self.dead_letter_queue, [])]

    def _put(self, url: str, body: str, delay: float = 0) -> None:
        self.queues[url].append(Message(body, self.clock() + delay))

    def _record(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.calls.append(Call(model.service_model.signing_name, model.name, dict(params)))

    def _answer(self, model: Any, params: Mapping[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        call = json.loads(params["body"])
        match model.name:
            case "SendMessage":
                self._put(call["QueueUrl"], call["MessageBody"], call.get("DelaySeconds", 0))
            case "SendMessageBatch":
                for entry in call["Entries"]:
                    self._put(call["QueueUrl"], entry["MessageBody"])
            case "ChangeMessageVisibilityBatch":
                messages = {message.id: message for message in self.queues[call["QueueUrl"]]}
                for entry in call["Entries"]:
                    messages[entry["ReceiptHandle"]].due = self.clock() + entry["VisibilityTimeout"]
            case other:
                raise NotImplementedError(other)
        return SimpleNamespace(status_code=200), {}
