"""A tenant's hourly budget of writing calls, and a backlog three times as large, over a model of time."""

import json
from collections import Counter
from collections.abc import Callable

from rds_snap_backup.observability import logger
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import Kernel, Schedule
from tests.property.plain import plain
from tests.property.wire import in_charge
from tests.property.world import SUBMISSIONS, World

BACKLOG, LIMIT, PERIOD, CONCURRENCY = 300, 100, 3600, 5
CONFIG = {"cool_down_minutes": 15, "retry_hours": 6, "first_retry_seconds": 30, "reconcile_seconds": 600}


def test_a_backlog_drains_with_few_refusals_an_hour(record_property: Callable[[str, object], None]) -> None:
    kernel = Kernel({"aws": Schedule(())}, Schedule(()))
    server = CommServe(kernel, Settings(limit=LIMIT, limit_seconds=PERIOD))
    world = World(kernel, server, CONFIG, (0.0,) * CONCURRENCY)
    level, begun = logger.log_level, kernel.now
    logger.setLevel("CRITICAL")
    refused: Counter[int] = Counter()
    with in_charge(server):
        for number in range(BACKLOG):
            trigger = {"kind": "manual", "id": f"backlog-{number}"}
            world.sqs.put(SUBMISSIONS, json.dumps({"target": "twin", "trigger": trigger}))
        while (at := world.next_due(SUBMISSIONS)) is not None:
            kernel.now = max(kernel.now, at)
            before = kernel.seen["rate limit"]
            # The event source's maximum concurrency: so many at one time, each in a sandbox of its own.
            world.go([world.hand_over(message) for message in world.due()[:CONCURRENCY]])
            refused[int((kernel.now - begun) // PERIOD)] += kernel.seen["rate limit"] - before
    logger.setLevel(level)
    states = Counter(
        plain(item)["status"] for key, item in world.dynamodb.items.items() if key.startswith("submission#")
    )
    record_property(
        "the rate limit",
        f"{BACKLOG} submissions at {LIMIT} an hour: {dict(states)} in {(kernel.now - begun) / 3600:.1f} h, 429s by hour: {dict(refused)}",
    )
    assert states == {"submitted": BACKLOG}
    assert len(server.jobs) == BACKLOG
    assert 0 < max(refused.values()) <= CONCURRENCY
