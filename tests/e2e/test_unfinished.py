"""Submissions that began right after the deployment, since they take long: a run that was killed, a job that failed."""

import pytest

from tests.e2e.product import Product, only

pytestmark = pytest.mark.e2e


def test_a_run_killed_before_its_answer_ends_in_one_followed_job(product: Product) -> None:
    """It left its own message and Lambda's envelope on the queue, and a lease."""
    target = product.started["killed"]
    submitted, completed = product.story(target)
    job = only(product.jobs(target))
    assert [submitted["jobIds"], completed["jobIds"]] == [[job.id]] * 2
    assert (submitted["status"], submitted["reconciled"], completed["status"]) == ("submitted", True, "completed")
    assert len(product.calls(target)) == 1


def test_one_failed_job_of_a_target_is_started_again_and_the_other_has_its_own_end(product: Product) -> None:
    target = product.started["failing"]
    failing, other = f"{target}-0", f"{target}-1"
    messages = product.story(target)
    first, again = product.jobs(failing)
    well = only(product.jobs(other))
    assert sorted((message["status"], message["jobIds"]) for message in messages) == [
        ("completed", [well.id]),
        ("completed", [again.id]),
        ("retrying", [first.id]),
        ("submitted", [first.id, well.id]),
        ("submitted", [again.id]),
    ]
    retrying = next(message for message in messages if message["status"] == "retrying")
    assert retrying["error"]["message"] == "The snapshot quota is reached."
    assert retrying["retryAt"] > retrying["submittedAt"]
    assert (len(product.calls(failing)), len(product.calls(other))) == (2, 1)
