"""One job a trigger and no trigger lost: after duplicates, lost answers, an outage, a crash, a redrive."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.rds import rds_event
from tests.e2e.product import Product, only, scheduled, tagged, wait_until
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e


def test_five_deliveries_at_the_same_moment_are_one_backup(product: Product) -> None:
    target = product.target("moment")
    event = rds_event("orders", tags=tagged(target))
    product.commserve.plan_jobs(group=target, seconds=0)
    runs = product.runs()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(product.stack.put_event, [event] * 5))
    wait_until(lambda: product.runs() >= runs + 5, "five runs have ended")
    product.wait_for_messages(target)
    messages = product.story(target)
    assert [message["status"] for message in messages] == ["submitted", "completed"]
    assert [message["jobIds"] for message in messages] == [[only(product.jobs(target)).id]] * 2
    assert len(product.calls(target)) == 1


@pytest.mark.parametrize(("fault", "clock"), [("reset_after", -8), ("bad_gateway_after", 0)])
def test_a_job_whose_answer_was_lost_is_adopted(product: Product, fault: str, clock: int) -> None:
    """Also where the CommServe's clock is behind its web server's."""
    target = product.target("lost")
    product.commserve.fault(fault, about=target)
    product.commserve.row_offset = clock
    try:
        answer = only(product.stack.invoke(scheduled(target))["submissions"])
        assert only(answer["backups"])["state"] == "requested"
        message = only(product.wait_for_messages(target))
    finally:
        product.commserve.row_offset = 0
    product.commserve.end_job(only(product.jobs(target)).id)
    assert (message["status"], message["reconciled"]) == ("submitted", True)
    assert [message["jobIds"] for message in product.story(target)] == [[only(product.jobs(target)).id]] * 2
    assert len(product.calls(target)) == 1


def test_triggers_of_an_outage_become_one_job_each_after_it(product: Product) -> None:
    targets = [product.target("outage") for _ in range(3)]
    product.commserve.stop()
    try:
        answer = only(product.stack.invoke(scheduled(targets[0]))["submissions"])
        assert only(answer["backups"])["state"] == "waiting"
        product.stack.put_event(rds_event("outage-db", tags=tagged(targets[1])))
        product.stack.invoke_asynchronously(scheduled(targets[2]))
        wait_until(lambda: len(product.records(*targets)) == 3, "each of them was tried")
        assert not product.messages(*targets)
    finally:
        product.commserve.start()
    messages = product.wait_for_messages(*targets, number=3)
    assert {message["target"]: message["status"] for message in messages} == dict.fromkeys(targets, "submitted")
    for target in targets:
        assert len(product.jobs(target)) == len(product.calls(target)) == 1


def test_a_run_that_crashed_is_repeated_from_the_on_failure_destination(product: Product, tap: Tap) -> None:
    target = product.started["crash"]
    product.start_cold()  # a warm sandbox might know the targets already
    errors = sum("Traceback" in line for line in product.stack.logs())
    tap.refuse("GetParametersByPath", times=3, about=product.stack.outputs["TargetsPath"])
    product.stack.invoke_asynchronously(rds_event("crash-db"))
    message = only(product.wait_for_messages(target))
    assert sum("Traceback" in line for line in product.stack.logs()) > errors
    assert tap.refusals_left == 0
    assert message["jobIds"] == [only(product.jobs(target)).id]
    assert len(product.calls(target)) == 1


def test_a_redriven_letter_opens_its_submission_once(product: Product) -> None:
    target = product.target("fixed", is_known=False)
    product.stack.invoke(scheduled(target))
    letter = only(product.dead_letters(target))
    product.commserve.catalogue.add("aws-prod", target)
    product.commserve.plan_jobs(group=target, seconds=0)
    for _ in range(2):
        product.stack.send(letter)
    product.wait_for_messages(target, number=2)
    messages = product.story(target)
    assert [message["status"] for message in messages] == ["rejected", "submitted", "completed"]
    product.stack.send(letter)
    assert product.story(target) == messages
    assert {json.dumps(message["trigger"]) for message in messages} == {json.dumps(letter["trigger"])}
    assert len(product.jobs(target)) == 1
    assert len(product.calls(target)) == 2
