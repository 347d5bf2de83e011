"""Many triggers at once, each delivered twice, while Commvault fails every fifth request: none doubled, none lost."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.rds import rds_event
from tests.e2e.conftest import ALONE, deploy_quick
from tests.e2e.product import Product, tagged, wait_until
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

TARGETS, TRIGGERS, AT_ONCE, EVERY = 50, 300, 10, 5
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("reset_before", {}),
    ("reset_after", {}),
    ("bad_gateway_after", {}),
    ("error_top", {"status": 500, "code": 19}),
    ("throttled", {"period": 1}),
]


@pytest.fixture(scope="module")
def stormy(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A stack of its own: what Commvault limits or fails here delays no other test's submissions."""
    with CommServe(job_seconds=3600) as commserve:
        evidence.add("stormy", commserve)
        stack = deploy_quick(aws, "stormy", commserve, ALONE)
        yield Product(stack, commserve, stack.subscribe())


def test_a_storm_of_triggers_is_one_job_each(stormy: Product, record_property: Callable[[str, object], None]) -> None:
    chance = random.Random(2026)
    targets = [stormy.target("storm", coolDownMinutes=0) for _ in range(TARGETS)]
    triggers = [_trigger(number, targets[number % TARGETS]) for number in range(TRIGGERS)]
    deliveries = triggers * 2
    chance.shuffle(deliveries)
    began = time.monotonic()

    def deliver(event: dict[str, Any]) -> None:
        # Manual triggers through the queue: a direct one leaves its safety net there for 90 s.
        (stormy.stack.send if "requestId" in event else stormy.stack.invoke)(event)

    with _every_fifth_request_fails(stormy, targets), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(deliver, deliveries))
        wait_until(lambda: len(_published(stormy, targets)) >= TRIGGERS, 180, f"{TRIGGERS} triggers were published")
    stormy.wait_until_idle(*targets, within=60)

    jobs, published = stormy.jobs(*targets), _published(stormy, targets)
    record_property(
        "the storm",
        f"{TRIGGERS} triggers, each delivered twice: {len(stormy.calls(*targets))} requests, {len(jobs)} jobs in {time.monotonic() - began:.0f} s",
    )
    assert len(published) == TRIGGERS
    assert all(len(job_ids) == 1 for job_ids in published.values())
    assert Counter(next(iter(ids)) for ids in published.values()) == Counter(job.id for job in jobs)
    assert Counter(job.instance for job in jobs) == Counter(dict.fromkeys(targets, TRIGGERS // TARGETS))
    assert {(item["status"], item["published"]) for item in stormy.items(*targets)} == {("submitted", True)}
    assert not stormy.dead_letters(*targets)
    faulty = Counter(one.fault for one in stormy.calls(*targets) if one.fault)
    assert set(faulty) == {name for name, _ in FAULTS}
    assert faulty.total() >= TRIGGERS // EVERY


def _trigger(number: int, target: str) -> dict[str, Any]:
    match number % 3:
        case 0:
            return {"target": target, "requestId": f"storm-{number}"}
        case 1:
            return {
                "target": target,
                "schedule": "arn:aws:scheduler:storm",
                "time": f"2026-01-01T00:00:00.{number:03}Z",
            }
        case _:
            return rds_event(f"storm-{number}", tags=tagged(target))


def _published(product: Product, targets: list[str]) -> dict[str, set[str]]:
    """Return the job ids that were published for each trigger, all its messages together."""
    published: dict[str, set[str]] = {}
    for message in product.messages(*targets):
        published.setdefault(f"{message['target']}|{message['trigger']['id']}", set()).update(message["jobIds"])
    return published


@contextmanager
def _every_fifth_request_fails(product: Product, targets: list[str]) -> Iterator[None]:
    is_over = threading.Event()

    def arm() -> None:
        armed = 0
        while not is_over.wait(0.01):
            if len(product.calls(*targets)) >= armed * EVERY:
                name, parameters = FAULTS[armed % len(FAULTS)]
                product.commserve.fault(name, **parameters)
                armed += 1

    thread = threading.Thread(target=arm)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        product.commserve.clear_faults()
