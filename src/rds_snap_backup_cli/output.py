"""The only module that writes to standard output and standard error. What it writes has no control character of others.

Rows are a table, JSON or CSV. Every cell is one line, and none is markup or a formula to a spreadsheet. A table whose words
do not fit is printed as paragraphs: no width cuts a word.
"""

import csv
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from io import StringIO, TextIOWrapper, UnsupportedOperation
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.prompt import Confirm
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
# Left out of a table where all rows have the same.
PLACE = frozenset({"account", "region"})
# A line breaks at blanks. What is longer than a line, such as an ARN, breaks after its separators; a time never does.
BETWEEN_BLANKS = re.compile(r"\s*\S+")
PART = re.compile(r"\s*\S+?(?:[|/#]+|:(?=\D)|(?=\s)|$)")
# A row with more lines is easier to read as a paragraph.
MAX_LINES = 6


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

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence: one line to a file, and lines that break between words on a terminal."""
        lines = wrapped(cleaned(text), self.width) if self.is_terminal or "COLUMNS" in os.environ else [text]
        self.print("\n".join(lines), style=style, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Let the program say it, as for any other failure."""
        raise BrokenPipeError


@dataclass(frozen=True)
class Paragraphs:
    """Titles, each with texts below it: findings, or the rows of a table that does not fit."""

    items: Sequence[tuple[Text, Sequence[str]]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for title, texts in self.items:
            for line in wrapped(title.plain, options.max_width):
                yield Text(line, title.style)
            for text in texts:
                first, *rest = wrapped(text, options.max_width - 4) or [""]
                yield Text(f"  {first}")
                yield from (Text(f"    {line}") for line in rest)


@dataclass(frozen=True)
class Grid:
    """Rows of clean texts below their headings: a table as wide as the console, or paragraphs where its words do not fit."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[heading, *texts] for heading, *texts in zip(self.headings, *self.rows, strict=True)]
        least = [max(map(longest_part, column)) for column in columns]
        most = [max(map(cell_len, column)) for column in columns]
        room = options.max_width - 3 * len(columns) - 1
        widths = distributed(least, most, room)
        cells = [[wrapped(text, width) for text, width in zip(row, widths, strict=True)] for row in self.rows]
        if sum(least) > room or max(len(lines) for row in cells for lines in row) > MAX_LINES:
            yield self.paragraphs
            return
        table = Table(show_lines=widths != most)
        for heading, width in zip(self.headings, widths, strict=True):
            table.add_column("\n".join(wrapped(heading, width)), width=width, no_wrap=True)
        for row, texts in zip(cells, self.rows, strict=True):
            # As texts: square brackets in a name are not markup.
            table.add_row(*(Text("\n".join(lines), style_of(text)) for lines, text in zip(row, texts, strict=True)))
        yield table

    @property
    def paragraphs(self) -> Paragraphs:
        """The rows, each below its first text."""
        names = self.headings[1:]
        return Paragraphs(
            [
                (
                    Text(title or f"{self.headings[0]}: none", "bold"),
                    [f"{name}: {text}" for name, text in zip(names, texts, strict=True) if text],
                )
                for title, *texts in self.rows
            ]
        )


def longest_part(text: str) -> int:
    """Return the width of the longest part that no line may break."""
    return max((cell_len(part.strip()) for part in PART.findall(text)), default=0)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text. A part that is wider than a line is not cut."""
    lines = [""]
    for word in BETWEEN_BLANKS.findall(text):
        for part in [word] if cell_len(word.strip()) <= width else PART.findall(word):
            if lines[-1] and cell_len(lines[-1] + part) > width:
                lines.append(part.lstrip())
            else:
                lines[-1] += part if lines[-1] else part.lstrip()
    return lines


def distributed(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns: each at least what its words need, and the rest of the room to those that want more."""
    widths = list(least)
    left = room - sum(widths)
    while left > 0 and (narrow := [index for index, width in enumerate(widths) if width < most[index]]):
        widths[min(narrow, key=widths.__getitem__)] += 1
        left -= 1
    return widths


def style_of(text: str) -> str:
    """Return the style of a cell."""
    return STYLES.get(text, "")


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


def rows_to_table(columns: Mapping[str, str], rows: Iterable[Row], shows: Mapping[str, Show]) -> Grid:
    """Return a table with these headings, by the rows' keys; `shows` formats single columns for people.

    A column that says nothing is left out: one without texts, and the account or region that all rows have.
    """
    found = list(rows)
    texts = {key: [cleaned(shows.get(key, cell)(row[key])) for row in found] for key in columns}
    silent = {key for key, column in texts.items() if not any(column)}
    silent |= {key for key in PLACE & texts.keys() if len(set(texts[key])) == 1}
    shown = [key for key in columns if key not in silent] or list(columns)
    return Grid([columns[key] for key in shown], list(zip(*(texts[key] for key in shown), strict=True)))


def findings_to_text(found: Iterable[tuple[str, str, str]]) -> Paragraphs:
    """Return a paragraph for each finding: its title, what was found, and what to do.

    Findings in a row that have the same hint have it once, below the last. Texts that are empty are left out.
    """
    findings = list(found)
    nexts = [*(hint for _, _, hint in findings[1:]), ""][: len(findings)]
    return Paragraphs(
        [
            (
                Text(cell(title), "bold"),
                [cell(text) for text in (message, hint and hint != following and f"What to do: {hint}") if text],
            )
            for (title, message, hint), following in zip(findings, nexts, strict=True)
        ]
    )


def causes_of(problems: Iterable[Mapping[str, str]]) -> Paragraphs:
    """Return a paragraph for each cause among problems with `code`, `message` and `hint`: one cause is said once."""
    causes: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        causes.setdefault((problem["code"], problem["hint"]), []).append(problem["message"])
    titles = (
        (code, hint, texts, f" ({len(texts)} times)" if len(texts) > 1 else "")
        for (code, hint), texts in causes.items()
    )
    return findings_to_text((f"{code}{times}", texts[0], hint) for code, hint, texts, times in titles)


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


def flush() -> None:
    """Write what standard output has buffered. Raises `BrokenPipeError` if nobody reads it any more."""
    sys.stdout.flush()


def drop_stdout() -> None:
    """Drop what nobody reads, which the interpreter would try to write when it ends."""
    with suppress(UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def agreed(question: str) -> bool | None:
    """Ask a person to agree; None if there is no terminal to ask on."""
    if not sys.stdin.isatty():
        return None
    return Confirm.ask(printable(question), default=False, console=stderr())


def moment(text: str, zone: tzinfo = UTC) -> str:
    """Return an ISO 8601 time to the minute, with its date and zone."""
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M %Z}"


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
