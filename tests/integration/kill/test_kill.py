"""The built function in the real Lambda runtime, killed before and after each effect of a run.

Nothing in the code helps: a wire that stops answering holds the run where it is killed. What was on the queue by then is
delivered again on a timeline, so that the lease of the killed run costs no waiting.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest

from local.runtime import Runtime
from local.stack import build
from tests.integration.clients import LIFETIME, RENEW, PairInSecret
from tests.integration.forwarding import Call, ForwardingWire
from tests.integration.timeline import HOUR, Timeline
from tests.integration.world import World, only, record

HANDLER = "rds_snap_backup.backup.handler.lambda_handler"
# The effects of each run in their order: AWS's operations, and what becomes of CreateTask, or of the renewal in the run that
# renews. A run is killed when it is about to have one: the one before it was had.
RUNS = {
    "submitted": "SendMessage TransactWriteItems stall_before stall_after TransactWriteItems Publish UpdateItem",
    "refused": "SendMessage TransactWriteItems UpdateItem Publish SendMessage UpdateItem",
    "ended": "TransactWriteItems Publish UpdateItem",
    "running": "TransactWriteItems ChangeMessageVisibilityBatch",
    "renewed": (
        "SendMessage TransactWriteItems UpdateItem PutSecretValue UpdateItem stall_before stall_after PutSecretValue "
        "UpdateSecretVersionStage UpdateItem TransactWriteItems Publish UpdateItem"
    ),
}
# Those of a run that renews which another run has as well.
TOLD = {("renewed", operation) for operation in ("SendMessage", "TransactWriteItems", "Publish")}
STATUSES = {"refused": {"rejected"}}
# Commvault had made a pair that was not stored: nothing can know it. Its owner stores another one.
UNKNOWABLE = {("stall_after", 1), ("PutSecretValue", 2)}


def points() -> Iterator[Any]:
    for run, effects in RUNS.items():
        operations = effects.split()
        for at, operation in enumerate(operations):
            nth = operations[: at + 1].count(operation)
            if (run, operation) not in TOLD:
                yield pytest.param(run, operation, nth, id=f"{run}: {operation} {nth}")


class StallingWire(ForwardingWire):
    """Gives no answer to the nth call of an operation, and to none that follows it."""

    def __init__(self, endpoint_url: str, operation: str, nth: int) -> None:
        super().__init__(endpoint_url)
        self._operation, self._left = operation, nth
        self._lock, self._released = Lock(), Event()
        self.reached = Event()

    def __exit__(self, *error: object) -> None:
        self._released.set()
        super().__exit__(*error)

    def _takes(self, call: Call) -> bool:
        with self._lock:
            self._left -= call.operation == self._operation
            is_held = self._left <= 0
        if is_held:
            self.reached.set()
            self._released.wait()
        return not is_held


def prepare(timeline: Timeline, run: str) -> Any:
    """Return the event of a run."""
    if run == "refused":
        timeline.commserve.fault("error_top", times=None, code=4)
    if run == "renewed":
        timeline.commserve.advance(-LIFETIME - 1)
        PairInSecret(timeline).expire()
    if run in {"submitted", "refused", "renewed"}:
        return timeline.schedule("nightly")
    # An hour ago, so that the job is due to be polled.
    timeline.commserve.job_seconds = 2 * HOUR
    timeline.commserve.advance(-HOUR)
    timeline.deliver(timeline.schedule("nightly"))
    timeline.commserve.advance(HOUR)
    if run == "ended":
        timeline.commserve.end_job(only(list(timeline.commserve.jobs)))
    World.redrive(timeline, timeline.queue.pop().body)
    sqs = timeline.aws.client("sqs")
    message = only(sqs.receive_message(QueueUrl=timeline.submissions, WaitTimeSeconds=20)["Messages"])
    return {"Records": [record(message["MessageId"], message["ReceiptHandle"], message["Body"])]}


def kill(timeline: Timeline, run: str, operation: str, nth: int) -> Any:
    """Invoke the function with the event of a run, and kill it where it is about to have an effect; return the event."""
    event, commserve = prepare(timeline, run), timeline.commserve
    commserve.clock.thaw()
    if operation in {"stall_before", "stall_after"}:
        commserve.fault(operation, path=RENEW if run == "renewed" else "/CreateTask")
    with StallingWire(timeline.aws.endpoint_url, operation, nth) as wire, ThreadPoolExecutor(1) as pool:

        def is_reached() -> object:
            match operation:
                case "stall_before":
                    return commserve.renewals if run == "renewed" else commserve.create_tasks
                case "stall_after":
                    return commserve.tokens.renewals if run == "renewed" else commserve.jobs
            return wire.reached.is_set()

        environment = timeline.environment | {"AWS_ENDPOINT_URL": wire.url}
        with Runtime(build() / "BackupFunction", HANDLER, environment, timeout=50) as function:
            invocation, until = pool.submit(function.invoke, event), time.monotonic() + 180
            while not is_reached() and not invocation.done():
                assert time.monotonic() < until
                time.sleep(0.02)
            function.kill()
            sys.stdout.write(function.output)  # shown where the test fails
        assert "Killed" in str(invocation.result().error), invocation.result()
    commserve.clock.freeze()
    return event


@pytest.mark.kill
@pytest.mark.timeout(420)
@pytest.mark.parametrize(("run", "operation", "nth"), list(points()))
def test_a_killed_run_ends_with_one_job_one_end_and_no_message(
    timeline: Timeline, run: str, operation: str, nth: int
) -> None:
    event = kill(timeline, run, operation, nth)
    timeline.take_over()
    if "Records" not in event:  # Lambda sends it to the queue, as it came.
        timeline.redrive({"requestContext": {"requestId": "of-the-run"}, "requestPayload": event})
    if run == "renewed":
        timeline.run(HOUR)
        assert timeline.commserve.tokens.deleted is ((operation, nth) in UNKNOWABLE)
        if timeline.commserve.tokens.deleted:
            assert "Create a new access token" in str(timeline.items())
            PairInSecret(timeline)
    timeline.run()

    statuses = timeline.statuses()
    assert set(statuses) == STATUSES.get(run, {"submitted", "completed"})
    assert len(timeline.commserve.jobs) == (run != "refused")
    assert {job for message in timeline.notifications() for job in message["jobIds"]} == set(timeline.commserve.jobs)
    assert bool(timeline.dead_letters()) is (run == "refused")
    assert not [item for item in timeline.items() if "open" in item]
    # A second time only where it was published and that was not recorded.
    assert len(statuses) <= len(set(statuses)) + 1


@pytest.mark.parametrize("run", RUNS)
def test_a_run_has_no_other_effects_than_those(timeline: Timeline, run: str) -> None:
    event = prepare(timeline, run)
    timeline.calls.clear()
    if "Records" in event:
        timeline.redrive(event["Records"][0]["body"])
        timeline.receive()
    else:
        timeline.deliver(event)
    of_commvault = {"stall_before", "stall_after"}
    writes = {operation for effects in RUNS.values() for operation in effects.split()} - of_commvault
    reads = {"BatchGetItem", "GetItem", "GetParameter", "GetSecretValue"}
    made = [call.operation for call in timeline.calls if call.operation not in reads]
    assert made == [operation for operation in RUNS[run].split() if operation in writes]
