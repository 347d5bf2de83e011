"""What Commvault receives from the deployed function: one request a backup, in the RDS Snap Backup form."""

import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.product import Product, only, wait_until

pytestmark = pytest.mark.e2e


def test_the_request_has_the_targets_fields_and_the_token(product: Product) -> None:
    target = product.target("form", backupLevel="INCREMENTAL", notifyUserOnJobCompletion=False)
    product.stack.invoke({"target": target})
    request = only(product.calls(target))
    task = request.json["taskInfo"]
    assert [each["subclientName"] for each in task["associations"]] == [target]
    options = task["subTasks"][0]["options"]
    assert options["backupOpts"] == {"backupLevel": "INCREMENTAL"}
    assert options["commonOpts"] == {"notifyUserOnJobCompletion": False}
    assert request.header("Authtoken") == CANARY
    assert request.header("Content-Type") == request.header("Accept") == "application/json"
    assert not product.commserve.refusals  # it was the form, field for field


def test_a_target_of_several_groups_is_one_request(product: Product) -> None:
    target, names = product.target_of(3)
    answer = only(product.stack.invoke({"target": target})["submissions"])
    assert len(product.calls(*names)) == 1
    jobs = {job.group: job.id for job in product.jobs(*names)}
    assert {backup["state"] for backup in answer["backups"]} == {"running"}
    assert only(product.wait_for_messages(target))["jobIds"] == [jobs[name] for name in names]

    def known() -> dict[str, str]:
        backups = only(product.records(target))["backups"]
        return {
            backup["association"]["subclientName"]: backup["phase"]["job"]["id"]
            for backup in backups
            if "job" in backup["phase"]
        }

    wait_until(lambda: known() == jobs, "rows have told which job is whose")


@pytest.mark.parametrize("run", ["cold", "warm"])
def test_a_start_sends_one_request_and_asks_for_nothing(product: Product, run: str) -> None:
    if run == "cold":
        product.start_cold()
    target = product.target(run)
    before = len(product.commserve.requests)
    product.stack.invoke({"target": target})
    assert len(product.calls(target)) == 1
    # Other targets' jobs are polled all the time, and a target whose job failed is started again.
    paths = [request.path for request in product.commserve.requests[before:]]
    assert not [path for path in paths if path != "/CreateTask" and not path.startswith("/Job")]
