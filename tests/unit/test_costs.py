"""The costs of a stack that stands by, in docs/reference.md, are computed from the template."""

import re

from benchmarks import standing
from benchmarks.prices import PRICES
from tests.unit.documents import rows, section

COSTS = "docs/reference.md", "Costs"


def number(cell: str) -> float:
    """Return the number in a cell, in dollars where it is an amount."""
    found = re.search(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", "")) / (1_000_000 if "a million" in cell else 1)


def test_each_row_is_counted_from_the_template_and_the_last_is_their_sum() -> None:
    *counted, total = rows(*COSTS)
    for item, row in zip(standing.items(), counted, strict=True):
        assert abs(number(row[1]) - item.count) <= (0.005 if item.count < 1 else 0.5), row
        assert abs(number(row[2]) - item.price) <= item.price / 1e6, row
        assert row[3] == f"${item.month:.2f}"
    assert total[3] == f"**${standing.month():.2f}**"


def test_what_the_text_says_of_the_dashboard_and_of_a_large_document() -> None:
    text = section(*COSTS).replace("\n", " ")
    without = standing.month(CreateDashboard="false")
    assert f"{standing.month() - without:.2f}" == "3.00"
    assert f"without the dashboard ${without:.2f}" in text
    price = PRICES["Systems Manager advanced parameter-month"]
    assert f"such as one of 25 associations with long names, is ${price:.2f} a month" in text
