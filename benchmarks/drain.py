"""Fan-out and drain of the Submissions queue: warm sandboxes at the event source's concurrency, a server of known latency."""

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Goal, Spread, table
from benchmarks.packages import Package
from benchmarks.phases import batch
from benchmarks.place import Place, scheduled
from benchmarks.sandbox import Sandbox
from tests.unit.template import TEMPLATE

FUNCTION: Mapping[str, Any] = TEMPLATE["Resources"]["BackupFunction"]["Properties"]
SOURCE: Mapping[str, Any] = next(event["Properties"] for event in FUNCTION["Events"].values() if event["Type"] == "SQS")
CONCURRENCY: int = SOURCE["ScalingConfig"]["MaximumConcurrency"]
BATCH: int = SOURCE["BatchSize"]
LATENCY = 0.5  # seconds


@dataclass(frozen=True)
class Drained:
    """One trigger for all targets: seconds of its fan-out, and until every job was started."""

    count: int
    fan_out: float
    seconds: float

    @property
    def ideal(self) -> float:
        """Return the seconds that only the server's latency takes."""
        return self.count * LATENCY / CONCURRENCY


def measure(place: Place, package: Package, count: int) -> Drained:
    """Invoke the function for all targets, and time the draining of the queue."""
    environment = place.environment | {"FIRST_POLL_SECONDS": "600"}  # Nothing is polled meanwhile.
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(Sandbox(package, place, environment)) for _ in range(CONCURRENCY)]
        warming = place.targets(CONCURRENCY)
        for sandbox, target in zip(sandboxes, warming, strict=True):
            sandbox.run([scheduled(target)])  # It reads the token and makes the connections.
        place.forget(warming)  # Their groups are busy.
        place.targets(count)
        place.commserve.clear()
        place.commserve.fault("slow", times=None, seconds=LATENCY)
        [fan_out] = sandboxes[0].run([{"target": "*", "requestId": str(uuid.uuid4())}])
        workers = stack.enter_context(ThreadPoolExecutor(CONCURRENCY))
        began = time.monotonic()
        handled = sum(workers.map(lambda sandbox: _work(place, sandbox), sandboxes))
        seconds = time.monotonic() - began
    jobs = len(place.commserve.jobs())
    if (handled, jobs) != (count, count):
        raise RuntimeError(f"{handled} messages and {jobs} jobs of {count} submissions")
    return Drained(count, fan_out.wall, seconds)


def _work(place: Place, sandbox: Sandbox) -> int:
    """Be the event source's poller with one sandbox until the queue is empty; return how many messages it had."""
    sqs, handled = place.aws.client("sqs"), 0
    while messages := sqs.receive_message(
        QueueUrl=place.submissions, MaxNumberOfMessages=BATCH, AttributeNames=["All"], VisibilityTimeout=90
    ).get("Messages"):
        sandbox.run([batch(messages)])
        handled += len(messages)
    return handled


def goals(drained: Drained) -> list[Goal]:
    """Return how fast the queue is to be drained."""
    return [Goal("drain of the queue ÷ ideal", Spread.of([drained.seconds / drained.ideal]), 1.3)]


def section(drained: Drained) -> list[str]:
    """Return the section of the results."""
    row = [
        f"{drained.count:,}",
        f"{drained.fan_out:.1f}",
        f"{drained.seconds:.1f}",
        f"{drained.ideal:.1f}",
        f"{drained.seconds / drained.ideal:.2f}",
    ]
    return [
        "## Fan-out and drain of the Submissions queue",
        (
            f"One trigger for all targets, then {CONCURRENCY} warm sandboxes in batches of {BATCH} on this machine, which is "
            f"also the server and AWS; each CreateTask is answered after {LATENCY * 1000:.0f} ms. The ideal is the count times "
            "the latency divided by the concurrency: it knows no AWS calls."
        ),
        table(["submissions", "fan-out, s", "drain, s", "ideal", "ratio"], [row]),
    ]
