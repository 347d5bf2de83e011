"""One job a trigger and no trigger lost, whatever is cut off: at Commvault, at AWS, or the function itself."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.rds import rds_event
from tests.e2e.product import Product, only, scheduled, tagged, wait_until
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e


def test_five_deliveries_at_the_same_moment_are_one_backup(product: Product) -> None:
    target = product.target("moment")
    event = rds_event("orders", tags=tagged(target))
    runs = product.runs()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(product.stack.put_event, [event] * 5))
    wait_until(lambda: product.runs() >= runs + 5, 30, "five runs have ended")
    product.wait_until_idle(target)
    assert product.wait_for_messages(target)
    assert len(product.calls(target)) == len(product.jobs(target)) == 1
    assert {tuple(message["jobIds"]) for message in product.messages(target)} == {(only(product.jobs(target)).id,)}


def test_events_of_one_database_inside_the_cool_down_share_a_backup(product: Product) -> None:
    target = product.target("cool")
    product.stack.put_event(rds_event("orders", "RDS-EVENT-0043", tags=tagged(target)))
    product.wait_for_messages(target)
    product.stack.put_event(rds_event("orders", "RDS-EVENT-0025", tags=tagged(target)))
    first, second = product.wait_for_messages(target, number=2)
    assert (first["status"], second["status"]) == ("submitted", "joined")
    assert first["jobIds"] == second["jobIds"] == [only(product.jobs(target)).id]
    assert first["trigger"]["rdsEventId"] != second["trigger"]["rdsEventId"]
    assert len(product.calls(target)) == 1


@pytest.mark.parametrize("fault", ["reset_after", "bad_gateway_after", "truncated"])
def test_a_job_whose_answer_was_lost_is_found_again(product: Product, fault: str) -> None:
    target = product.target("lost")
    product.commserve.fault(fault, about=target)
    assert only(product.stack.invoke(scheduled(target))["submissions"])["status"] == "deferred"
    message = only(product.wait_for_messages(target))
    assert (message["status"], message["reconciled"]) == ("submitted", True)
    assert message["jobIds"] == [only(product.jobs(target)).id]
    assert len(product.calls(target)) == 1


def test_a_request_that_was_lost_is_sent_again_after_the_wait(product: Product) -> None:
    target = product.target("unsent")
    other = only(product.stack.invoke(scheduled(target, "before"))["submissions"])
    product.commserve.fault("reset_before", about=target)
    product.stack.invoke(scheduled(target, "reset"))
    message = only(
        [
            one
            for one in product.wait_for_messages(target, number=2)
            if one["trigger"]["id"].startswith("arn:aws:scheduler:reset")
        ]
    )
    assert (message["status"], message["reconciled"]) == ("submitted", False)
    assert not set(message["jobIds"]) & set(other["jobIds"])
    _, lost, again = product.calls(target)
    assert again.at - lost.at >= 5
    assert len(product.jobs(target)) == 2


def test_triggers_of_an_outage_become_one_job_each_after_it(product: Product) -> None:
    targets = [product.target("outage") for _ in range(4)]
    product.commserve.stop()
    for target in targets[:2]:
        answer = product.stack.invoke(scheduled(target))
        assert only(answer["submissions"])["status"] == "deferred"
    product.stack.put_event(rds_event("outage-db", tags=tagged(targets[2])))
    product.stack.invoke_asynchronously(scheduled(targets[3]))
    wait_until(lambda: all(product.waiting(target) for target in targets), 20, "all of them wait on the queue")
    time.sleep(5)
    assert not product.messages(*targets)
    product.commserve.start()
    messages = product.wait_for_messages(*targets, number=4, within=30)
    assert {message["target"]: message["status"] for message in messages} == dict.fromkeys(targets, "submitted")
    for target in targets:
        assert len(product.jobs(target)) == len(product.calls(target)) == 1
    product.wait_until_idle(*targets)


def test_a_run_that_crashed_is_resumed_from_the_on_failure_destination(product: Product, tap: Tap) -> None:
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
    product.wait_until_idle(target)


def test_a_redriven_dead_letter_runs_once_however_often_it_is_sent(product: Product) -> None:
    target = product.target("fixed", is_known=False)
    product.stack.invoke(scheduled(target))
    letter = only(product.dead_letters(target))
    product.commserve.catalogue.add("aws-prod", target)
    product.stack.send(letter)
    rejected, submitted = product.wait_for_messages(target, number=2)
    runs = product.runs()
    product.stack.send(letter)
    wait_until(lambda: product.runs() > runs, 20, "the second copy was handled")
    product.wait_until_idle(target)
    assert (rejected["status"], submitted["status"]) == ("rejected", "submitted")
    assert rejected["trigger"] == submitted["trigger"]
    assert submitted["jobIds"] == [only(product.jobs(target)).id]
    assert len(product.messages(target)) == len(product.calls(target)) == 2
    assert only(product.items(target))["status"] == "submitted"
