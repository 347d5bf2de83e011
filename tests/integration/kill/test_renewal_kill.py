"""The built function in the real Lambda runtime, killed at every point of a renewal.

The token's chain is broken only if nothing could know the new pair: Commvault had made it, and it was not stored. That is
refused at the next try, with a hint, and a pair that is stored by hand is used at once.
"""

import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.runtime import Runtime
from local.stack import build
from tests.integration.forwarding import Call
from tests.integration.kill.sandboxes import ONE_STARTS, sandbox, wait_for
from tests.integration.kill.stalling import StallingWire
from tests.integration.pairs import RENEW, PairInSecret
from tests.integration.world import World, scheduled

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

HANDLER = "rds_snap_backup.backup.handler.lambda_handler"
TIMES = int(os.environ.get("KILLS", "1"))
# The calls of a run that renews; of DynamoDB's those for the token's item. The first PutSecretValue proves that the secret
# can be written.
POINTS = {
    "before the pair is recorded": ("UpdateItem", 2),
    "before it is presented": None,
    "after it is presented": None,
    "before the new pair is stored": ("PutSecretValue", 2),
    "after it is stored": ("UpdateSecretVersionStage", 1),
    "after it is current": ("UpdateItem", 3),
}
BREAK = {"after it is presented", "before the new pair is stored"}


class TokenWire(StallingWire):
    """Stalls at updates of the token's item only."""

    def _is_meant(self, call: Call) -> bool:
        is_of_another = call.operation == "UpdateItem" and not re.search(r'"pk":\s*{"S":\s*"token"}', call.text)
        return super()._is_meant(call) and not is_of_another


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
    completed: int


def killed_at(aws: Emulator, package: Path, point: str) -> Outcome:
    """Kill a renewal at a point, go on with its message, and observe; store a new pair if nothing else is left."""
    with CommServe(job_seconds=1) as commserve, TokenWire(aws.endpoint_url) as wire, ExitStack() as first:
        with ONE_STARTS:
            world = World(aws, commserve)
            pair = PairInSecret(world)
            pair.expire()
            if call := POINTS[point]:
                wire.stall(*call)
            else:
                commserve.fault("stall_after" if "after" in point else "stall_before", path=RENEW)
            environment = {**world.environment, "AWS_ENDPOINT_URL": wire.url}
            function = first.enter_context(sandbox(package, HANDLER, environment))
            event = scheduled(str(uuid.uuid4()))
            invocation = first.enter_context(ThreadPoolExecutor(1)).submit(function.invoke, event)
            wait_for(wire.reached.is_set if call else lambda: commserve.renewals, within=90)
        function.kill()
        death = str(invocation.result().error)
        first.close()
        wire.release()
        with sandbox(package, HANDLER, environment) as function:
            drain(world, function, lambda: commserve.tokens.deleted)
            deleted, latest = commserve.tokens.deleted, pair.is_the_latest
            hinted = "Create a new access token" in str(world.items())
            if deleted:
                pair.issue()
            drain(world, function, lambda: False)
            output = function.output
    counted = Counter({name: output.count(f'"{name}":[1.0]') for name in ("TokenRefused", "TokenRenewed")})
    completed = world.statuses().count("completed")
    return Outcome(
        point, death, deleted, commserve.tokens.renewals, counted, hinted, latest, len(commserve.jobs), completed
    )


def drain(world: World, function: Runtime, is_enough: Callable[[], bool]) -> None:
    """Be the event source until the queue is empty: a run that fails leaves its messages on the queue."""

    def handle(event: Any) -> Any:
        response = function.invoke(event)
        failed = [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
        return {"batchItemFailures": failed} if response.error else response.payload

    until = time.monotonic() + 300
    while world.waiting() and not is_enough():
        assert time.monotonic() < until, "messages are left on the Submissions queue"
        world.poll(handle, wait=1)


def test_a_renewal_that_is_killed_breaks_the_chain_only_where_nothing_knows_the_new_pair(
    aws: Emulator, record_property: Callable[[str, object], None]
) -> None:
    package = build() / "BackupFunction"
    cases = [point for point in POINTS for _ in range(TIMES)]
    with ThreadPoolExecutor(len(cases)) as pool:
        outcomes = list(pool.map(lambda point: killed_at(aws, package, point), cases))
    for point in POINTS:
        found = [outcome for outcome in outcomes if outcome.point == point]
        broken = sum(outcome.deleted for outcome in found)
        record_property("Renewal killed", f"{point}, {len(found)} times: {broken} chains broken")
    for outcome in outcomes:
        assert "Killed" in outcome.death, outcome
        assert outcome.deleted == (outcome.point in BREAK), outcome
        assert outcome.renewals == 1, outcome
        assert outcome.latest or outcome.deleted, outcome
        assert outcome.jobs == outcome.completed == 1, outcome
        if outcome.deleted:
            assert outcome.hinted, outcome
            assert outcome.counted["TokenRefused"] >= 1, outcome
        else:
            assert outcome.counted["TokenRefused"] == 0, outcome
