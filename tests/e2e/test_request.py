"""What Commvault receives from the deployed function: one request a backup, in the RDS Snap Backup form."""

import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.product import CLIENT, Product, only

pytestmark = pytest.mark.e2e


def test_the_request_carries_the_targets_fields_and_the_token(product: Product) -> None:
    target = product.target("form", backupLevel="INCREMENTAL", notifyUserOnJobCompletion=False)
    product.stack.invoke({"target": target})
    request = only(product.calls(target))
    association = only(request.json["taskInfo"]["associations"])
    assert (association["clientName"], association["instanceName"]) == (CLIENT, target)
    options = only(request.json["taskInfo"]["subTasks"])["options"]
    assert options["backupOpts"] == {"backupLevel": "INCREMENTAL"}
    assert options["commonOpts"] == {"notifyUserOnJobCompletion": False}
    assert request.method == "POST"
    assert request.header("Authtoken") == CANARY
    assert request.header("Content-Type") == request.header("Accept") == "application/json"
    assert not product.commserve.refusals  # it was the form, field for field


def test_without_a_display_name_the_default_target_has_the_clients(fleet: Product) -> None:
    assert "DisplayName" not in fleet.stack.parameters
    fleet.stack.invoke({"target": "default"})
    association = only(fleet.calls("orders-db")[-1].json["taskInfo"]["associations"])
    assert (association["clientName"], association["displayName"]) == (CLIENT, CLIENT)


def test_a_backup_is_one_request_cold_and_warm(fleet: Product) -> None:
    target = next(iter(fleet.started))
    for run in ("cold", "warm"):
        if run == "cold":
            fleet.start_cold()
        before = len(fleet.commserve.requests)
        message = only(fleet.stack.invoke({"target": target, "requestId": run})["submissions"])
        assert message["status"] == "submitted"
        assert len(fleet.commserve.requests) == before + 1, run
    assert [('"cold_start":true' in line) for line in fleet.stack.logs() if "Commvault answered" in line][-2:] == [
        True,
        False,
    ]
