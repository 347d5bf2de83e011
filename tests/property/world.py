"""The Backup function between models of AWS and the CommServe simulator: deliveries, the queue, and the audit's resend."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from local.commserve.recorded import Recorded
from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.bootstrap import Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.records import from_text
from tests.property.model.aws import RDS, SNS, SQS, SSM, Message, SecretsManager
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Killed, Run
from tests.property.model.line import Wire, commserve
from tests.property.model.sdk import clients
from tests.property.wire import in_charge
from tests.support import ENVIRONMENT

if TYPE_CHECKING:
    from rds_snap_backup.core.record import Submission

CONFIG = Config.from_env(ENVIRONMENT)
SUBMISSIONS, DEAD_LETTERS = CONFIG.submissions_queue_url, CONFIG.dead_letter_queue_url
DEFAULTS: dict[str, Any] = {
    "gather_minutes": 0,
    "settle_minutes": 60,
    "retry_hours": 1,
    "first_retry_seconds": 30,
    "first_poll_seconds": 60,
    "reconcile_seconds": 600,
    "retry_failed_jobs": 0,
}
MAX_DELIVERIES, BATCH = 2000, 10
# When Lambda's destination sends an invocation that was cut off.
ENVELOPE_SECONDS = 85.0
JOB_ENDS = ("completed", "completed_with_errors", "failed", "killed", "lost", "retrying")
# What AWS failed at may be raised; nothing else is.
RAISED = {"EndpointConnectionError", "ClientError", "FanOutError", "Contended"}

DATABASE = "orders-1"
ARN = f"arn:aws:rds:us-east-1:000000000000:db:{DATABASE}"
EVENT = {"SourceArn": ARN, "EventID": "RDS-EVENT-0043", "Date": "2026-09-21T14:13:00Z", "SourceType": "DB_INSTANCE"}


def association(group: str) -> dict[str, str]:
    """Return an association as documents have it."""
    return {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group}


def rds_event(**members: Any) -> dict[str, Any]:
    """Return an RDS event of the database."""
    detail = {**EVENT, **members}
    return {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "account": "000000000000", "detail": detail}


# They overlap, at different levels.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "one": {"associations": [association("orders")], "databases": ["orders-*"]},
    "three": {
        "associations": [
            association("a"),
            {**association("b"), "databases": ["orders-1"]},
            {**association("c"), "databases": ["orders-2"]},
        ],
        "databases": ["orders-*"],
        "gatherMinutes": 1,
        "retryFailedJobs": 2,
    },
    "two": {"associations": [association("a"), association("orders")], "backupLevel": "DIFFERENTIAL"},
    "plan": {"associations": [association("plan")], "taskType": "SCHEDULE"},
}
CLIENTS = {"aws-prod": {"RDS": ["orders", "a", "b", "c", "plan"]}, "elsewhere": {"RDS": ["erp"]}}


@dataclass(slots=True)
class Sandbox:
    """One of the function's sandboxes; it has nothing while it is cold."""

    deliveries: Deliveries | None = None


