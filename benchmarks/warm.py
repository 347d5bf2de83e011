"""Warm backups of targets with few and with many associations: CPU and calls, against a bare loop of the same calls."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Goal, Spread, ratio, table
from benchmarks.packages import Package
from benchmarks.place import Place, event_for, scheduled
from benchmarks.sandbox import Sandbox, replays

ASSOCIATIONS = (1, 90)
WARM_UP = 3


@dataclass(frozen=True)
class Warm:
    """Milliseconds of CPU, a value a batch: the batch's median; and the calls of one backup."""

    associations: int
    cpu: list[float]
    bare: list[float]
    calls: Sequence[Any]

    @property
    def bytes(self) -> int:
        """Bytes in the calls' parameters."""
        return sum(len(str(call[2])) for call in self.calls)


def measure(place: Place, packages: Mapping[str, Package], associations: int, batches: int, batch: int) -> Warm:
    """Measure batches of the product and of the bare loop in turn. Each event is the first of a target."""
    place.commserve.clear()
    targets = iter(place.targets(WARM_UP + 1 + WARM_UP + 2 * batches * batch, associations))

    def some(count: int) -> list[str]:
        return [next(targets) for _ in range(count)]

    cpu, bare = [], []
    with Sandbox(packages["product"], place) as product, Sandbox(packages["floor"], place) as floor:
        product.run([scheduled(target) for target in some(WARM_UP)])
        recorded = scheduled(*some(1))
        _, calls = product.record(recorded)
        floor.run(replays(calls, recorded, some(WARM_UP)))
        for _ in range(batches):
            ours = product.run([scheduled(target) for target in some(batch)])
            theirs = floor.run(replays(calls, recorded, some(batch)))
            cpu.append(statistics.median(run.cpu for run in ours) * 1000)
            bare.append(statistics.median(run.cpu for run in theirs) * 1000)
    return Warm(associations, cpu, bare, calls)


def usual_requests(place: Place, package: Package) -> int:
    """Return how many requests to Commvault the usual way makes for one warm backup."""
    first, second = place.targets(2)
    with Sandbox(package, place) as sandbox:
        sandbox.run([event_for(package, first)])
        place.commserve.clear()
        sandbox.run([event_for(package, second)])
        return len(place.commserve.requests())


def goals(one: Warm, many: Warm) -> list[Goal]:
    """Return what warm backups are to be."""
    growth = (statistics.median(many.cpu) / statistics.median(one.cpu)) / (
        statistics.median(many.bare) / statistics.median(one.bare)
    )
    return [
        Goal("warm CPU ÷ bare loop", ratio(one.cpu, one.bare), 1.5),
        Goal("CPU at 90 associations ÷ at 1, ÷ the same of the bare loop", Spread.of([growth]), 1.5),
    ]


def section(sizes: Sequence[Warm]) -> list[str]:
    """Return the section of the results."""
    rows = [
        [
            size.associations,
            Spread.of(size.cpu).show(1),
            Spread.of(size.bare).show(1),
            ratio(size.cpu, size.bare).show(),
            sum(call[0] != "http" for call in size.calls),
            f"{size.bytes:,}",
        ]
        for size in sizes
    ]
    return [
        "## Warm backups",
        (
            "A schedule's event for a target whose document is not cached, until its job runs and `submitted` is published. The "
            "bare loop makes the same calls with the same contents. CPU is the function's process alone."
        ),
        table(["associations", "CPU, ms", "bare loop", "ratio", "AWS calls", "bytes in the calls"], rows),
    ]
