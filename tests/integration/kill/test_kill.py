"""The built function in the real Lambda runtime, killed before and after each effect of a run.

Nothing in the code helps: a wire that stops answering holds the run where it is killed. What was on the queue by then is
delivered again on a timeline, so that the lease of the killed run costs no waiting.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.stack import build
from tests.integration.kill.sandboxes import sandbox, wait_for
from tests.integration.kill.stalling import StallingWire
from tests.integration.timeline import HOUR, Timeline
from tests.integration.world import World, only, record

HANDLER = "rds_snap_backup.backup.handler.lambda_handler"
# The effects of each run in their order: AWS's operations, and what becomes of CreateTask. A run is killed when it is about
# to have one: the one before it was had.
RUNS = {
    "submitted": "SendMessage TransactWriteItems stall_before stall_after TransactWriteItems Publish UpdateItem",
    "refused": "SendMessage TransactWriteItems UpdateItem Publish SendMessage UpdateItem",
    "ended": "TransactWriteItems Publish UpdateItem",
    "running": "TransactWriteItems ChangeMessageVisibilityBatch",
}
STATUSES = {"refused": {"rejected"}}


def points() -> Iterator[Any]:
    for run, effects in RUNS.items():
        operations = effects.split()
        for at, operation in enumerate(operations):
            nth = operations[: at + 1].count(operation)
            yield pytest.param(run, operation, nth, id=f"{run}: {operation} {nth}")


def prepare(timeline: Timeline, run: str) -> Any:
    """Return the event of a run."""
    if run == "refused":
        timeline.commserve.fault("error_top", times=None, code=4)
    if run in {"submitted", "refused"}:
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


def kill(timeline: Timeline, event: Any, operation: str, nth: int) -> None:
    """Invoke the function with an event, and kill it where it is about to have an effect."""
    commserve = timeline.commserve
    commserve.clock.thaw()
    with StallingWire(timeline.aws.endpoint_url) as wire, ThreadPoolExecutor(1) as pool:
        is_there: dict[str, Callable[[], object]] = {
            "stall_before": lambda: commserve.create_tasks,
            "stall_after": lambda: commserve.jobs,
        }
        if operation in is_there:
            commserve.fault(operation)
        else:
            wire.stall(operation, nth)
        environment = timeline.environment | {"AWS_ENDPOINT_URL": wire.url}
        with sandbox(build() / "BackupFunction", HANDLER, environment) as function:
            invocation = pool.submit(function.invoke, event)
            reached = is_there.get(operation, wire.reached.is_set)
            wait_for(lambda: reached() or invocation.done(), within=180)
            function.kill()
        assert "Killed" in str(invocation.result().error), invocation.result()
    commserve.clock.freeze()


@pytest.mark.kill
@pytest.mark.timeout(420)
@pytest.mark.parametrize(("run", "operation", "nth"), list(points()))
def test_a_killed_run_ends_with_one_job_one_end_and_no_message(
    timeline: Timeline, run: str, operation: str, nth: int
) -> None:
    event = prepare(timeline, run)
    kill(timeline, event, operation, nth)
    timeline.take_over()
    if "Records" not in event:  # Lambda sends it to the queue, as it came.
        timeline.redrive({"requestContext": {"requestId": "of-the-run"}, "requestPayload": event})
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
