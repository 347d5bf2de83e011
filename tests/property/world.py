"""The Backup function between models of AWS and Commvault: triggers, deliveries, crashes, and the audit's resend."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.bootstrap import Services, bootstrap
from rds_snap_backup.config import Config
from tests.property.documents import Documents
from tests.property.model.aws import RDS, SNS, SQS, SSM, Message, SecretsManager
from tests.property.model.commvault import CommServe
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Killed, Run, Sandbox
from tests.property.model.sdk import clients
from tests.property.model.tokens import Chain
from tests.property.promises import Promises
from tests.support import ENVIRONMENT

CONFIG = Config.from_env(ENVIRONMENT)
SUBMISSIONS, DEAD_LETTERS = CONFIG.submissions_queue_url, CONFIG.dead_letter_queue_url
MAX_DELIVERIES = 3000
BATCH = 10
SANDBOXES = 3
ENVELOPE_DELAYS = (1.0, 5.0, 85.0, 700.0, 3600.0, 30000.0)

type Start = Callable[[Sandbox], Run]


@dataclass(slots=True)
class Event:
    """An event, the request ID it is invoked with, and the keys of the submissions that it selects.

    `is_named`: it names its target; what it names may not be ignored. `is_sync`: its caller waits for the answer, and
    where the run is killed nothing delivers it again. `was_cut_off`: that happened before its message was sent.
    """

    body: dict[str, Any]
    request_id: str
    keys: tuple[str, ...]
    is_named: bool = True
    is_sync: bool = False
    was_cut_off: bool = False


class World:
    """One account, one CommServe, some sandboxes."""

    def __init__(
        self, kernel: Kernel, server: CommServe, config: dict[str, Any], skews: tuple[float, ...] = (0.0,) * SANDBOXES
    ) -> None:
        self.kernel, self.server = kernel, server
        self.config = replace(CONFIG, **config)
        self.documents = Documents(CONFIG.targets_path)
        self.promises = Promises(kernel, server, self.config, self.documents)
        server.attempt_end, server.observe = self.promises.attempt_end, self.promises.requested
        self.dynamodb = DynamoDB(kernel, self.promises.item_changed)
        self.sqs = SQS(kernel, self.promises.sends)
        self.sns = SNS(kernel, self.promises.publishes)
        self.rds = RDS(kernel)
        if server.settings.has_pair:
            server.chain = Chain(
                kernel, server.settings.ahead, lambda: [token for token, _ in self.secret.versions.values()]
            )
        self.secret = SecretsManager(kernel, server.chain.issue() if server.chain else server.token)
        self.secret.owner = server.chain.issue if server.chain else None
        self._clients = clients(
            {
                "dynamodb": self.dynamodb,
                "rds": self.rds,
                "secretsmanager": self.secret,
                "sns": self.sns,
                "sqs": self.sqs,
                "ssm": SSM(kernel, self.documents.parameters),
            }
        )
        self.sandboxes = [Sandbox(number, skew) for number, skew in enumerate(skews)]
        self.events: list[Event] = []
        self.answers: dict[str, dict[str, Any]] = {}

    # ---- Deliveries: each returns what a sandbox does.

    def invoke(self, event: Event) -> Start:
        """An invocation; what an asynchronous one did not survive goes to the queue, sooner or later."""

        def handle(run: Run) -> None:
            try:
                deliveries = self._deliveries(run.sandbox)
                answer = deliveries.receive(event.body, event.request_id, partial(self._seconds_left, run))
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(run, error)
                event.was_cut_off = True
                if event.is_sync:
                    self.kernel.seen["synchronous invoke cut off"] += 1
                    return
                delay = ENVELOPE_DELAYS[self.kernel.choice % len(ENVELOPE_DELAYS)]
                request = {"requestId": event.request_id, "condition": "RetriesExhausted"}
                envelope = {"version": "1.0", "requestContext": request, "requestPayload": event.body}
                self.sqs.put(SUBMISSIONS, json.dumps(envelope), delay)
            else:
                self.answers[event.request_id] = answer
                for name in answer.keys() & {"ignored", "refused"}:
                    self.kernel.seen[name] += 1

        return lambda sandbox: self._run(Run(sandbox), handle)

    def hand_over(self, messages: list[Message]) -> Start:
        """A batch of the queue; what it did not survive is received again."""

        def handle(run: Run) -> None:
            batch = [message for message in messages if message in self.sqs.queues[SUBMISSIONS]]
            records = [self.sqs.receive(SUBMISSIONS, message) for message in batch]
            if not records:
                return
            try:
                answer = self._deliveries(run.sandbox).receive_batch(records, partial(self._seconds_left, run))
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(run, error)
            else:
                failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                for message in batch:
                    if message.id not in failed:
                        self.sqs.delete(SUBMISSIONS, message)

        return lambda sandbox: self._run(Run(sandbox, is_queued=True), handle)

    def go(self, deliveries: list[Start], first: int = 0) -> None:
        """Handle deliveries at one time, each in a sandbox of its own."""
        count = len(self.sandboxes)
        runs: list[Run] = []
        for number, start in enumerate(deliveries):
            run = start(self.sandboxes[(first + number) % count])
            if all(run.sandbox is not other.sandbox for other in runs):
                runs.append(run)
        self.kernel.go(runs)

    # ---- The queue

    @property
    def waiting(self) -> list[Message]:
        """The messages of the Submissions queue, the next first."""
        return sorted(self.sqs.queues.get(SUBMISSIONS, []), key=lambda message: message.visible_at)

    @property
    def due(self) -> list[Message]:
        """The messages that may be received."""
        return [message for message in self.waiting if message.visible_at <= self.kernel.now]

    @property
    def letters(self) -> list[Message]:
        """The dead letters."""
        return self.sqs.queues.setdefault(DEAD_LETTERS, [])

    def deliver_until(self, until: float) -> None:
        """Let time pass, and hand over messages when they are due."""
        while (waiting := self.waiting) and waiting[0].visible_at <= until:
            self.kernel.now = max(self.kernel.now, waiting[0].visible_at)
            number = self.kernel.seen["deliveries"]
            self.kernel.seen["deliveries"] += 1
            self.go([self.hand_over(self.due[:BATCH])], first=number % len(self.sandboxes))
            assert number < MAX_DELIVERIES, "a message is received without an end"
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
                self.kernel.seen["sent again by the audit"] += 1
                services.queues.send(submission.trigger, submission.target)

    def redrive(self, letter: Message, *, is_moved: bool = True) -> None:
        """Send a dead letter back to the Submissions queue, or a copy of it."""
        self.sqs.put(SUBMISSIONS, letter.body)
        if is_moved:
            self.letters.remove(letter)

    # ---- Inside

    def services(self) -> Services:
        """Return the services of a cold sandbox."""
        return bootstrap(self.config, self._clients, self.kernel.time)

    def _deliveries(self, sandbox: Sandbox) -> Deliveries:
        """Return what a sandbox works with; a cold one is made warm."""
        sandbox.services = sandbox.services or Deliveries(self.services(), self._clients.rds)
        deliveries: Deliveries = sandbox.services
        return deliveries

    def _seconds_left(self, run: Run) -> float:
        return run.remaining_seconds(self.kernel.now)

    def _run(self, run: Run, handle: Callable[[Run], None]) -> Run:
        run.work = partial(handle, run)
        return run

    def _ended(self, run: Run, error: BaseException) -> None:
        if isinstance(error, Killed):
            run.sandbox.services = None
        else:
            self.kernel.seen[f"raised: {type(error).__name__}"] += 1
            self.promises.raised(error)
