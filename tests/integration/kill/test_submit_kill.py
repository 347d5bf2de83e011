"""The built function in the real Lambda runtime, killed wherever a run can die, ends with one job and its message.

Nothing in the code helps: each point is reached by a wire that stops answering. A run that is killed by its timeout finds
every AWS call from that point on without an answer, since it outlives a single one by design.
"""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import build
from tests.integration.kill.sandboxes import ONE_STARTS, answer_of, sandbox, wait_for
from tests.integration.kill.stalling import StallingWire
from tests.integration.world import World

pytestmark = [pytest.mark.kill, pytest.mark.timeout(420)]

HANDLER = "rds_snap_backup.submit.handler.lambda_handler"
# Of the killed run: long enough for the request's deadline to pass first, too short for the SDK to give up twice.
FUNCTION_SECONDS = {"timeout": 18, "SIGKILL": 50}
POINTS = {
    "before the request": ("GetSecretValue", 1),
    "after it was sent, before the answer": ("UpdateItem", 1),
    "after the answer, before the ledger write": ("TransactWriteItems", 2),
    "after the ledger write, before the publish": ("Publish", 1),
    "after the publish, before it is marked": ("UpdateItem", 1),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    point: str
    way: str
    death: str
    jobs: int
    credited: set[str]
    messages: int
    states: list[str]


def killed_at(aws: Emulator, package: Path, point: str, way: str) -> Outcome:
    """Kill a run at a point, deliver its event again as Lambda's on-failure destination does, and observe."""
    event = {"target": "default", "schedule": f"arn:aws:scheduler:{uuid.uuid4()}", "time": "2026-01-31T02:00:00Z"}
    with CommServe(job_seconds=3600) as commserve, StallingWire(aws.endpoint_url) as wire, ExitStack() as first:
        with ONE_STARTS:
            world = World(aws, commserve)
            environment = {**world.environment, "AWS_ENDPOINT_URL": wire.url}
            wire.stall(*POINTS[point])
            function = first.enter_context(sandbox(package, HANDLER, environment, timeout=FUNCTION_SECONDS[way]))
            is_answered = "before the answer" not in point
            if not is_answered:
                commserve.fault("stall_after")
            invocation = first.enter_context(ThreadPoolExecutor(1)).submit(function.invoke, event)
            wait_for(wire.reached.is_set if is_answered else lambda: commserve.jobs)
        if way == "SIGKILL":
            function.kill()
        death = str(invocation.result().error)
        first.close()
        wire.release()
        commserve.release()
        with sandbox(package, HANDLER, environment) as function:
            envelope = {"requestContext": {"requestId": str(uuid.uuid4())}, "requestPayload": event}
            world.redrive(envelope)
            world.drain(within=240, handler=lambda records: answer_of(function, records))
        notifications = world.notifications()
        credited = {job for one in notifications for job in one["jobIds"]}
        states = [item["status"] for item in world.items() if item.get("published")]
        return Outcome(point, way, death, len(commserve.jobs), credited, len(notifications), states)


def test_ten_ways_to_be_killed_end_with_one_job_and_its_message(
    aws: Emulator, record_property: Callable[[str, object], None]
) -> None:
    package = build() / "SubmitFunction"
    cases = [(point, way) for point in POINTS for way in ("timeout", "SIGKILL")]
    with ThreadPoolExecutor(len(cases)) as pool:
        outcomes = list(pool.map(lambda case: killed_at(aws, package, *case), cases))
    for outcome in outcomes:
        record_property(
            "Submit killed", f"{outcome.point}, by {outcome.way}: {outcome.jobs} job, {outcome.messages} messages"
        )
    assert len(outcomes) == 10
    for outcome in outcomes:
        assert ("timed out" if outcome.way == "timeout" else "Killed") in outcome.death, outcome
        assert outcome.jobs == 1, outcome
        assert len(outcome.credited) == 1, outcome
        assert outcome.messages >= 1, outcome
        assert outcome.states == ["submitted"], outcome
