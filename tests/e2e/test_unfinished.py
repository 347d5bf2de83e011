"""Submissions that were left half done right after the deployment: each is finished when its lease has ended."""

import pytest

from tests.e2e.product import Product, only

pytestmark = pytest.mark.e2e

LEASE_AND_MORE = 150


def test_a_message_that_sns_refused_is_published_later_without_a_second_request(interrupted: Product) -> None:
    target = interrupted.started["unpublished"]
    message = only(interrupted.wait_for_messages(target, within=LEASE_AND_MORE))
    assert message["jobIds"] == [only(interrupted.jobs(target)).id]
    assert len(interrupted.calls(target)) == 1


def test_a_run_killed_after_commvault_made_the_job_is_finished_with_that_job(interrupted: Product) -> None:
    target = interrupted.started["after"]
    message = only(interrupted.wait_for_messages(target, within=LEASE_AND_MORE))
    assert (message["status"], message["reconciled"]) == ("submitted", True)
    assert message["jobIds"] == [only(interrupted.jobs(target)).id]
    assert len(interrupted.calls(target)) == 1


def test_a_synchronous_run_killed_before_commvault_made_the_job_is_finished_by_its_safety_net(
    interrupted: Product,
) -> None:
    target = interrupted.started["before"]
    message = only(interrupted.wait_for_messages(target, within=LEASE_AND_MORE))
    assert (message["status"], message["reconciled"]) == ("submitted", False)
    assert message["jobIds"] == [only(interrupted.jobs(target)).id]
    assert len(interrupted.calls(target)) == 2
    assert only(interrupted.items(target))["attempt"] == "2"
