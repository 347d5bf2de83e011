"""The history as one HTML page without a script: a line of shapes for each database, and the same in words below it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from rds_snap_backup_cli.report.content import Verdict
from rds_snap_backup_cli.report.days import History, Line
from rds_snap_backup_cli.report.page import render

# Bands of a line that is ten high, from and to: each verdict has a shape, so that the page is readable without colours.
SHAPES: Mapping[str, Sequence[tuple[int, int]]] = {
    Verdict.UNCOVERED: ((0, 4), (6, 10)),
    Verdict.STALE: ((0, 10),),
    Verdict.UNPROVEN: ((5, 10),),
    Verdict.AMBIGUOUS: ((0, 5),),
    Verdict.UNREADABLE: ((0, 1), (9, 10)),
    Verdict.NEW: ((2, 3),),
    Verdict.PROTECTED: ((4, 6),),
    Verdict.EXCLUDED: ((8, 9),),
}
LABELS = 6


class Shape(NamedTuple):
    """The path of one verdict in a line."""

    verdict: str
    path: str


def page_of(found: History) -> str:
    """Return the page."""
    step = max(1, len(found.days) // LABELS)
    reported = ["protected" if day in found.reports else "stale" for day in found.days]
    first = min(found.reports, default=found.days[-1])
    known = ["" if day < first else verdict for day, verdict in zip(found.days, reported, strict=True)]
    reports = Line("", known, (), None, None)  # type: ignore[arg-type] # it has no restore points
    return render(
        "history.html",
        history=found,
        width=len(found.days),
        # Each has room until the next one.
        labels=list(found.days)[: len(found.days) - step + 1 : step],
        step=step,
        legend={name: shapes([(name, 0, 1)]) for name in SHAPES},
        reports=shapes(reports.runs),
        rows=[(line, shapes(line.runs), found.row(line), in_words(line, found.days)) for line in found.lines],
    )


def shapes(runs: Iterable[tuple[str, int, int]]) -> list[Shape]:
    """Return one path for each verdict: its days in a row are one rectangle for each of its bands."""
    paths: dict[str, list[str]] = {}
    for verdict, at, days in runs:
        for top, bottom in SHAPES.get(verdict, ()):
            paths.setdefault(verdict, []).append(f"M{at} {top}h{days}v{bottom - top}h-{days}z")
    return [Shape(verdict, "".join(parts)) for verdict, parts in paths.items()]


def in_words(line: Line, days: Sequence[date]) -> str:
    """Return the days on which a database was not protected, with its verdicts."""
    runs = [
        f"{verdict or 'no verdict'} {days[at]}" + (f" to {days[at + length - 1]}" if length > 1 else "")
        for verdict, at, length in line.runs
        if verdict != Verdict.PROTECTED
    ]
    return ", ".join(runs)
