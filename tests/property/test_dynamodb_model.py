"""The model of DynamoDB against the emulator: the same calls, the same answers, the same items."""

import re
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from local.emulator import Emulator
from rds_snap_backup.ledger.table import ConditionFailed, Table, Update, Value
from tests.ledger import create_ledger
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel

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

keys = st.sampled_from(["submission#1", "submission#2", "subclient#1", "token"])


@st.composite
def updates(draw: st.DrawFn) -> Update:
    condition = draw(st.sampled_from(CONDITIONS))
    where = {name: draw(_value(PLACEHOLDERS[name])) for name in re.findall(r":(\w+)", condition)}
    values = {name: draw(_value(name)) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))}
    remove = draw(st.lists(st.sampled_from(sorted({*NAMES, "other"} - values.keys())), max_size=2, unique=True))
    return Update(draw(keys), values, tuple(remove), condition, where)


def _value(field: str) -> st.SearchStrategy[Value]:
    numbers = st.sampled_from([0, 1, 2.5, 1790000000.125])
    return numbers if field in {"lease", "until", "version"} else st.sampled_from(["a", "b"])


def test_the_model_answers_as_the_emulator_does(emulator: Emulator) -> None:
    client, tables, seen = emulator.client("dynamodb"), iter(range(10**6)), set[str]()

    @run_settings(
        max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(st.lists(updates(), min_size=1, max_size=4), min_size=1, max_size=12))
    def compare(calls: list[list[Update]]) -> None:
        name = f"ledger-{next(tables)}"
        create_ledger(client, name)
        model: Any = DynamoDB(Kernel())
        for call in calls:
            ours, theirs = _answer(Table(name, model), call), _answer(Table(name, client), call)
            assert ours == theirs, call
            seen.add(str(ours[0]))
        rows = {row["pk"]["S"]: _plain(row) for row in client.scan(TableName=name)["Items"]}
        assert {key: _plain(item) for key, item in model.items.items()} == rows

    compare()
    assert seen == {"done", "ConditionFailed", "ValidationException"}


def _answer(table: Table, call: list[Update]) -> tuple[str, Any]:
    try:
        table.write(*call)
    except ConditionFailed as failed:
        return "ConditionFailed", failed.found
    except ClientError as error:
        return error.response["Error"]["Code"], None
    return "done", table.get_many(sorted({update.key for update in call}))


def _plain(item: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: float(value) if kind == "N" else value for name, field in item.items() for kind, value in field.items()
    }
