"""What a stack costs standing by is what the template has: the tables in docs/reference.md and the README's figure."""

import re

import pytest

from tests.benchmarks import standing
from tests.benchmarks.prices import PRICED
from tests.unit.documents import read, rows, section, spans, tables
from tests.unit.template import TEMPLATE, Resolved

REFERENCE = "docs/reference.md"
ITEMS = standing.items()


def number(cell: str) -> float:
    """Return the number in a cell, in dollars where it is an amount."""
    found = re.search(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", "")) / (1_000_000 if "a million" in cell else 1)


@pytest.mark.parametrize(("item", "row"), list(zip(ITEMS, rows(REFERENCE, "Costs")[:-1], strict=True)), ids=str)
def test_a_row_is_what_the_template_has(item: standing.Item, row: list[str]) -> None:
    assert number(row[1]) == round(item.count)
    assert number(row[2]) == pytest.approx(item.price)
    assert row[3] == f"${item.month:.2f}"


def test_the_sum_is_the_sum() -> None:
    assert rows(REFERENCE, "Costs")[-1][3] == f"**${standing.month():.2f}**"


def test_each_alarm_is_charged_for_the_metrics_that_it_is_on() -> None:
    alarms = Resolved().of_type("AWS::CloudWatch::Alarm")
    charged = next(item.count for item in ITEMS if item.what == "CloudWatch alarm-month")
    assert charged == len(alarms)
    assert charged == sum(one["Type"] == "AWS::CloudWatch::Alarm" for one in TEMPLATE["Resources"].values())
    assert standing.items(MissedBackupAlarmHours=0)[0].count == charged - 1


@pytest.mark.parametrize("row", tables(REFERENCE, "Costs")[1], ids=lambda row: spans(row[0])[0])
def test_what_a_parameter_saves(row: list[str]) -> None:
    parameter, value = spans(row[0])
    assert parameter in TEMPLATE["Parameters"]
    assert row[1] == f"${standing.month() - standing.month(**{parameter: value}):.2f}"


def test_prices_have_a_date_and_a_region() -> None:
    region, _, date = PRICED.partition(", list prices of ")
    assert f"list prices for {region} of {date}" in section(REFERENCE, "Costs")


def test_the_readme_gives_the_figure() -> None:
    alarms = round(ITEMS[0].count)
    assert f"about ${standing.month():.0f} a month standing by, most of it for {alarms} alarms" in read("README.md")


def test_the_metrics_of_a_healthy_stack_are_on_its_dashboard() -> None:
    body = Resolved().resources["Dashboard"]["Properties"]["DashboardBody"]
    assert all(f'"{name}"' in body for name in standing.METRICS)
