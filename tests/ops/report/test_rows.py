"""What a spreadsheet would run is a text."""

import csv
from io import StringIO

import pytest

from ops.report.audit import Audit
from ops.report.rows import HEAD, csv_of, guarded
from tests.ops.report import sample
from tests.unit.documents import spans, tables

# Spaces and lines that do not print are escaped before, the full-width signs are those of East Asian keyboards.
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "  =1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\u2009=1",
    "\t=1",
    "\r=1",
    "\n@x",
]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_begins_as_a_formula(name: str) -> None:
    hostile = sample.database(name, name, kind=name, engine=name, targets=[(name, name)])
    hostile |= {
        "arn": name,
        "lastCompleted": sample.completed(1, name, name),
        "newestSnapshot": sample.snapshot(name, 1),
    }
    _, row = csv.reader(StringIO(csv_of(Audit.read(sample.answer() | {"databases": [hostile]}))))
    for cell in row:
        assert cell[0].isalnum() or cell[0] in "'\\", cell
    assert row[0].endswith(name.strip())


@pytest.mark.parametrize("cell", ["", "orders", "a=b", "2026-03-31", "1-1", "'quoted'", " x"])
def test_what_is_not_a_formula_stays_as_it_is(cell: str) -> None:
    assert guarded(cell) == cell


def test_quotes_commas_and_lines_stay_in_their_cell() -> None:
    name = 'a","b;c\n,d'
    _, row = csv.reader(StringIO(csv_of(Audit.read(sample.answer() | {"databases": [sample.database(name, "stale")]}))))
    assert row[0] == 'a","b;c\\n,d'
    assert len(row) == 11


def test_the_reference_has_every_column() -> None:
    (columns,) = tables("docs/reference.md", "The report")
    assert sorted(name for row in columns for name in spans(row[0])) == sorted(HEAD)