class World:
    """One account, one CommServe, some sandboxes. `requests` has which submission sent each request for jobs."""

    def __init__(
        self, *, job_seconds: float = 300.0, has_pair: bool = False, kernel: Kernel | None = None, **config: Any
    ) -> None:
        kernel = self.kernel = kernel or Kernel()
        self.server = commserve(kernel, CLIENTS, job_seconds)
        self.server.unknown = "refuse"
        self.wire = Wire(kernel, self.server, observe=self._requested)
        self.config = replace(CONFIG, **(DEFAULTS | config))
        self.parameters: dict[str, str] = {}
        for name, document in DOCUMENTS.items():
            self.put(name, document)
        self.records: dict[str, Submission] = {}
        self.requests: dict[int, str] = {}
        self.errors: list[BaseException] = []
        self.calls = self.deliveries = 0
        # Whether each delivery arrives twice at one time.
        self.is_twice = False
        self.dynamodb, self.rds = DynamoDB(kernel, self._saved), RDS(kernel)
        self.sqs, self.sns = SQS(kernel, self._sends), SNS(kernel)
        self.secret = SecretsManager(kernel, self.pair() if has_pair else self.server.token)
        models = {"dynamodb": self.dynamodb, "rds": self.rds, "secretsmanager": self.secret}
        models |= {"sns": self.sns, "sqs": self.sqs, "ssm": SSM(kernel, self.parameters)}
        self._clients = clients(models)
        self.sandboxes = [Sandbox(), Sandbox(), Sandbox()]

    @contextmanager
    def at_work(self) -> Iterator["World"]:
        """Put it in charge of the function's modules."""
        with in_charge(self.wire):
            yield self

    def put(self, name: str, document: dict[str, Any]) -> None:
        """Store a target's document."""
        self.parameters[CONFIG.targets_path + name] = json.dumps(document)

    def pair(self) -> str:
        """Issue a pair, as its owner does, and return the secret's value for it."""
        return json.dumps(self.server.issue_pair())

    @property
    def has_latest_pair(self) -> bool:
        """Tell whether a version of the secret holds the latest pair, or the token is none of a pair."""
        tokens = self.server.tokens
        return not tokens.refresh or any(tokens.refresh in value for value, _ in self.secret.versions.values())

    # ---- Deliveries

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        """Deliver an event directly; what its run did not survive goes to the queue. Return the answer."""
        request_id, answers = f"request-{self.calls}", list[dict[str, Any]]()
        self.calls += 1

        def handle(sandbox: Sandbox) -> None:
            try:
                answers.append(self._warm(sandbox).receive(body, request_id, self.kernel.seconds_left))
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(sandbox, error)
                request = {"requestId": request_id, "condition": "RetriesExhausted"}
                envelope = {"version": "1.0", "requestContext": request, "requestPayload": body}
                self.sqs.put(SUBMISSIONS, json.dumps(envelope), ENVELOPE_SECONDS)

        self._go(handle)
        return answers[-1] if answers else {}

    def start(self, target: str, **members: Any) -> dict[str, Any]:
        """Start a target by hand; return the answer."""
        return self.call({"target": target, **members})

    def deliver(self, first: int = 0) -> None:
        """Deliver the messages of the queue that are due; what their run did not survive is received again."""
        messages = self.due

        def handle(sandbox: Sandbox) -> None:
            batch = [message for message in messages if message in self.sqs.queues[SUBMISSIONS]]
            records = [self.sqs.receive(SUBMISSIONS, message) for message in batch]
            if not records:
                return
            try:
                answer = self._warm(sandbox).receive_batch(records, self.kernel.seconds_left)
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(sandbox, error)
            else:
                failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                for message in batch:
                    if message.id not in failed:
                        self.sqs.delete(SUBMISSIONS, message)

        self._go(handle, first, is_queued=True)

    def _go(self, handle: Callable[[Sandbox], None], first: int = 0, *, is_queued: bool = False) -> None:
        """Handle a delivery in a sandbox; one that arrives twice in two sandboxes at one time."""
        places = range(first, first + 1 + self.is_twice)
        sandboxes = [self.sandboxes[place % len(self.sandboxes)] for place in places]
        self.kernel.go([Run(partial(handle, sandbox), is_queued) for sandbox in sandboxes])

    # ---- The queue

    @property
    def waiting(self) -> list[Message]:
        """The messages of the Submissions queue, the next first."""
        return sorted(self.sqs.queues.get(SUBMISSIONS, []), key=lambda message: message.visible_at)

    @property
    def due(self) -> list[Message]:
        """The messages that may be received."""
        return [message for message in self.waiting if message.visible_at <= self.kernel.now][:BATCH]

    @property
    def letters(self) -> list[Message]:
        """The dead letters."""
        return self.sqs.queues.setdefault(DEAD_LETTERS, [])

    def deliver_until(self, until: float) -> None:
        """Let time pass, and hand over messages when they are due."""
        while (waiting := self.waiting) and waiting[0].visible_at <= until:
            self.kernel.now = max(self.kernel.now, waiting[0].visible_at)
            self.deliver(first=self.deliveries)
            self.deliveries += 1
            assert self.deliveries < MAX_DELIVERIES, "a message is received without an end"
        self.kernel.now = max(self.kernel.now, until)

    def drain(self) -> None:
        """Let everything end; what has lost its message gets another one from the audit."""
        while True:
            while waiting := self.waiting:
                self.deliver_until(waiting[0].visible_at)
            self.kernel.now += 2 * 3600
            services = self.services()
            found, _ = services.submissions.open()
            stuck = [submission for submission in found if submission.is_stuck(self.kernel.now)]
            if not stuck:
                return
            for submission in stuck:
                services.queues.send(submission.trigger, submission.target)

    def redrive(self, letter: Message, *, is_moved: bool = True) -> None:
        """Send a dead letter back to the Submissions queue, or a copy of it."""
        self.sqs.put(SUBMISSIONS, letter.body)
        if is_moved:
            self.letters.remove(letter)

    # ---- What happened

    def sent(self) -> list[str]:
        """Return which groups each request asked for."""
        requests = [request.json["taskInfo"]["associations"] for request in self.server.create_tasks]
        return [" ".join(entry["subclientName"] for entry in some) for some in requests]

    def published(self, *statuses: str) -> list[dict[str, Any]]:
        """Return the notifications of some statuses."""
        return [message for message in self.sns.messages if message["status"] in statuses]

    def check(self) -> None:
        """Check what is promised once everything has ended.

        Nothing is open, every end was published, every job that was started is followed to its end, and no group has
        a second job of one trigger.
        """
        surprises = [error for error in self.errors if type(error).__name__ not in RAISED]
        assert not surprises, f"a run raised {surprises[0]!r}"
        for key, record in self.records.items():
            assert record.is_over, f"{key} is left open: {record}"
            for backup in record.backups:
                state = record.state_of(backup)
                told = [names for message in self.published(state) if _key(message) == key for names in _names(message)]
                assert backup.association.names in told, f"{key}: nobody heard that {backup.key} is {state}"
        ended = {job_id for message in self.published(*JOB_ENDS) for job_id in message["jobIds"]}
        assert ended >= self.wire.made.keys(), f"the ends of {self.wire.made.keys() - ended} were never published"
        owned = [
            backup.job.id
            for record in self.records.values()
            for backup in record.backups
            if backup.job and record.state_of(backup) != "joined"
        ]
        assert len(owned) == len({*owned}), f"two submissions have one job: {owned}"
        self.check_token()

    def check_token(self) -> None:
        """Check that no older pair was presented while a newer one is stored."""
        assert not (self.server.tokens.deleted and self.has_latest_pair), "an older pair was presented"

    # ---- Inside

    def services(self, *, skew: float = 0) -> Services:
        """Return the services of a cold sandbox, whose clock is off by `skew` seconds."""
        return bootstrap(self.config, self._clients, lambda: self.kernel.time() + skew)

    def _warm(self, sandbox: Sandbox) -> Deliveries:
        """Return what a sandbox works with; a cold one is made warm."""
        sandbox.deliveries = sandbox.deliveries or Deliveries(self.services(), self._clients.rds)
        return sandbox.deliveries

    def _ended(self, sandbox: Sandbox, error: BaseException) -> None:
        if isinstance(error, Killed):
            sandbox.deliveries = None
        else:
            self.errors.append(error)

    def _saved(self, key: str, new: dict[str, Any]) -> None:
        if key.startswith("submission#"):
            record = self.records[key] = from_text(new["record"]["S"], int(new["version"]["N"]), new["writeId"]["S"])
            if self.kernel.current and record.out:
                self.kernel.current.out = key, record.out.number

    def _sends(self, url: str) -> None:
        """A message is sent to a queue: never again by a run that messages of the queue have started."""
        run = self.kernel.current
        if url == SUBMISSIONS and run and run.is_queued:
            self.kernel.fail("a message of the queue was sent to it again")

    def _requested(self, run: Run, request: Recorded) -> None:
        """A request leaves: recorded, for groups of which no job runs and no request is under way."""
        key, number = run.out
        out = self.records[key].out if key in self.records else None
        if out is None or out.number != number:
            self.kernel.fail(f"a request was sent before it was recorded: {request.json}")
        self.requests[request.id] = key
        under_way = {names for _, late in self.wire.late for names in _names(late.recorded.json["taskInfo"])}
        for names in _names(request.json["taskInfo"]):
            for job_id, made_by in self.wire.made.items():
                job = self.server.jobs[job_id]
                is_done = self.requests[made_by] != key or job.status.startswith("Failed")
                if (job.client, job.instance, job.group) == names and not (job.finished and is_done):
                    self.kernel.fail(f"{key} sends {names} beside job {job_id} of {self.requests[made_by]}")
            if names in under_way:
                self.kernel.fail(f"{key} sends {names} while a request for it is under way")


def _names(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(entry["clientName"], entry["instanceName"], entry["subclientName"]) for entry in document["associations"]]


def _key(message: dict[str, Any]) -> str:
    return f"submission#{message['target']}#{message['trigger']['kind']}#{message['trigger']['id']}"
