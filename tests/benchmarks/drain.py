"""How fast queued submissions are made: sandboxes at the event source's concurrency, and a server of known latency."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.packages import Package
from tests.benchmarks.place import Place
from tests.benchmarks.sandbox import Sandbox, replays

type Messages = queue.Queue[Mapping[str, Any] | None]

CONCURRENCY = 5  # the template's MaximumConcurrency
LATENCY = 0.25  # seconds
TARGETS = 20
BATCH = 10


@dataclass(frozen=True, slots=True)
class Drained:
    """Submissions made, the seconds that it took, and the jobs that there were then."""

    count: int
    seconds: float
    jobs: int

    @property
    def ideal(self) -> float:
        """Seconds that the server's latency alone takes."""
        return self.count * LATENCY / CONCURRENCY


def measure(place: Place, packages: Mapping[str, Package], count: int) -> Drained:
    """Queue submissions, and time the draining of the queue by warm sandboxes of the product."""
    _make_targets(place)

    def warming() -> list[Any]:
        return [_records(str(uuid.uuid4()), _body(number)) for number in range(TARGETS)]

    def event(message: Mapping[str, Any]) -> Any:
        return _records(message["MessageId"], message["Body"])

    return _drain(place, packages["product"], count, warming, event)


def measure_floor(place: Place, packages: Mapping[str, Package], count: int) -> Drained:
    """Do the same with the floor, which makes the same calls for each message."""
    _make_targets(place)
    first, trigger = ({"target": "drained-0", "requestId": str(uuid.uuid4())} for _ in range(2))
    with Sandbox(packages["product"], place) as recorder:
        recorder.run([first])
        calls = recorder.record(trigger)
    prepared = iter(replays(calls, trigger, count))
    return _drain(place, packages["floor"], count, lambda: replays(calls, trigger, 1), lambda _message: next(prepared))


def _make_targets(place: Place) -> None:
    for number in range(TARGETS):
        place.target(f"drained-{number}")


def _drain(
    place: Place,
    package: Package,
    count: int,
    warming: Callable[[], Sequence[Any]],
    event: Callable[[Mapping[str, Any]], Any],
) -> Drained:
    place.commserve.clear()
    place.commserve.fault("slow", times=None, seconds=LATENCY)
    sqs = place.aws.client("sqs")
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        entries = [{"Id": str(number), "MessageBody": _body(number)} for number in numbers]
        sqs.send_message_batch(QueueUrl=place.submissions, Entries=entries)
    received: Messages = queue.Queue()
    done: Messages = queue.Queue()
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(Sandbox(package, place)) for _ in range(CONCURRENCY)]
        for sandbox in sandboxes:
            sandbox.run(warming())
        before = len(place.commserve.jobs())
        workers = stack.enter_context(ThreadPoolExecutor(CONCURRENCY))
        began = time.monotonic()
        for play, messages in ((_receive, received), (_delete, done)):
            threading.Thread(target=play, args=(place, messages, count), daemon=True).start()
        try:
            running = [workers.submit(_work, one, received, done, event) for one in sandboxes]
            redelivered = sum(one.result() for one in running)
            seconds = time.monotonic() - began
        finally:
            for _ in sandboxes:  # Where one of them failed, the others must not wait for ever.
                received.put(None)
    place.commserve.clear_faults()
    if redelivered:
        raise RuntimeError(f"{redelivered} submissions were redelivered")
    return Drained(count, seconds, len(place.commserve.jobs()) - before)


def _receive(place: Place, received: Messages, count: int) -> None:
    """Be the event source's poller, which receives ahead of the functions."""
    left = count
    while left:
        answer = place.aws.client("sqs").receive_message(
            QueueUrl=place.submissions, MaxNumberOfMessages=BATCH, WaitTimeSeconds=1, VisibilityTimeout=600
        )
        for message in answer.get("Messages", []):
            received.put(message)
            left -= 1
    for _ in range(CONCURRENCY):
        received.put(None)


def _work(sandbox: Sandbox, received: Messages, done: Messages, event: Callable[[Mapping[str, Any]], Any]) -> int:
    """Hand one message after the other to a sandbox; return how many are redelivered."""
    redelivered = 0
    while message := received.get():
        [handled] = sandbox.run([event(message)])
        redelivered += bool(handled.answer and handled.answer["batchItemFailures"])
        done.put(message)
    return redelivered


def _delete(place: Place, done: Messages, count: int) -> None:
    """Be the event source, which deletes what is done while the functions go on."""
    for _ in range(count):
        if message := done.get():
            place.aws.client("sqs").delete_message(QueueUrl=place.submissions, ReceiptHandle=message["ReceiptHandle"])


def _body(number: int) -> str:
    return json.dumps({"target": f"drained-{number % TARGETS}", "requestId": str(uuid.uuid4())})


def _records(message_id: str, body: str) -> dict[str, Any]:
    message = {"messageId": message_id, "receiptHandle": "none", "body": body, "messageAttributes": {}}
    return {"Records": [{**message, "attributes": {"ApproximateReceiveCount": "1"}, "eventSource": "aws:sqs"}]}
