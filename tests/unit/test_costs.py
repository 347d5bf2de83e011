"""The costs of a stack that stands by, in docs/reference.md, are computed from the template."""

import re

import pytest

from tests.benchmarks import standing
from tests.benchmarks.prices import PRICED
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
    assert number(row[1]) == round(item.count)
    assert number(row[2]) == pytest.approx(item.price)
    assert row[3] == f"${item.month:.2f}"


def test_the_sum_is_the_sum() -> None:
    assert rows(REFERENCE, "Costs")[-1][3] == f"**${standing.month():.2f}**"


def test_an_alarm_is_charged_for_each_of_its_metrics() -> None:
    alarms = Resolved().of_type("AWS::CloudWatch::Alarm").values()
    assert ITEMS[0].count == sum(str(alarm).count("'MetricName'") for alarm in alarms) > len(alarms)


def test_prices_have_a_date_and_a_region() -> None:
    region, _, date = PRICED.partition(", list prices of ")
    assert f"list prices for {region} of {date}" in section(REFERENCE, "Costs").replace("\n", " ")
