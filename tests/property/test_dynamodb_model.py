"""The model of DynamoDB against the emulator: the same calls, the same answers, the same items."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from local.emulator import Emulator
from rds_snap_backup.ledger.table import ConditionFailed, Table, Update, Value
from tests.ledger import create_ledger
from tests.property.model.dynamodb import MAX_ITEM_BYTES, DynamoDB
from tests.property.model.kernel import Kernel

NAME = "ledger"
# The shapes of the ledger's conditions, over few keys, names and values, so that they often do not hold.
CONDITIONS = (
    "",
    "attribute_not_exists(#pk)",
    "#owner = :me",
    "#version = :now",
    "attribute_not_exists(#until) OR #until < :now",
    "attribute_not_exists(#lease) OR #lease <= :now",
    "(attribute_not_exists(#claimer) OR #claimer = :key) AND (attribute_not_exists(#until) OR #until <= :now)",
)
NAMES = ("owner", "lease", "version", "until", "claimer", "open")
PLACEHOLDERS = {"me": "owner", "key": "claimer", "now": "lease"}

texts = st.sampled_from(["a", "b"])
numbers = st.sampled_from([0, 1, 2.5, 1790000000.125])
keys = st.sampled_from(["submission#1", "submission#2", "subclient#1", "token"])


@st.composite
def operations(draw: st.DrawFn) -> list[Update]:
    """One call: an update, or a transaction of some updates of different items."""
    made: list[Update] = []
    for key in draw(st.lists(keys, min_size=1, max_size=4, unique=True)):
        condition = draw(st.sampled_from(CONDITIONS))
        used = set(condition.replace("(", " ").replace(")", " ").split())
        where = {name: draw(_value(field)) for name, field in PLACEHOLDERS.items() if f":{name}" in used}
        values = {name: draw(_value(name)) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))}
        remove = draw(st.lists(st.sampled_from(sorted({*NAMES} - values.keys()) or ["other"]), max_size=2, unique=True))
        made.append(Update(key, values, tuple(remove), condition, where))
    return made


def _value(field: str) -> st.SearchStrategy[Value]:
    return numbers if field in {"lease", "until", "version"} else texts


@pytest.fixture(scope="module")
def emulator() -> Iterator[Any]:
    with Emulator() as aws:
        yield aws.client("dynamodb")


def test_the_model_answers_as_the_emulator_does(emulator: Any) -> None:
    tables, seen = iter(range(10**6)), set[str]()

    @run_settings(
        max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(operations(), min_size=1, max_size=12))
    def compare(calls: list[list[Update]]) -> None:
        name = f"{NAME}-{next(tables)}"
        create_ledger(emulator, name)
        model: Any = DynamoDB(Kernel())
        for call in calls:
            ours, theirs = _answer(Table(name, model), call), _answer(Table(name, emulator), call)
            assert ours == theirs, call
            keys = [operation.key for operation in call]
            assert Table(name, model).get_many(keys) == Table(name, emulator).get_many(keys)
            seen.add(str(ours[0]))
        rows = {row["pk"]["S"]: _plain(row) for row in emulator.scan(TableName=name)["Items"]}
        assert {key: _plain(item) for key, item in model.items.items()} == rows

    compare()
    assert seen == {"done", "ConditionFailed"}


def test_the_model_refuses_what_dynamodb_refuses() -> None:
    model: Any = DynamoDB(Kernel())
    twice = [Update("subclient#1", {"owner": "a"}), Update("subclient#1", {"owner": "b"})]
    with pytest.raises(ClientError, match="ValidationException"):
        Table(NAME, model).write(*twice)
    with pytest.raises(ClientError, match="ValidationException"):
        model.update_item(
            Key={"pk": {"S": "subclient#1"}},
            UpdateExpression="SET #owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": {"S": "a"}, ":spare": {"S": "b"}},
        )


def test_the_model_refuses_an_item_that_is_larger_than_dynamodb_keeps() -> None:
    model: Any = DynamoDB(Kernel())
    Table(NAME, model).write(Update("subclient#1", {"owner": "a" * (MAX_ITEM_BYTES - 100)}))
    with pytest.raises(ClientError, match="ValidationException"):
        Table(NAME, model).write(Update("subclient#1", {"status": "b" * 200}))
    assert "status" not in model.items["subclient#1"]


def _answer(table: Table, call: list[Update]) -> tuple[str, Any]:
    try:
        table.write(*call)
    except ConditionFailed as failed:
        return "ConditionFailed", failed.found
    return "done", None


def _plain(item: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kinds = {"N": float}
    return {
        name: kinds.get(kind, lambda text: text)(value) for name, field in item.items() for kind, value in field.items()
    }
