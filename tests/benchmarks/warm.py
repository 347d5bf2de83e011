"""Warm backups: CPU and wall time against a bare loop of the same calls, and what goes over the wires."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.packages import Package
from tests.benchmarks.place import Place, schedule_event, usual_event
from tests.benchmarks.sandbox import Measured, Sandbox, replays

BATCH = 10
WARM_UP = 10
COUNTED = 20


@dataclass(slots=True)
class Pace:
    """Seconds a backup, one value a batch: the batch's median."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, batch: list[Measured]) -> None:
        """Add a batch."""
        middle = len(batch) // 2
        self.cpu.append(sorted(one.cpu for one in batch)[middle])
        self.wall.append(sorted(one.wall for one in batch)[middle])


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one warm backup costs on the wires, the mean of some."""

    commvault_requests: float
    commvault_connections: float
    commvault_bytes: float
    aws_calls: float
    aws_bytes: float
    log_bytes: float


def measure(
    place: Place, packages: Mapping[str, Package], batches: int, target: str = "default"
) -> tuple[Pace, Pace, list[Any]]:
    """Return the pace of the product and of the floor, batches in turn, and the calls of one warm backup."""
    ours, bare = Pace(), Pace()
    place.commserve.clear()
    with Sandbox(packages["product"], place) as product, Sandbox(packages["floor"], place) as floor:
        product.run([schedule_event(target) for _ in range(WARM_UP)])
        event = schedule_event(target)
        calls = product.record(event)
        floor.run(replays(calls, event, WARM_UP))
        for _ in range(batches):
            ours.add(product.run([schedule_event(target) for _ in range(BATCH)]))
            bare.add(floor.run(replays(calls, event, BATCH)))
    return ours, bare, calls


def traffic(place: Place, package: Package) -> Traffic:
    """Count what warm backups of a package send and receive."""
    make: Any = usual_event if package.handler.startswith("usual") else schedule_event
    aws, commvault, environment = place.metered()
    with Sandbox(package, place, environment) as sandbox:
        sandbox.run([make(), make()])
        place.commserve.clear()
        aws.reset()
        commvault.reset()
        logged = sandbox.logged
        sandbox.run([make() for _ in range(COUNTED)])
        requests = len(place.commserve.requests())
        counts = (requests, commvault.connections, commvault.bytes, aws.requests, aws.bytes, sandbox.logged - logged)
        found = Traffic(*(count / COUNTED for count in counts))
    aws.close()
    commvault.close()
    return found
