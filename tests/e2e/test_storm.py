"""Many triggers at once, each delivered twice, while Commvault fails every third request: none doubled, none lost."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from local.rds import rds_event
from tests.e2e.product import Product, tagged, wait_until

pytestmark = pytest.mark.e2e

TARGETS, TRIGGERS, AT_ONCE, EVERY = 15, 30, 6, 3
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("reset_before", {}),
    ("reset_after", {}),
    ("bad_gateway_after", {}),
    ("error_top", {"status": 500, "code": 19}),
    ("throttled", {"period": 1}),
]


def test_a_storm_of_triggers_ends_in_a_job_for_each_that_began_after_it(product: Product) -> None:
    chance = random.Random(2026)
    targets = [product.target("storm", gatherMinutes=0) for _ in range(TARGETS)]
    for target in targets:
        product.commserve.plan_jobs(times=None, group=target, seconds=1)
    triggers = [_trigger(number, targets[number % TARGETS]) for number in range(TRIGGERS)]
    deliveries = triggers * 2
    chance.shuffle(deliveries)

    with _every_third_request_fails(product, targets), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(product.stack.invoke, deliveries))
        wait_until(lambda: len(_started(product, targets)) >= TRIGGERS, f"{TRIGGERS} triggers have their jobs")
    messages = product.story(*targets)

    statuses = Counter(message["status"] for message in messages)
    jobs = {job.id: job for job in product.jobs(*targets)}
    assert set(statuses) == {"submitted", "joined", "completed"}
    # Each trigger is submitted or joins, once; each job is somebody's own, once, and so is its end.
    assert len(_started(product, targets)) == statuses["submitted"] + statuses["joined"] == TRIGGERS
    for status in ("submitted", "completed"):
        named = [job_id for message in messages if message["status"] == status for job_id in message["jobIds"]]
        assert sorted(named) == sorted(jobs), status
    for record in product.records(*targets):
        (backup,) = record["backups"]
        assert jobs[backup["phase"]["job"]["id"]].created >= backup["moment"]
    assert not product.dead_letters(*targets)
    faulty = {call.fault for call in product.calls(*targets) if call.fault}
    assert faulty == {name for name, _ in FAULTS}


def _trigger(number: int, target: str) -> dict[str, Any]:
    if number % 2:
        return {"target": target, "requestId": f"storm-{number}"}
    return rds_event(f"storm-{number}", tags=tagged(target))


def _started(product: Product, targets: list[str]) -> set[str]:
    """Return the triggers that have a job of theirs or have joined one."""
    messages = product.messages(*targets)
    return {message["trigger"]["id"] for message in messages if message["status"] in {"submitted", "joined"}}


@contextmanager
def _every_third_request_fails(product: Product, targets: list[str]) -> Iterator[None]:
    is_over = threading.Event()

    def arm() -> None:
        armed = 0
        while not is_over.wait(0.01):
            if len(product.calls(*targets)) >= armed * EVERY:
                name, parameters = FAULTS[armed % len(FAULTS)]
                product.commserve.fault(name, about='"storm-', **parameters)
                armed += 1

    thread = threading.Thread(target=arm)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        product.commserve.clear_faults()
