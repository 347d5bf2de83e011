"""Many starts at one moment, before a DynamoDB that refuses what meets a transaction under way: none is lost."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from rds_snap_backup.observability import logger
from tests.property.accounts import Accounts
from tests.property.documents import association
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import CALL_SECONDS, Kernel, Schedule
from tests.property.plain import plain
from tests.property.script import ARN, RDS, SCHEDULE
from tests.property.wire import in_charge
from tests.property.world import Event, World

STARTS = 50
CONFIG = {"cool_down_minutes": 15, "retry_hours": 6, "first_retry_seconds": 30, "reconcile_seconds": 600}


def _event(kind: str, number: int, target: str) -> Event:
    time = f"2026-01-31T02:{number:02}:00Z"
    if kind == "schedule":
        body = {"schedule": SCHEDULE, "time": time, "target": target}
        return Event(body, f"request-{number}", (f"submission#{target}#schedule#{SCHEDULE}|{time}",))
    detail = {"SourceArn": ARN, "EventID": "RDS-EVENT-0043", "Date": time, "SourceType": "DB_INSTANCE"}
    tagged = {**RDS, "detail": {**detail, "Tags": {"rds-snap-backup:target": target}}}
    return Event(tagged, f"request-{number}", (f"submission#{target}#rds#{ARN}|RDS-EVENT-0043|{time}",))


@pytest.mark.parametrize(
    ("kinds", "has_own_targets"),
    [(("schedule", "rds"), True), (("rds",), False)],
    ids=["different targets", "one target"],
)
def test_starts_at_one_moment_are_all_made(
    kinds: tuple[str, ...], has_own_targets: bool, record_property: Callable[[str, object], None]
) -> None:
    # Any run may go on at any call: the schedule of hand-overs is long, and of a seed of its own.
    draw = random.Random(20260131)
    switches = [(draw.randrange(2), draw.randrange(STARTS)) for _ in range(100_000)]
    kernel = Kernel({"aws": Schedule(())}, Schedule(switches), CALL_SECONDS / STARTS)
    server = CommServe(kernel, Settings())
    world = World(kernel, server, CONFIG, (0.0,) * STARTS, is_contended=True)
    targets = [f"t{number}" if has_own_targets else "one" for number in range(STARTS)]
    for target in targets if has_own_targets else ():
        world.documents.add(target, {"associations": [association(target)]})
    world.events = [_event(kinds[n % len(kinds)], n, target) for n, target in enumerate(targets)]
    level = logger.log_level
    logger.setLevel("CRITICAL")
    with in_charge(server):
        world.go([world.invoke(event) for event in world.events])
        at_once = Counter(
            plain(item)["status"] for key, item in world.dynamodb.items.items() if key.startswith("submission#")
        )
        conflicts = kernel.seen["conflicts between writes"]
        kernel.switches = Schedule(())
        world.drain()
        Accounts.of(world).check()
    logger.setLevel(level)
    record_property(
        "starts at one moment",
        f"{STARTS} of {len(set(targets))} targets: {conflicts} conflicts, {dict(at_once)} at once, {len(server.jobs)} jobs",
    )
    assert not world.promises.errors
    assert len(server.jobs) == len(set(targets))
    assert sum(at_once.values()) == STARTS
    if has_own_targets:
        assert at_once == {"submitted": STARTS}
        # They have no item in common that any of them writes, or checks in a transaction.
        assert conflicts == 0
    else:
        assert conflicts > 0
