"""The stack's resources made by hand, and the function's code run in this process as Lambda would run it."""

import json
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import boto3

from local.commserve import CommServe
from local.emulator import CREDENTIALS, REGION, Emulator
from local.subscriber import Subscriber
from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.bootstrap import SDK, Clients, Services, bootstrap
from rds_snap_backup.config import Config
from tests.ledger import create_ledger
from tests.support import ENVIRONMENT

if TYPE_CHECKING:
    from rds_snap_backup.audit.auditor import Auditor

ASSOCIATION = {
    "clientName": "aws-prod",
    "instanceName": "RDS",
    "displayName": "aws-prod",
    "subclientName": "orders-db",
}
SESSION: Any = boto3.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
SERVICES = ("dynamodb", "rds", "secretsmanager", "sns", "sqs", "ssm")
RUN_SECONDS = 50.0


def associations(*groups: str) -> list[dict[str, str]]:
    """Return the associations of these instance groups."""
    return [{**ASSOCIATION, "subclientName": group} for group in groups]


def scheduled(name: str, target: str = "default") -> dict[str, Any]:
    """Return the input of a schedule."""
    return {"target": target, "schedule": f"arn:aws:scheduler:{name}", "time": "2026-01-31T02:00:00Z"}


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
        self.made.append(self)

    def clock(self) -> float:
        """Return the function's time."""
        return time.time()

    # ---- Sandboxes

    @cached_property
    def backup(self) -> Deliveries:
        """The first sandbox of the Backup function."""
        return self.function()

    def sandbox(self, clock: Callable[[], float] = time.time, **clients: Any) -> Services:
        """Return the services of another sandbox: nothing is cached in it yet."""
        return bootstrap(self.config, self._clients(clients), clock)

    def function(self, **clients: Any) -> Deliveries:
        """Return another sandbox of the Backup function."""
        made = self._clients(clients)
        return Deliveries(bootstrap(self.config, made, self.clock), made.rds)

    def auditor(self, clock: Callable[[], float] = time.time, **clients: Any) -> "Auditor":
        """Return a sandbox of the Audit function, which tests of the other one do not need."""
        from rds_snap_backup.audit.auditor import Auditor

        return Auditor.make(self.config, self._clients(clients), clock)

    def client(self, service: str, **given: Any) -> Any:
        """Return a client of its own, as a sandbox has it."""
        return SESSION.client(service, endpoint_url=self.aws.endpoint_url, **{"config": SDK, **given})

    # ---- Deliveries

    def deliver(self, event: Any, function: Deliveries | None = None) -> Any:
        """Invoke the function with an event; return its answer."""
        answer = (function or self.backup).receive(event, str(uuid.uuid4()), lambda: RUN_SECONDS)
        return json.loads(json.dumps(answer))

    def redrive(self, body: Any) -> None:
        """Send a dead letter, or any other message, to the Submissions queue."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.aws.client("sqs").send_message(QueueUrl=self.submissions, MessageBody=text)

    # ---- What can be set and seen

    def target(self, name: str, **document: Any) -> None:
        """Add or replace a target; without `associations` it has the one of orders-db."""
        self.target_text(name, json.dumps({"associations": [ASSOCIATION], **document}))

    def target_text(self, name: str, text: str) -> None:
        """Add or replace a target's document, whatever its text."""
        path = self.config.targets_path + name
        self.aws.client("ssm").put_parameter(Name=path, Value=text, Type="String", Tier="Advanced", Overwrite=True)

    def set_token(self, value: str) -> None:
        """Store another text in the secret."""
        self.aws.client("secretsmanager").put_secret_value(SecretId=self.secret, SecretString=value)

    def messages_of(self, url: str) -> list[dict[str, Any]]:
        """Look at all messages of a queue, without receiving any."""
        query = urllib.parse.urlencode({"QueueUrl": url})
        with urllib.request.urlopen(f"{self.aws.endpoint_url}/_ministack/sqs/messages?{query}", timeout=10) as answer:
            (regions,) = json.load(answer)["messages"].values() or [{}]
        return [message for queues in regions.values() for rows in queues.values() for message in rows]

    def waiting(self) -> int:
        """Return how many messages the Submissions queue holds."""
        return len(self.messages_of(self.submissions))

    def dead_letters(self) -> list[Any]:
        """Return the dead letters, and purge their queue."""
        bodies = [json.loads(message["Body"]) for message in self.messages_of(self.dead_letter_queue)]
        self.aws.client("sqs").purge_queue(QueueUrl=self.dead_letter_queue)
        return bodies

    def notifications(self) -> list[Mapping[str, Any]]:
        """Return every message that a subscriber of the topic has received so far."""
        self.subscriber.receive()
        return [message.body for message in self.subscriber.received]

    def statuses(self) -> list[str]:
        """Return the statuses of all notifications."""
        return [message["status"] for message in self.notifications()]

    def items(self, prefix: str = "submission#") -> list[dict[str, Any]]:
        """Return the ledger's items of a kind, as plain values."""
        rows = self.aws.client("dynamodb").scan(TableName=self.name)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in row.items()} for row in rows]
        return [row for row in plain if row["pk"].startswith(prefix)]

    def _clients(self, clients: Mapping[str, Any]) -> Clients:
        def client(service: str, **given: Any) -> Any:
            # A member's clients have credentials of their account.
            own = None if "aws_access_key_id" in given else clients.get(service)
            return own or self.client(service, **given)

        made = {name: client(name) for name in ("dynamodb", "secretsmanager", "sns", "ssm")}
        lazy: dict[str, Any] = {name: cache(partial(client, name)) for name in ("rds", "sqs")}
        return Clients(**made, **lazy, client=client)

    def _queue(self, name: str) -> str:
        url = self.aws.client("sqs").create_queue(QueueName=f"{self.name}-{name}")["QueueUrl"]
        return str(url)


def record(message_id: str, receipt_handle: str, body: str) -> dict[str, Any]:
    """Return a message as the event source hands it over."""
    message = {"messageId": message_id, "receiptHandle": receipt_handle, "body": body}
    return {**message, "attributes": {"ApproximateReceiveCount": "1"}, "eventSource": "aws:sqs"}


def only[T](found: Sequence[T]) -> T:
    """Return the only one."""
    (item,) = found
    return item
