"""Both functions between models of AWS and Commvault: triggers, deliveries, crashes, and what comes of them."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rds_snap_backup.bootstrap import Clients, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.follow.batches import Follower
from rds_snap_backup.follow.workflow import follow
from rds_snap_backup.submit import dispatch
from rds_snap_backup.submit.deliveries import DirectDelivery, handle_records
from tests.property.documents import Documents
from tests.property.model.aws import SNS, SQS, SSM, Message, SecretsManager
from tests.property.model.commvault import CommServe
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Killed, Run, Sandbox
from tests.property.model.tokens import Chain
from tests.property.promises import Promises
from tests.support import ENVIRONMENT
from tests.unit.template import TEMPLATE

CONFIG = Config.from_env(ENVIRONMENT)
SUBMISSIONS, JOBS, DEAD_LETTERS = CONFIG.submissions_queue_url, CONFIG.jobs_queue_url, CONFIG.dead_letter_queue_url
FOLLOWED: dict[str, list[str]] = TEMPLATE["Resources"]["JobsSubscription"]["Properties"]["FilterPolicy"]
MAX_DELIVERIES = 3000
JOBS_BATCH = 10
ENVELOPE_DELAYS = (1.0, 5.0, 85.0, 700.0, 3600.0, 30000.0)


@dataclass(slots=True)
class Event:
    """An event, the request ID it is invoked with, and the items that it must come to, or may where it names no target.

    `instead` has those that it comes to where the target of its tag does not exist. `is_sync`: its caller waits for the
    answer, and where the run is killed nothing delivers it again. `was_cut_off`: a run of it was. `was_unsaved`: that run
    could not send its safety net.
    """

    body: dict[str, Any]
    request_id: str
    items: tuple[str, ...]
    is_named: bool = True
    instead: tuple[str, ...] = ()
    is_sync: bool = False
    was_cut_off: bool = False
    was_unsaved: bool = False


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
    """One account, one CommServe, some sandboxes of each function."""

    def __init__(
        self,
        kernel: Kernel,
        server: CommServe,
        config: dict[str, Any],
        skews: tuple[float, ...],
        *,
        is_contended: bool = False,
    ) -> None:
        self.kernel, self.server = kernel, server
        self.config = replace(CONFIG, **config)
        self.documents = Documents(CONFIG.targets_path)
        self.promises = Promises(kernel, server, self.config, self.documents)
        server.attempt_end, server.observe = self.promises.attempt_end, self.promises.requested
        self.dynamodb = DynamoDB(kernel, self.promises.item_changed, is_contended=is_contended)
        self.promises.items = self.dynamodb.items
        self.sqs = SQS(kernel, self.promises.sends)
        self.sns = SNS(kernel, self.promises.publishes, lambda text: self.sqs.put(JOBS, text), FOLLOWED)
        self.ssm = SSM(kernel, self.documents.parameters)
        if server.settings.has_pair:
            server.chain = Chain(
                kernel, server.settings.ahead, lambda: [one for one, _ in self.secret.versions.values()]
            )
        self.secret = SecretsManager(kernel, server.chain.issue() if server.chain else server.token)
        self.secret.owner = server.chain.issue if server.chain else None
        self.sandboxes = [Sandbox(number, skew) for number, skew in enumerate(skews)]
        self.followers = [Sandbox(number, skew) for number, skew in enumerate(skews[:2])]
        self.events: list[Event] = []
        self.answers: defaultdict[str, set[str]] = defaultdict(set)

    # ---- Deliveries: each returns what a sandbox does.

    def invoke(self, event: Event) -> Callable[[Sandbox], Run]:
        """An invocation; what an asynchronous one did not survive goes to the queue, sooner or later."""

        def handle(run: Run) -> None:
            context: Any = Invocation(self.kernel, run, event.request_id)
            try:
                services = self.services(run.sandbox)
                answer = dispatch.handle(services, event.body, DirectDelivery(services, context))
            except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
                self._ended(run, error)
                event.was_cut_off = True
                if event.is_sync:
                    self.kernel.seen["synchronous invoke cut off"] += 1
                    event.was_unsaved |= "queue send: fail before" in run.befallen
                    return
                delay = ENVELOPE_DELAYS[self.kernel.choice % len(ENVELOPE_DELAYS)]
                request = {"requestId": event.request_id, "condition": "RetriesExhausted"}
                envelope = {"version": "1.0", "requestContext": request, "requestPayload": event.body}
                self.sqs.put(SUBMISSIONS, json.dumps(envelope), delay)
            else:
                self._answered(event.items, answer)

        return lambda sandbox: self._run(Run(sandbox), handle)

    def hand_over(self, message: Message) -> Callable[[Sandbox], Run]:
        """A message of the Submissions queue; what it did not survive is redelivered."""

        def handle_event(services: Any, event: Any, delivery: Any) -> dict[str, Any]:
            answer = dispatch.handle(services, event, delivery)
            self._answered(self._items_of(event, delivery.arrival.id), answer)
            return answer

        def consume(run: Run, records: dict[str, Any], context: Any) -> dict[str, Any]:
            return handle_records(self.services(run.sandbox), records, context, handle_event)

        def handle(run: Run) -> None:
            self._consume(run, SUBMISSIONS, [message], consume)

        return lambda sandbox: self._run(Run(sandbox, is_queued=True), handle)

    def follow(self, messages: list[Message]) -> Callable[[Sandbox], Run]:
        """A batch of the Jobs queue."""

        def consume(run: Run, records: dict[str, Any], context: Any) -> dict[str, Any]:
            return follow(self.follower(run.sandbox), records, context)

        def handle(run: Run) -> None:
            self._consume(run, JOBS, messages, consume)

        return lambda sandbox: self._run(
            Run(self.followers[sandbox.number % len(self.followers)], is_queued=True, is_follow=True), handle
        )

    def go(self, deliveries: list[Callable[[Sandbox], Run]], first: int = 0) -> None:
        """Handle deliveries at one time, each in a sandbox of its own."""
        count = len(self.sandboxes)
        runs: list[Run] = []
        for number, start in enumerate(deliveries):
            run = start(self.sandboxes[(first + number) % count])
            if all(run.sandbox is not other.sandbox for other in runs):
                runs.append(run)
        self.kernel.go(runs)

    def due(self, url: str = SUBMISSIONS) -> list[Message]:
        """The messages that may be received."""
        return [message for message in self.sqs.queues.get(url, []) if message.visible_at <= self.kernel.now]

    def next_due(self, *urls: str) -> float | None:
        """When the next message may be received."""
        queues = [self.sqs.queues.get(url, []) for url in urls or (SUBMISSIONS, JOBS)]
        return min((message.visible_at for queue in queues for message in queue), default=None)

    def deliver_until(self, until: float) -> None:
        """Let time pass, and hand over each message when it is due."""
        while (at := self.next_due()) is not None and at <= until:
            self.kernel.now = max(self.kernel.now, at)
            submissions = self.due()
            start = self.hand_over(submissions[0]) if submissions else self.follow(self.due(JOBS)[:JOBS_BATCH])
            self.go([start], first=self.kernel.seen["deliveries"] % len(self.sandboxes))
            self.kernel.seen["deliveries"] += 1
            assert self.kernel.seen["deliveries"] < MAX_DELIVERIES, "a message is redelivered without an end"
        self.kernel.now = max(self.kernel.now, until)

    def drain(self) -> None:
        """Let everything come to its end."""
        while (at := self.next_due()) is not None:
            self.deliver_until(at)

    def redrive(self, body: str) -> None:
        """Send a dead letter back to the Submissions queue."""
        self.sqs.put(SUBMISSIONS, body)

    # ---- Inside.

    def _run(self, run: Run, handle: Callable[[Run], None]) -> Run:
        run.work = partial(handle, run)
        return run

    def _consume(self, run: Run, url: str, messages: list[Message], handle: Callable[..., dict[str, Any]]) -> None:
        """Be the event source of a queue."""
        batch = {message.id: message for message in messages if message in self.sqs.queues[url]}
        if not batch:
            return
        records = [self.sqs.receive(url, message) for message in batch.values()]
        context: Any = Invocation(self.kernel, run, "poller")
        try:
            answer = handle(run, {"Records": records}, context)
        except (Exception, Killed) as error:  # noqa: BLE001 - as Lambda does
            self._ended(run, error)
        else:
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in (one for name, one in batch.items() if name not in failed):
                self.sqs.delete(url, message)

    def _items_of(self, event: Any, delivery_id: str) -> tuple[str, ...]:
        """Return the items that a queue message is about."""
        match event:
            case {"target": target, "trigger": {"kind": kind, "id": identity}}:
                return (f"submission#{target}#{kind}#{identity}",)
        return next(((*one.items, *one.instead) for one in self.events if one.request_id == delivery_id), ())

    def _answered(self, items: tuple[str, ...], answer: dict[str, Any]) -> None:
        for item in items:
            self.answers[item] |= answer.keys() - {"submissions"}
        for name in answer.keys() & {"ignored", "refused"}:
            self.kernel.seen[name] += 1

    def _ended(self, run: Run, error: BaseException) -> None:
        if isinstance(error, Killed):
            run.sandbox.services = None
        else:
            self.kernel.seen[f"raised: {type(error).__name__}"] += 1
            self.promises.raised(error)

    @property
    def _clients(self) -> Clients:
        models: dict[str, Any] = {
            "dynamodb": self.dynamodb,
            "rds": None,
            "secretsmanager": self.secret,
            "sns": self.sns,
            "sqs": lambda: self.sqs,
            "ssm": self.ssm,
        }
        return Clients(**models)

    def services(self, sandbox: Sandbox) -> Any:
        """Return what a sandbox of Submit works with; a cold one is made warm."""
        sandbox.services = sandbox.services or bootstrap(self.config, self._clients, self.kernel.time)
        return sandbox.services

    def follower(self, sandbox: Sandbox) -> Any:
        """Return what a sandbox of Follow works with."""
        sandbox.services = sandbox.services or Follower.make(self.config, self._clients, self.kernel.time)
        return sandbox.services
