"""The function between models of AWS and Commvault: triggers, deliveries, crashes, and what comes of them."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aws_lambda_powertools.utilities.parameters import base as parameters

from rds_snap_backup import observability
from rds_snap_backup.bootstrap import Clients, bootstrap
from rds_snap_backup.commvault import connection as commvault
from rds_snap_backup.commvault import jobs
from rds_snap_backup.config import Config
from rds_snap_backup.ledger import submissions as ledger
from rds_snap_backup.ledger import table
from rds_snap_backup.submit import dispatch, runs
from rds_snap_backup.submit.deliveries import direct, handle_records
from tests.property.model.aws import SNS, SQS, SSM, Message, SecretsManager
from tests.property.model.commvault import CommServe
from tests.property.model.connection import Connection
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Killed, Run, Sandbox
from tests.property.promises import Promises
from tests.support import ENVIRONMENT

CONFIG = Config.from_env(ENVIRONMENT)
SUBMISSIONS, DEAD_LETTERS = CONFIG.submissions_queue_url, CONFIG.dead_letter_queue_url
MAX_DELIVERIES = 3000
ENVELOPE_DELAYS = (1.0, 5.0, 85.0, 700.0, 3600.0, 30000.0)


def association(instance: str) -> dict[str, str]:
    return {"clientName": "aws-prod", "instanceName": instance, "subclientName": "default"}


DOCUMENTS: dict[str, dict[str, Any]] = {
    "one": {"associations": [association("orders")], "databases": ["orders-*"]},
    "three": {
        "associations": [association(name) for name in ("a", "b", "c")],
        "databases": ["orders-*"],
        "coolDownMinutes": 5,
    },
    "twin": {"associations": [association("orders")], "coolDownMinutes": 0},
    "plan": {"associations": [association("plan")], "taskType": "SCHEDULE"},
}


@dataclass(frozen=True, slots=True)
class Event:
    """An event, the request id it is invoked with, and the items that it must come to."""

    body: dict[str, Any]
    request_id: str
    items: tuple[str, ...]


@dataclass(slots=True)
class Invocation:
    """A Lambda context in the model's time."""

    kernel: Kernel
    run: Run
    aws_request_id: str
    function_name: str = "submit"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:submit"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.run.remaining_seconds(self.kernel.now) * 1000)


