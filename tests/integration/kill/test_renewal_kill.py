"""The built function in the real Lambda runtime, killed wherever a renewal can die.

The token's chain is broken only where nothing could know the new pair: Commvault had made it, and it was not stored. That
is refused at the next try, with a hint, and a pair that is put in by hand is used at once.
"""

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.runtime import Runtime
from local.stack import build
from tests.integration.kill.sandboxes import ONE_STARTS, answer_of, sandbox, wait_for
from tests.integration.kill.stalling import StallingWire
from tests.integration.pairs import RENEW, PairInSecret
from tests.integration.world import World

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

HANDLER = "rds_snap_backup.submit.handler.lambda_handler"
TIMES = int(os.environ.get("KILLS", "2"))
# The calls of a run that renews. The first PutSecretValue proves that the secret can be written.
POINTS = {
    "before the pair is recorded": ("UpdateItem", 2),
    "before it is presented": None,
    "after it is presented": None,
    "before the new pair is stored": ("PutSecretValue", 2),
    "after it is stored": ("UpdateSecretVersionStage", 1),
    "after it is current": ("UpdateItem", 3),
}
BREAK = {"after it is presented", "before the new pair is stored"}


@dataclass(frozen=True, slots=True)
class Outcome:
    point: str
    death: str
    deleted: bool
    renewals: int
    counted: Counter[str]
    hinted: bool
    latest: bool
    jobs: int
    credited: int


def killed_at(aws: Emulator, package: Path, point: str) -> Outcome:
    """Kill a renewal at a point, deliver its event again, and observe; put in a new pair where that is what is left."""
    event = {"target": "default", "schedule": f"arn:aws:scheduler:{uuid.uuid4()}", "time": "2026-01-31T02:00:00Z"}
    with CommServe(job_seconds=3600) as commserve, StallingWire(aws.endpoint_url) as wire, ExitStack() as first:
        with ONE_STARTS:
            world = World(aws, commserve)
            pair = PairInSecret(world)
            pair.issue()
            pair.expire()
            if call := POINTS[point]:
                wire.stall(*call)
            else:
                commserve.fault("stall_after" if "after" in point else "stall_before", path=RENEW)
            environment = {**world.environment, "AWS_ENDPOINT_URL": wire.url}
            function = first.enter_context(sandbox(package, HANDLER, environment))
            invocation = first.enter_context(ThreadPoolExecutor(1)).submit(function.invoke, event)
            wait_for(wire.reached.is_set if call else lambda: commserve.renewals, within=90)
        function.kill()
        death = str(invocation.result().error)
        first.close()
        wire.release()
        with sandbox(package, HANDLER, environment) as function:
            world.redrive({"requestContext": {"requestId": str(uuid.uuid4())}, "requestPayload": event})
            drain(world, function, lambda: commserve.tokens.deleted)
            deleted, hinted = commserve.tokens.deleted, "make token" in function.output
            latest = pair.is_the_latest
            if deleted:
                pair.issue()
            drain(world, function, lambda: False)
            output = function.output
    credited = {job for one in world.notifications() for job in one["jobIds"]}
    counted = Counter({name: output.count(f'"{name}":[1.0]') for name in ("TokenRefused", "TokenRenewed")})
    renewals = commserve.tokens.renewals
    return Outcome(point, death, deleted, renewals, counted, hinted, latest, len(commserve.jobs), len(credited))


def drain(world: World, function: Runtime, is_enough: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while world.waiting() and not is_enough():
        assert time.monotonic() < until, "messages are left on the Submissions queue"
        world.poll(lambda records: answer_of(function, records), wait=1)


def test_a_renewal_that_is_killed_breaks_the_chain_only_where_nothing_knows_the_new_pair(
    aws: Emulator, record_property: Callable[[str, object], None]
) -> None:
    package = build() / "SubmitFunction"
    cases = [point for point in POINTS for _ in range(TIMES)]
    with ThreadPoolExecutor(len(cases)) as pool:
        outcomes = list(pool.map(lambda point: killed_at(aws, package, point), cases))
    for point in POINTS:
        found = [one for one in outcomes if one.point == point]
        broken = sum(one.deleted for one in found)
        record_property("Renewal killed", f"{point}, {len(found)} times: {broken} chains broken")
    for outcome in outcomes:
        assert "Killed" in outcome.death, outcome
        assert outcome.deleted == (outcome.point in BREAK), outcome
        assert outcome.renewals == 1, outcome
        assert outcome.latest or outcome.deleted, outcome
        assert outcome.jobs == outcome.credited == 1, outcome
        if outcome.deleted:
            assert outcome.hinted, outcome
            assert outcome.counted["TokenRefused"] >= 1, outcome
        else:
            assert outcome.counted["TokenRefused"] == 0, outcome
