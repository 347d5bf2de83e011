"""A target's last times, over the model of the table."""

from typing import Any

import pytest

from rds_snap_backup.ledger.history import History, TargetHistory
from rds_snap_backup.ledger.steps import Pin, Send, Submission
from rds_snap_backup.ledger.submissions import Ledger
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Kind, Trigger
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Schedule

NOW = 1769824804.0
PIN = Pin(BackupRequest((Association("c", "i", "d", "s"),)), 900)


@pytest.fixture
def table() -> Table:
    client: Any = DynamoDB(Kernel({"aws": Schedule(())}, Schedule(())))
    return Table("ledger", client)


@pytest.fixture
def history(table: Table) -> History:
    return History(table, 86400, lambda: NOW)


def end(table: Table, kind: Kind, status: Any, target: str = "orders", pin: Pin = PIN) -> None:
    ledger = Ledger(table, 3600, 86400, lambda: NOW)
    step = ledger.begin(Submission(Trigger(kind, "one"), target), "me", pin)
    assert isinstance(step, Send)
    ledger.close(step.lease, status, {"jobIds": ["1354"] if status == "submitted" else []})


def test_a_target_without_a_submission_has_no_history(history: History) -> None:
    assert history.find(["orders"]) == {}


def test_a_submission_is_remembered_and_whether_a_schedule_started_it(table: Table, history: History) -> None:
    end(table, "manual", "submitted")
    assert history.find(["orders"]) == {"orders": TargetHistory(submitted_at=NOW)}
    end(table, "schedule", "submitted")
    assert history.find(["orders"]) == {"orders": TargetHistory(submitted_at=NOW, scheduled_at=NOW)}


@pytest.mark.parametrize("cool_down_seconds", [0, 900])
def test_a_schedule_that_was_rejected_still_makes_its_target_a_scheduled_one(
    table: Table, history: History, cool_down_seconds: int
) -> None:
    end(table, "schedule", "rejected", pin=Pin(PIN.request, cool_down_seconds))
    assert history.find(["orders"]) == {"orders": TargetHistory(scheduled_at=NOW)}


def test_a_completion_never_goes_backwards(history: History) -> None:
    history.record_completion("orders", 200, ["7", "8"])
    history.record_completion("orders", 100, ["5"])
    assert history.find(["orders"]) == {"orders": TargetHistory(completed_at=200, completed_jobs=("7", "8"))}
    history.record_completion("orders", 300, ["9"])
    assert history.find(["orders"])["orders"].completed_jobs == ("9",)


def test_hundreds_of_targets_are_read_with_a_call_for_each_hundred(
    table: Table, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [f"target-{number}" for number in range(300)]
    for target in targets[::50]:
        history.record_completion(target, 100, ["1"])
    calls: list[int] = []
    read = DynamoDB.batch_get_item

    def counted(self: DynamoDB, **call: Any) -> dict[str, Any]:
        calls.append(len(call["RequestItems"]["ledger"]["Keys"]))
        return read(self, **call)

    monkeypatch.setattr(DynamoDB, "batch_get_item", counted)
    assert sorted(history.find(targets)) == sorted(targets[::50])
    assert calls == [100, 100, 100]
