"""The table: what a refused condition tells, how long a write or a read waits for others; and the audit's item in it."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.ledger import table as module
from rds_snap_backup.ledger.audits import AuditChangedError, Audits, AuditState, ReportLink
from rds_snap_backup.ledger.table import ConditionFailed, Contended, Table, Update
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients


class Throttled(DynamoDB):
    """A table that leaves out the first key of a read a number of times."""

    left_out = 0

    def batch_get_item(self, **call: Any) -> dict[str, Any]:
        answer = super().batch_get_item(**call)
        if not self.left_out:
            return answer
        self.left_out -= 1
        ((name, request),) = call["RequestItems"].items()
        rows = [row for row in answer["Responses"][name] if row["pk"] != request["Keys"][0]["pk"]]
        return {"Responses": {name: rows}, "UnprocessedKeys": {name: {**request, "Keys": request["Keys"][:1]}}}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Throttled:
    monkeypatch.setattr(module, "CONFLICT_PAUSES", (0.0, 0.0, 0.0))
    return Throttled(Kernel())


@pytest.fixture
def table(dynamodb: Throttled) -> Table:
    return Table("ledger", clients({"dynamodb": dynamodb}).dynamodb)


NEW = "attribute_not_exists(#pk)"


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize(("conflicts", "is_written"), [(0, True), (3, True), (4, False)])
def test_a_write_that_meets_another_is_tried_again_three_times(
    dynamodb: Throttled, table: Table, updates: int, conflicts: int, is_written: bool
) -> None:
    kind = "transaction in the way" if updates > 1 else "update in the way"
    dynamodb._kernel.faults[kind] = ["another write"] * conflicts
    with nullcontext() if is_written else pytest.raises(Contended):
        table.write(*(Update(f"item-{number}", {"value": 1}) for number in range(updates)))
    assert len(table.get_many(["item-0", "item-1"])) == (updates if is_written else 0)


def test_a_refused_condition_tells_which_and_what_there_is(table: Table) -> None:
    table.write(Update("a", {"value": "mine", "time": 1.2345678, "flag": True}))
    with pytest.raises(ConditionFailed) as failed:
        table.write(Update("b", {"value": "x"}, (), NEW), Update("a", {"value": "x"}, (), NEW))
    assert failed.value.found == (None, {"pk": "a", "value": "mine", "time": 1.235, "flag": True})
    with pytest.raises(ConditionFailed) as failed:
        table.write(Update("b", {"value": "x"}, (), "#version = :was", {"was": 1}))
    assert failed.value.found == ({},)
    assert table.get("b") is None


@pytest.mark.parametrize(("times", "is_read"), [(0, True), (3, True), (4, False)])
def test_keys_that_a_throttled_table_leaves_out_are_read_again(
    dynamodb: Throttled, table: Table, times: int, is_read: bool
) -> None:
    for key in "ab":
        table.write(Update(key, {"value": key}))
    dynamodb.left_out = times
    with nullcontext() if is_read else pytest.raises(Contended):
        assert table.get_many("ab").keys() == {"a", "b"}


# ---- The audit's state

START = 1769824804.0
KEYS = {"coverage": frozenset({"a", "b"}), "token": frozenset({"c"})}
STATE = AuditState(
    *("one", KEYS, {"1/us-east-1": (7, START)}, {"key": 3}, START),
    pending={"status": "audit", "ok": False},
    pending_new=3,
    digest_end=START,
    report=ReportLink("key", "hash"),
    read_at=START,
    read_report="key",
)


@pytest.fixture
def audits(table: Table) -> Audits:
    return Audits(table, 30, lambda: START)


def test_a_state_is_saved_whole(audits: Audits, dynamodb: Throttled) -> None:
    assert audits.load() == AuditState()
    saved = audits.save(STATE)
    assert saved == replace(STATE, version=1) == audits.load()
    published = audits.save(replace(saved, pending=None, pending_new=0))
    assert published == audits.load()
    assert dynamodb.items["audit"]["expiresAt"] == {"N": str(int(START) + 30 * 86400)}


def test_of_two_writers_of_a_version_one_saves(audits: Audits) -> None:
    saved = audits.save(STATE)
    for stale in (STATE, replace(saved, version=2)):
        with pytest.raises(AuditChangedError):
            audits.save(replace(stale, run="two"))
    assert audits.load() == saved


def test_a_write_whose_answer_was_lost_is_its_own(audits: Audits, dynamodb: Throttled) -> None:
    dynamodb._kernel.faults["ledger update"] = ["twice"]
    assert audits.save(STATE) == audits.load()
