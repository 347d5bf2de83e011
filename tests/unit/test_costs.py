"""The costs of a stack that stands by, in docs/reference.md, are computed from the template."""

import re
from typing import Any

import pytest

from tests.benchmarks import cost, standing
from tests.benchmarks.prices import PRICED, PRICES
from tests.unit.documents import rows, section
from tests.unit.template import Resolved

REFERENCE = "docs/reference.md"
ITEMS = standing.items()


def number(cell: str) -> float:
    """Return the number in a cell, in dollars where it is an amount."""
    found = re.search(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", "")) / (1_000_000 if "a million" in cell else 1)


@pytest.mark.parametrize(("item", "row"), list(zip(ITEMS, rows(REFERENCE, "Costs")[:-1], strict=True)), ids=str)
def test_a_row_is_counted_from_the_template(item: standing.Item, row: list[str]) -> None:
    assert number(row[1]) == pytest.approx(item.count, abs=0.005 if item.count < 1 else 0.5)
    assert number(row[2]) == pytest.approx(item.price)
    assert row[3] == f"${item.month:.2f}"


def test_the_sum_is_the_sum() -> None:
    assert rows(REFERENCE, "Costs")[-1][3] == f"**${standing.month():.2f}**"


def test_an_alarm_is_charged_for_each_of_its_metrics() -> None:
    alarms = Resolved().of_type("AWS::CloudWatch::Alarm").values()
    assert ITEMS[0].count == sum(str(alarm).count("'MetricName'") for alarm in alarms) > len(alarms)


def test_the_dashboard_can_be_left_out() -> None:
    assert standing.month() - standing.month(CreateDashboard="false") == pytest.approx(3)
    assert f"without the dashboard ${standing.month(CreateDashboard='false'):.2f}" in section(REFERENCE, "Costs")


def test_a_large_document_costs_what_the_reference_says() -> None:
    price = PRICES["Systems Manager advanced parameter-month"]
    assert f"such as one of 25 associations with long names, is ${price:.2f} a month" in section(
        REFERENCE, "Costs"
    ).replace("\n", " ")


def test_the_index_is_charged_for_entries_that_come_move_and_go() -> None:
    def write(condition: str, removals: str = "") -> dict[str, Any]:
        names = {"#open": "open", "#wakeAt": "wakeAt"}
        update = f"SET #record = :record{removals}"
        return {"ExpressionAttributeNames": names, "ConditionExpression": condition, "UpdateExpression": update}

    first, moved = write("attribute_not_exists(#pk)"), write("#version = :version")
    last = write("#version = :version", " REMOVE #open, #wakeAt")
    other = {"ExpressionAttributeNames": {"#until": "until"}, "UpdateExpression": "SET #until = :until"}
    calls: list[Any] = [("dynamodb", "update_item", part) for part in (moved, last, other)]
    calls += [("dynamodb", "transact_write_items", {"TransactItems": [{"Update": first}, {"Update": other}]})]
    assert cost.index_units([*calls, ("sqs", "send_message", {})]) == 1 + 2 + 1


def test_prices_have_a_date_and_a_region() -> None:
    region, _, date = PRICED.partition(", list prices of ")
    assert f"list prices for {region} of {date}" in section(REFERENCE, "Costs").replace("\n", " ")
