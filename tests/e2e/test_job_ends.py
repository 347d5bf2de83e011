"""A subscriber receives the end of each backup, and events wait for databases."""

import pytest

from local.rds import create_instance, delivered, rds_event
from tests.e2e.product import Product, only, tagged

pytestmark = pytest.mark.e2e

CARRIED = ("version", "target", "jobIds", "taskId", "backupLevel", "associations", "trigger")


def test_a_subscriber_receives_a_submission_and_then_its_end(product: Product) -> None:
    target, reason = product.target("failed", retryFailedJobs=0), "The snapshot quota is reached."
    product.commserve.plan_jobs(group=target, seconds=1, ending="Failed", reason=reason)
    product.stack.invoke({"target": target})
    submitted, end = product.story(target)
    assert (submitted["status"], end["status"]) == ("submitted", "failed")
    assert {name: end[name] for name in CARRIED} == {name: submitted[name] for name in CARRIED}
    assert end["jobIds"] == [only(product.jobs(target)).id]
    assert end["startedAt"] <= end["endedAt"]
    assert end["durationSeconds"] >= 0
    assert end["reason"] == end["error"]["message"] == reason


def test_an_event_waits_until_its_database_is_available(product: Product) -> None:
    target, rds = product.target("waits"), product.stack.aws.client("rds")
    create_instance(rds, target, "mysql")
    rds.stop_db_instance(DBInstanceIdentifier=target)
    event = rds_event(target, tags=tagged(target))
    answer = only(product.stack.invoke(delivered(event))["submissions"])
    backup = only(answer["backups"])
    assert (backup["state"], backup["error"]["code"]) == ("waiting", "DATABASE_NOT_AVAILABLE")
    assert not product.calls(target)
    rds.start_db_instance(DBInstanceIdentifier=target)
    assert only(product.wait_for_messages(target))["status"] == "submitted"
    assert len(product.calls(target)) == 1
