"""Measured series and their ratios, and the Markdown that shows them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of some values."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, digits: int = 2) -> str:
        """Return `median (low to high)`, or the median of a single value."""
        median, low, high = (f"{value:.{digits}f}" for value in (self.median, self.low, self.high))
        return median if self.low == self.high else f"{median} ({low} to {high})"


@dataclass(frozen=True)
class Goal:
    """A figure and its limit."""

    label: str
    measured: Spread
    at_most: float

    @property
    def is_met(self) -> bool:
        """Whether the median, as it is shown, is within the limit."""
        return round(self.measured.median, 2) <= self.at_most

    @property
    def row(self) -> list[object]:
        """A row of the table of goals."""
        return [self.label, self.measured.show(), f"{self.at_most:g}", "yes" if self.is_met else "**no**"]


def ratio(measured: Sequence[float], reference: Sequence[float]) -> Spread:
    """Return the spread of the ratios of two series that were measured in turn: a slow machine slows both."""
    return Spread.of([value / other for value, other in zip(measured, reference, strict=True)])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
