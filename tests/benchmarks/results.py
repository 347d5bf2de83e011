"""Everything that one run measured, and the table of the targets. It measures nothing and writes no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.cold import Cold
from tests.benchmarks.cost import Bill
from tests.benchmarks.drain import Drained
from tests.benchmarks.faults import Fault, Tally
from tests.benchmarks.figures import Spread, ratio
from tests.benchmarks.growth import Size
from tests.benchmarks.packages import Package
from tests.benchmarks.warm import Pace, Traffic


@dataclass(frozen=True, slots=True)
class Results:
    """One run."""

    machine: str
    date: str
    packages: Mapping[str, Package]
    sizes: Mapping[str, tuple[int, int]]  # bytes zipped and unzipped
    cold: Mapping[str, Cold]
    warm: Pace
    bare: Pace
    traffic: Mapping[str, Traffic]
    associations: Sequence[Size]
    by_event: Sequence[Size]
    by_name: Sequence[Size]
    ledger: Sequence[Size]
    drained: Drained
    drained_floor: Drained
    bills: Sequence[Bill]
    imports: Sequence[tuple[str, float, int]]
    dataclasses: tuple[int, float]
    faults: Sequence[tuple[Fault, Tally, Tally]]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and what it may be at the most."""

    label: str
    measured: Spread
    at_most: float
    digits: int = 2

    @property
    def is_met(self) -> bool:
        """Whether the median is within it."""
        return round(self.measured.median, self.digits) <= self.at_most


def goals(results: Results) -> list[Goal]:
    """Return the figures that were aimed at."""
    cold, ours, usual = results.cold, results.traffic["product"], results.traffic["usual"]
    product, floor = cold["product"], cold["floor"]
    small, large = results.associations[0], results.associations[-1]
    growth = (large.cpu / small.cpu) / (large.floor_cpu / small.floor_cpu)
    return [
        Goal("init ÷ floor (a), both with bytecode", ratio(product.init, floor.init), 0.8),
        Goal("init ÷ plain `sam build` (b)", ratio(product.init, cold["plain-source"].init), 0.33),
        Goal("init ÷ `cvpysdk` as built by default (c)", ratio(product.init, cold["usual-source"].init), 0.2),
        Goal("cold event to request received ÷ floor", ratio(product.until_request, floor.until_request), 1.1),
        Goal("warm CPU ÷ bare loop", ratio(results.warm.cpu, results.bare.cpu), 1.3),
        Goal(
            f"requests to Commvault a backup (`cvpysdk`: {usual.commvault_requests:.0f})",
            Spread.of([ours.commvault_requests]),
            1,
            0,
        ),
        Goal("AWS calls a warm backup", Spread.of([ours.aws_calls]), 4, 0),
        Goal("package zipped, MB", Spread.of([results.sizes["product"][0] / 1e6]), 4),
        Goal("peak memory ÷ floor", ratio(product.peak, floor.peak), 1.05),
        Goal("CPU at 100 associations ÷ at 1, ÷ the same of the bare loop", Spread.of([growth]), 1),
        Goal("drain of 1,000 ÷ ideal", Spread.of([results.drained.seconds / results.drained.ideal]), 1.15),
    ]
