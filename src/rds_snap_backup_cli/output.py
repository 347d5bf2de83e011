"""The only module that writes to standard output and standard error. What it writes has no control character of others.

Rows are a table, JSON or CSV. Every cell is one line, and none is markup or a formula to a spreadsheet.
"""

import csv
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from io import StringIO, TextIOWrapper
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rds_snap_backup.untrusted import clean_text

type Row = Mapping[str, Any]
type Show = Callable[[Any], str]

# Of a table that no terminal cuts: one row stays one line.
FILE_WIDTH = 1000
STYLES = {
    **dict.fromkeys(("ok", "protected", "completed", "scheduled", "succeeded"), "green"),
    **dict.fromkeys(("failed", "uncovered", "unreadable", "rejected", "abandoned", "lost", "killed"), "bold red"),
    **dict.fromkeys(("later", "stale", "completed_with_errors", "waiting"), "yellow"),
}


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Output(Console):
    """A console that cleans each text before it is printed, and takes none for markup."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def print(self, *contents: Any, **options: Any) -> None:
        """Print texts, each cleaned, and tables, whose cells are."""
        super().print(*map(printable, contents), **options)


def cleaned(text: str) -> str:
    """Return a text with a blank for each control or formatting character, such as ESC, C1 or bidirectional ones.

    Line breaks stay.
    """
    return "".join(item if item.isprintable() or item == "\n" else " " for item in text)


def printable(content: Any) -> Any:
    """Return a text cleaned and without markup, and anything else as it is."""
    match content:
        case str():
            return Text(cleaned(content))
        case Text():
            copy = content.copy()
            copy.plain = cleaned(content.plain)
            return copy
        case _:
            return content


def cell(value: Any) -> str:
    """Return a value of a row as one line of text."""
    match value:
        case None:
            return ""
        case list() | tuple():
            return ", ".join(map(cell, value))
        case dict():
            return ", ".join(f"{number} {name}" for name, number in value.items())
        case _:
            return clean_text(str(value))


def rows_to_table(columns: Mapping[str, str], rows: Iterable[Row], shows: Mapping[str, Show]) -> Table:
    """Return a table with these headings, by the rows' keys; `shows` formats single columns for people."""
    table = Table()
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        texts = [shows.get(key, cell)(row[key]) for key in columns]
        # As texts: square brackets in a name are not markup.
        table.add_row(*(Text(cleaned(text), STYLES.get(text, "")) for text in texts))
    return table


def write_rows(form: Format, columns: Mapping[str, str], rows: Sequence[Row], shows: Mapping[str, Show]) -> None:
    """Write rows to standard output. JSON and CSV use the keys of `columns`; without rows there is no table."""
    match form:
        case Format.JSON:
            write_json(rows)
        case Format.CSV:
            text = StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            writer.writerows([guarded(cell(row[key])) for key in columns] for row in rows)
            write_text(text.getvalue())
        case Format.TABLE if rows:
            stdout().print(rows_to_table(columns, rows, shows))


def write_json(document: Any) -> None:
    """Write JSON to standard output, in ASCII: a control character is an escape."""
    write_text(json.dumps(document, indent=2) + "\n")


def write_text(text: str) -> None:
    """Write a text to standard output as it is, but cleaned."""
    sys.stdout.write(cleaned(text))


def guarded(text: str) -> str:
    """Return a cell of a CSV that no spreadsheet takes for a formula.

    Some programs accept the signs in full width, too. https://owasp.org/www-community/attacks/CSV_Injection
    """
    begin = unicodedata.normalize("NFKC", text).lstrip()[:1]
    return f"'{text}" if begin and begin in "=+-@" else text


def stdout() -> Output:
    """Return the console of results."""
    is_cut = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Output(soft_wrap=False, width=None if is_cut else FILE_WIDTH)


def stderr() -> Output:
    """Return the console of everything else."""
    return Output(stderr=True, soft_wrap=True)


def escape_unencodable() -> None:
    """Escape what standard output cannot encode: Windows redirects to a file in an old code page, which lacks most letters."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
