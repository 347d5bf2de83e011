"""The built function in the real Lambda runtime, killed at every point of a renewal.

The token's chain is broken only if nothing could know the new pair: Commvault had made it, and it was not stored. That is
refused at the next try, with a hint, and a pair that is stored by hand is used at once.
"""

import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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


def kill_at(aws: Emulator, package: Path, point: str) -> None:
    """Kill a renewal at a point, and go on with its message; store a new pair if nothing else is left."""
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
        assert "Killed" in str(invocation.result().error)
        first.close()
        wire.release()
        with sandbox(package, HANDLER, environment) as function:
            drain(world, function, lambda: commserve.tokens.deleted)
            assert commserve.tokens.deleted is (point in BREAK), point
            assert pair.is_the_latest or point in BREAK, point
            if point in BREAK:
                assert "Create a new access token" in str(world.items()), point
                pair.issue()
            drain(world, function, lambda: False)
            assert ('"TokenRefused":[1.0]' in function.output) is (point in BREAK), point
    assert commserve.tokens.renewals == 1, point
    assert len(commserve.jobs) == world.statuses().count("completed") == 1, point


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


def test_a_renewal_that_is_killed_breaks_the_chain_only_where_nothing_knows_the_new_pair(aws: Emulator) -> None:
    package = build() / "BackupFunction"
    with ThreadPoolExecutor(len(POINTS)) as pool:
        list(pool.map(lambda point: kill_at(aws, package, point), POINTS))
