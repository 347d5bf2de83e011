"""The table: what a refused condition tells, and how long a write or a read waits for others."""

from typing import Any

import pytest

from rds_snap_backup.ledger import table as module
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
    wanted = [Update(f"item-{number}", {"value": 1}) for number in range(updates)]
    if is_written:
        table.write(*wanted)
    else:
        with pytest.raises(Contended):
            table.write(*wanted)
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
    if is_read:
        assert table.get_many("ab").keys() == {"a", "b"}
    else:
        with pytest.raises(Contended):
            table.get_many("ab")
