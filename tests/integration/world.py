"""The stack's resources made by hand, and the function's code run in this process as Lambda would run it."""

import json
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from local.commserve import CommServe
from local.emulator import Emulator
from local.subscriber import Subscriber
from rds_snap_backup.audit.daily import Auditor
from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.submit.deliveries import DirectDelivery, handle_records
from tests.ledger import create_ledger
from tests.support import ENVIRONMENT, Context

ASSOCIATION = {
    "clientName": "aws-prod",
    "instanceName": "orders-db",
    "displayName": "aws-prod",
    "subclientName": "default",
}


def scheduled(name: str, target: str = "default") -> dict[str, Any]:
    """Return the input of a schedule, which unlike a manual trigger needs no safety net."""
    return {"target": target, "schedule": f"arn:aws:scheduler:{name}", "time": "2026-01-31T02:00:00Z"}


def lazily(clients: Mapping[str, Any]) -> Clients:
    """Return these clients as the function has them: those of SQS and RDS are made when they are needed."""
    return Clients(**{**clients, "sqs": lambda: clients["sqs"], "rds": lambda: clients["rds"]})


class World:
    """AWS resources, a target `default` whose databases are all, a token, and the deliveries of events."""

    # Those of the test that runs, which are searched for secrets at its end.
    made: ClassVar[list["World"]] = []

    def __init__(self, aws: Emulator, commserve: CommServe, **settings: str) -> None:
        self.aws, self.commserve = aws, commserve
        self.name = f"world-{uuid.uuid4().hex[:8]}"
        topic = aws.client("sns").create_topic(Name=self.name)["TopicArn"]
        create_ledger(aws.client("dynamodb"), self.name)
        self.submissions = self._queue("submissions")
        self.dead_letter_queue = self._queue("dead-letters")
        self.secret = aws.client("secretsmanager").create_secret(Name=self.name, SecretString=commserve.token)["ARN"]
        aws.client("ssm").put_parameter(Name=f"/{self.name}/ca", Value=commserve.ca_pem, Type="String")
        self.environment = {
            **ENVIRONMENT,
            "COMMVAULT_API_URL": commserve.url,
            "TOKEN_SECRET_ARN": self.secret,
            "TARGETS_PATH": f"/{self.name}/targets/",
            "LEDGER_TABLE": self.name,
            "NOTIFICATIONS_TOPIC_ARN": topic,
            "SUBMISSIONS_QUEUE_URL": self.submissions,
            "DEAD_LETTER_QUEUE_URL": self.dead_letter_queue,
            "CA_CERTIFICATE_PARAMETER": f"/{self.name}/ca",
            **settings,
        }
        self.config = Config.from_env(self.environment)
        self.subscriber = Subscriber.subscribe(aws, topic)
        self.target("default", databases=["*"])
        self.services = self.sandbox()
        self.made.append(self)

    def sandbox(self, clock: Callable[[], float] = time.time, **clients: Any) -> Services:
        """Return the services of another sandbox of the function: nothing is cached in it yet."""
        return bootstrap(self.config, self._clients(clients), clock)

    def auditor(self, clock: Callable[[], float] = time.time, **clients: Any) -> Auditor:
        """Return a sandbox of the Audit function."""
        return Auditor.make(self.config, self._clients(clients), clock)

    def target(self, name: str, **document: Any) -> None:
        """Add or replace a target; without `associations` it has the one of orders-db."""
        self.target_text(name, json.dumps({"associations": [ASSOCIATION], **document}))

    def target_text(self, name: str, text: str) -> None:
        """Add or replace a target's document, whatever its text."""
        path = f"/{self.name}/targets/{name}"
        self.aws.client("ssm").put_parameter(Name=path, Value=text, Type="String", Overwrite=True)

    def deliver(self, event: Any, services: Services | None = None, context: Any = None) -> Any:
        """Invoke the function with an event; return its answer."""
        from rds_snap_backup.submit.dispatch import handle

        services = services or self.services
        ours: Any = context or Context()
        return handle(services, event, DirectDelivery(services, ours))

    def deliver_message(self, body: Any, message_id: str | None = None, receives: int = 1) -> Any:
        """Hand a message that is on no real queue to the function, as the event source would."""
        message = {"messageId": message_id or str(uuid.uuid4()), "body": body, "receiptHandle": "none"}
        record = {**message, "attributes": {"ApproximateReceiveCount": str(receives)}, "eventSource": "aws:sqs"}
        return self.handle({"Records": [record]})

    def poll(self, handler: Callable[[Any], Any] | None = None, wait: int = 0) -> int:
        """Be the event source once: receive messages that are due, hand them over, delete what is done.

        `handler` takes the event source's event, and is this process's function unless another one is given.
        """
        sqs = self.aws.client("sqs")
        answer = sqs.receive_message(
            QueueUrl=self.submissions, MaxNumberOfMessages=10, WaitTimeSeconds=wait, AttributeNames=["All"]
        )
        for received in answer.get("Messages", []):
            message = {
                "messageId": received["MessageId"],
                "receiptHandle": received["ReceiptHandle"],
                "body": received["Body"],
                "attributes": received["Attributes"],
            }
            event = {"Records": [{**message, "eventSource": "aws:sqs"}]}
            if not (handler or self.handle)(event)["batchItemFailures"]:
                sqs.delete_message(QueueUrl=self.submissions, ReceiptHandle=received["ReceiptHandle"])
        return len(answer.get("Messages", []))

    def drain(self, within: float = 30, handler: Callable[[Any], Any] | None = None) -> None:
        """Poll until the Submissions queue is empty, waiting messages included."""
        deadline = time.monotonic() + within
        while self.waiting():
            assert time.monotonic() < deadline, f"still on the queue: {self.waiting()}"
            self.poll(handler, wait=1)

    def delayed(self) -> list[dict[str, Any]]:
        """Look at the messages of the Submissions queue that are not visible yet, without receiving any."""
        return [json.loads(one["Body"]) for one in self.messages_of(self.submissions) if not one["IsVisible"]]

    def messages_of(self, url: str) -> list[dict[str, Any]]:
        """Look at all messages of a queue, without receiving any."""
        query = urllib.parse.urlencode({"QueueUrl": url})
        with urllib.request.urlopen(f"{self.aws.endpoint_url}/_ministack/sqs/messages?{query}", timeout=10) as answer:
            accounts = json.load(answer)["messages"]
        return [
            one
            for regions in accounts.values()
            for queues in regions.values()
            for rows in queues.values()
            for one in rows
        ]

    def deliver_delayed(self) -> None:
        """Put the messages that are delayed on the queue again, without a delay, and hand them over."""
        bodies = self.delayed()
        self.aws.client("sqs").purge_queue(QueueUrl=self.submissions)
        for body in bodies:
            self.redrive(body)
            self.poll()

    def waiting(self) -> int:
        """How many messages the Submissions queue holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        names.append("ApproximateNumberOfMessagesDelayed")
        attributes = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.submissions, AttributeNames=names)
        return sum(int(attributes["Attributes"].get(name, 0)) for name in names)

    def notifications(self) -> list[Mapping[str, Any]]:
        """Every message that a subscriber of the topic has received so far."""
        self.subscriber.receive()
        return [message.body for message in self.subscriber.received]

    def dead_letters(self) -> list[Any]:
        """Receive what is in the dead-letter queue, and delete it."""
        sqs, bodies = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.dead_letter_queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.dead_letter_queue, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def redrive(self, dead_letter: Any) -> None:
        """Send a dead letter back to the Submissions queue."""
        self.aws.client("sqs").send_message(QueueUrl=self.submissions, MessageBody=json.dumps(dead_letter))

    def items(self, prefix: str = "submission#") -> list[dict[str, Any]]:
        """Return the ledger's items of a kind, as plain values."""
        rows = self.aws.client("dynamodb").scan(TableName=self.name)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in row.items()} for row in rows]
        return [row for row in plain if row["pk"].startswith(prefix)]

    @contextmanager
    def set_token(self, value: str) -> Iterator[None]:
        """Store another text in the secret for a while."""
        secrets = self.aws.client("secretsmanager")
        secrets.put_secret_value(SecretId=self.secret, SecretString=value)
        yield
        secrets.put_secret_value(SecretId=self.secret, SecretString=self.commserve.token)

    def handle(self, event: dict[str, Any], context: Any = None) -> Any:
        """Hand an event of the event source to the function."""
        from rds_snap_backup.submit.dispatch import handle

        context = context or Context()
        return handle_records(self.services, event, context, handle)

    def _clients(self, clients: Mapping[str, Any]) -> Clients:
        names = ("dynamodb", "rds", "secretsmanager", "sns", "sqs", "ssm")
        return lazily({name: self.aws.client(name) for name in names} | dict(clients))

    def _queue(self, name: str) -> str:
        url = self.aws.client("sqs").create_queue(QueueName=f"{self.name}-{name}")["QueueUrl"]
        return str(url)
