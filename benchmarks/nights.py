"""Nights of a fleet: the Backup function's own code against the CommServe simulator, on a clock that the simulation moves.

AWS is in memory. Schedules invoke the function directly; as many sandboxes as the event source allows work on the queue.
Every call takes its time on the simulation's clock, and sandboxes work at the same time.
"""

import heapq
import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import batched, count
from typing import Any

from benchmarks.drain import BATCH, CONCURRENCY
from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.bootstrap import Clients, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.keys import OPEN
from rds_snap_backup.messaging.notifications import iso
from tests.property.model.aws import RDS, SNS, SQS, SSM, Message, SecretsManager
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import TIMEOUT_SECONDS, Kernel, Run
from tests.property.model.line import Line, Wire, commserve
from tests.property.wire import on_wire
from tests.support import ENVIRONMENT

MINUTE, HOUR, DAY = 60, 3600, 86400
FIRST_NIGHT = datetime(2027, 1, 31, 3, tzinfo=UTC).timestamp()
PAUSES = {"FIRST_RETRY_SECONDS": "30", "FIRST_POLL_SECONDS": "60", "RECONCILE_SECONDS": "600"}
CONFIG = Config.from_env(ENVIRONMENT | PAUSES)
# What a SaaS tenant is allowed in an hour.
WRITES, READS = 100, 1000
# How long calls take.
AWS_SECONDS, CONNECT_SECONDS, ANSWER_SECONDS = 0.01, 0.05, 1.0
# Scheduler invokes within the minute; Lambda has a sandbox for each invocation.
SPREAD_SECONDS = 60
DIRECT = 50
LONG_POLL_SECONDS = 20.0
CLIENT = "aws-prod"
JOB_SECONDS = 30 * MINUTE
# Jobs of others that run all the time.
FOREIGN = 600


class Time(Kernel):
    """Time that passes while calls are made, for all sandboxes at once."""

    def begin_effect(self) -> None:
        """Take the time of an AWS call."""
        self.sleep(AWS_SECONDS)


def tenant(time: Time) -> Wire:
    """Return the way to a CommServe with a tenant's limits."""
    server = commserve(time, {}, JOB_SECONDS)
    server.rate_limit(WRITES, READS, HOUR)
    for _ in range(FOREIGN):
        server.add_job("aws-test", "sandbox-db", seconds=30 * DAY)
    return Wire(time, server, CONNECT_SECONDS, ANSWER_SECONDS)


class Documents(SSM):
    """Target documents. `reads` is when each call was made."""

    def __init__(self, time: Time, parameters: dict[str, str]) -> None:
        super().__init__(time, parameters)
        self.reads: list[float] = []
        self._time = time

    def get_parameter(self, **call: Any) -> dict[str, Any]:
        self.reads.append(self._time.now)
        return super().get_parameter(**call)


class Queue(SQS):
    """Queues that know which of their messages is visible next."""

    def __init__(self, time: Time) -> None:
        super().__init__(time)
        self._time = time
        self._numbers = count()
        self._visible: list[tuple[float, int, Message]] = []

    def put(self, url: str, body: str, delay: float = 0) -> None:
        super().put(url, body, delay)
        if url == CONFIG.submissions_queue_url:
            self.wait(self.queues[url][-1])

    def wait(self, message: Message) -> None:
        """Let a message be received when it is visible."""
        heapq.heappush(self._visible, (message.visible_at, next(self._numbers), message))

    def take(self) -> list[Message]:
        """Return the messages for a batch."""
        batch: list[Message] = []
        while len(batch) < BATCH and self.seconds == 0:
            batch.append(heapq.heappop(self._visible)[2])
        return batch

    @property
    def seconds(self) -> float:
        """How long no message will be visible, at most as long as a poll waits."""
        due = self._visible[0][0] - self._time.now if self._visible else LONG_POLL_SECONDS
        return min(max(due, 0.0), LONG_POLL_SECONDS)


@dataclass(frozen=True)
class Night:
    """One night's schedules, up to the next night."""

    requests: int  # CreateTask requests that were accepted
    throttled: int  # CreateTask requests that were answered with 429
    jobs: int
    last_job: float  # seconds from the schedules' time until the last job began
    reads: int  # calls that read from Commvault, in the busiest hour
    ssm_reads: int  # in the busiest second
    abandoned: int  # notices of abandoned backups
    open: int  # the most open submissions that a target has when the next night begins


