"""The costs of a stack that stands by, in docs/reference.md, are computed from the template."""

import re

import pytest

from benchmarks import standing
from benchmarks.prices import PRICES
from tests.unit.documents import rows, section

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


def test_the_dashboard_can_be_left_out() -> None:
    assert standing.month() - standing.month(CreateDashboard="false") == pytest.approx(3)
    assert f"without the dashboard ${standing.month(CreateDashboard='false'):.2f}" in section(REFERENCE, "Costs")


def test_a_large_document_costs_what_the_reference_says() -> None:
    price = PRICES["Systems Manager advanced parameter-month"]
    assert f"such as one of 25 associations with long names, is ${price:.2f} a month" in section(
        REFERENCE, "Costs"
    ).replace("\n", " ")
