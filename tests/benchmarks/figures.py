"""Measured series and their ratios: medians, with the spread of the middle half."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quartiles about it."""

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

    def show(self, scale: float = 1, digits: int = 2) -> str:
        """Return it as `median (low to high)`, or the median alone where there was one value."""
        median, low, high = (f"{value * scale:.{digits}f}" for value in (self.median, self.low, self.high))
        return median if self.low == self.high else f"{median} ({low} to {high})"


def ratio(measured: Sequence[float], reference: Sequence[float]) -> Spread:
    """Return the spread of the ratios of what was measured in turn: what disturbs the machine for long disturbs both."""
    return Spread.of([one / other for one, other in zip(measured, reference, strict=True)])