class World:
    """One account, one CommServe, some sandboxes."""

    def __init__(self, kernel: Kernel, server: CommServe, config: dict[str, Any], skews: tuple[float, ...]) -> None:
        self.kernel, self.server = kernel, server
        self.config = replace(CONFIG, **config)
        self.promises = Promises(
            kernel, server, self.config, {name: len(d["associations"]) for name, d in DOCUMENTS.items()}
        )
        self.dynamodb = DynamoDB(kernel, self.promises.item_changed)
        self.promises.items = self.dynamodb.items
        self.sqs = SQS(kernel, lambda how, url: self.promises.sends(how, url == SUBMISSIONS))
        self.sns = SNS(kernel, self.promises.publishes)
        self.ssm = SSM(kernel, {f"{CONFIG.targets_path}{name}": json.dumps(d) for name, d in DOCUMENTS.items()})
        self.secret = SecretsManager(kernel, server.token)
        self.sandboxes = [Sandbox(number, skew) for number, skew in enumerate(skews)]
        self.events: list[Event] = []

    # ---- Deliveries: each returns what a sandbox does.

    def invoke(self, event: Event) -> Callable[[Sandbox], Run]:
        """An asynchronous invocation; what it did not survive goes to the queue, sooner or later."""

        def handle(run: Run) -> None:
            context: Any = Invocation(self.kernel, run, event.request_id)
            services = self.services(run.sandbox)
            try:
                dispatch.handle(services, event.body, direct(services, context))
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(run, error)
                delay = ENVELOPE_DELAYS[self.kernel.choice % len(ENVELOPE_DELAYS)]
                request = {"requestId": event.request_id, "condition": "RetriesExhausted"}
                envelope = {"version": "1.0", "requestContext": request, "requestPayload": event.body}
                self.sqs.put(SUBMISSIONS, json.dumps(envelope), delay)

        return lambda sandbox: self._run(sandbox, handle, is_queued=False)

    def hand_over(self, message: Message) -> Callable[[Sandbox], Run]:
        """A message of the Submissions queue; what it did not survive comes back."""

        def handle(run: Run) -> None:
            if message not in self.sqs.queues[SUBMISSIONS]:
                return
            record = self.sqs.receive(SUBMISSIONS, message)
            context: Any = Invocation(self.kernel, run, "poller")
            try:
                answer = handle_records(self.services(run.sandbox), {"Records": [record]}, context, dispatch.handle)
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(run, error)
            else:
                if not answer["batchItemFailures"]:
                    self.sqs.delete(SUBMISSIONS, message)

        return lambda sandbox: self._run(sandbox, handle, is_queued=True)

    def go(self, deliveries: list[Callable[[Sandbox], Run]], first: int = 0) -> None:
        """Handle deliveries at one time, each in a sandbox of its own."""
        count = len(self.sandboxes)
        self.kernel.go([start(self.sandboxes[(first + n) % count]) for n, start in enumerate(deliveries)])

    def due(self) -> list[Message]:
        """The messages that may be received."""
        return [message for message in self.sqs.queues.get(SUBMISSIONS, []) if message.visible_at <= self.kernel.now]

    def next_due(self) -> float | None:
        """When the next message may be received."""
        return min((message.visible_at for message in self.sqs.queues.get(SUBMISSIONS, [])), default=None)

    def deliver_until(self, until: float) -> None:
        """Let time pass, and hand over each message when it is due."""
        while (at := self.next_due()) is not None and at <= until:
            self.kernel.now = max(self.kernel.now, at)
            self.go([self.hand_over(self.due()[0])], first=self.kernel.seen["deliveries"] % len(self.sandboxes))
            self.kernel.seen["deliveries"] += 1
            assert self.kernel.seen["deliveries"] < MAX_DELIVERIES, "a message comes back without an end"
        self.kernel.now = max(self.kernel.now, until)

    def drain(self) -> None:
        """Let everything come to its end."""
        while (at := self.next_due()) is not None:
            self.deliver_until(at)

    def redrive(self, body: str) -> None:
        """Send a dead letter back to the Submissions queue."""
        self.sqs.put(SUBMISSIONS, body)

    # ---- Inside.

    def _run(self, sandbox: Sandbox, handle: Callable[[Run], None], *, is_queued: bool) -> Run:
        run = Run(sandbox, is_queued)
        run.work = partial(handle, run)
        return run

    def _ended(self, run: Run, error: BaseException) -> None:
        if isinstance(error, Killed):
            run.sandbox.services = None
        else:
            self.kernel.seen[f"raised: {type(error).__name__}"] += 1
            self.promises.raised(error)

    def services(self, sandbox: Sandbox) -> Any:
        """Return what a sandbox works with; a cold one is made warm."""
        if sandbox.services is None:
            models: dict[str, Any] = {
                "dynamodb": self.dynamodb,
                "secretsmanager": self.secret,
                "sns": self.sns,
                "sqs": self.sqs,
                "ssm": self.ssm,
            }
            sandbox.services = bootstrap(self.config, Clients(**models), self.kernel.time)
        return sandbox.services

    @contextmanager
    def in_charge(self, *, most_operations: int) -> Iterator[None]:
        """Put the model's wire and time in the place of the real ones."""
        kernel = self.kernel
        clock = SimpleNamespace(time=kernel.time, monotonic=kernel.monotonic, sleep=kernel.sleep)
        calendar = SimpleNamespace(now=lambda: datetime.fromtimestamp(kernel.time()))  # noqa: DTZ006 - as Powertools has it
        tls = SimpleNamespace(**{**vars(ssl), "create_default_context": lambda **_options: None})
        timer = SimpleNamespace(start=lambda: None, cancel=lambda: None)

        def connection(_host: str, _port: int | None, *, timeout: float, ssl_context: None) -> Connection:
            return Connection(self.server, timeout)

        with ExitStack() as stack:
            for module in (commvault, jobs, runs, table):
                stack.enter_context(patch.object(module, "time", clock))
            for target, name, value in (
                (parameters, "datetime", calendar),
                (commvault, "ssl", tls),
                # The connection in memory keeps to its deadline by itself.
                (commvault, "threading", SimpleNamespace(Timer=lambda _seconds, _call, _arguments: timer)),
                (commvault, "HTTPSConnection", connection),
                (observability, "single_metric", lambda **_metric: nullcontext()),
                (jobs, "PAGE", 3),
                (ledger, "MAX_TRANSACTION", most_operations),
            ):
                stack.enter_context(patch.object(target, name, value))
            yield