class Fleet:
    """A stack and the targets of its databases, `size` to a target, all scheduled for 03:00."""

    def __init__(self, databases: int, size: int) -> None:
        self.time = Time(now=FIRST_NIGHT)
        self.tenant = tenant(self.time)
        groups = [f"db-{number:04}" for number in range(databases)]
        self.tenant.server.extend({CLIENT: {"RDS": groups}})
        self.targets = [batch[0] for batch in batched(groups, size, strict=False)]
        self.documents = Documents(
            self.time,
            {CONFIG.targets_path + batch[0]: _document(batch) for batch in batched(groups, size, strict=False)},
        )
        self.queue, self.ledger = Queue(self.time), DynamoDB(self.time)
        self.topic = SNS(self.time)
        models: dict[str, Any] = {
            "dynamodb": self.ledger,
            "secretsmanager": SecretsManager(self.time, self.tenant.server.token),
            "sns": self.topic,
            "sqs": lambda: self.queue,
            "ssm": self.documents,
            "rds": lambda: RDS(self.time),
        }
        clients = Clients(**models)
        self._sandboxes = [
            Deliveries(bootstrap(CONFIG, clients, self.time.time), clients.rds) for _ in range(CONCURRENCY + DIRECT)
        ]

    def nights(self, number: int) -> list[Night]:
        """Let nights pass."""
        random.seed(1)  # For the product's jitter.
        with on_wire(self.time, partial(Line, self.tenant)):
            return [self._night(FIRST_NIGHT + night * DAY) for night in range(number)]

    def _night(self, due: float) -> Night:
        self.tenant.server.state.requests.clear()
        self.topic.messages.clear()
        self.documents.reads.clear()
        before = set(self.tenant.server.jobs)
        events = deque(
            (
                due + SPREAD_SECONDS * place / len(self.targets),
                {"target": name, "schedule": f"arn:aws:scheduler:::schedule/{name}", "time": iso(due)},
            )
            for place, name in enumerate(self.targets)
        )
        # No run lasts into the next night.
        works = [partial(self._poll, due + DAY - TIMEOUT_SECONDS)] * CONCURRENCY + [
            partial(self._invoke, events)
        ] * DIRECT
        self.time.go([Run(partial(work, sandbox)) for work, sandbox in zip(works, self._sandboxes, strict=True)])
        self.time.now = due + DAY
        jobs = [job for job_id, job in self.tenant.server.jobs.items() if job_id not in before]
        requests, statuses = self.tenant.server.requests, self.tenant.server.statuses
        calls = Counter((request.method, statuses[request.id]) for request in requests)
        return Night(
            requests=calls["POST", 200],
            throttled=calls["POST", 429],
            jobs=len(jobs),
            last_job=max(job.created for job in jobs) - due,
            reads=_most(request.at // HOUR for request in requests if request.method == "GET"),
            ssm_reads=_most(int(at) for at in self.documents.reads),
            abandoned=sum(message["status"] == "abandoned" for message in self.topic.messages),
            open=_most(item["target"]["S"] for item in self.ledger.items.values() if OPEN in item),
        )

    def _invoke(self, events: "deque[tuple[float, dict[str, Any]]]", sandbox: Deliveries) -> None:
        """Take one schedule's event after the other when it is due."""
        while events:
            at, event = events.popleft()
            self.time.sleep(max(at - self.time.now, 0))
            sandbox.receive(event, str(event["target"]), self._seconds_left())

    def _poll(self, until: float, sandbox: Deliveries) -> None:
        """Work on what is visible on the queue."""
        queue, url = self.queue, CONFIG.submissions_queue_url
        while self.time.now < until:
            batch = queue.take()
            if not batch:
                self.time.sleep(queue.seconds)
                continue
            records = [queue.receive(url, message) for message in batch]
            answer = sandbox.receive_batch(records, self._seconds_left())
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in batch:
                if message.id in failed:
                    queue.wait(message)
                else:
                    queue.delete(url, message)

    def _seconds_left(self) -> Callable[[], float]:
        assert self.time.current
        self.time.current.started = self.time.now
        return self.time.seconds_left


def _most(values: Iterable[float | str]) -> int:
    """Return how often the most frequent value occurs."""
    return max(Counter(values).values(), default=0)


def _document(groups: Sequence[str]) -> str:
    associations = [{"clientName": CLIENT, "instanceName": "RDS", "subclientName": group} for group in groups]
    return json.dumps({"associations": associations})
