"""Cold starts under Lambda's runtime emulator: init, the time until Commvault has the request, and memory."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Goal, Spread, ratio, table
from benchmarks.packages import Package
from benchmarks.place import Place, event_for, scheduled
from benchmarks.sandbox import Sandbox, replays
from local.runtime import Runtime

STARTING = ("/createtask", "/action/backup")


@dataclass
class Cold:
    """Cold starts of one package, a value a round: milliseconds, and MiB of memory at the most."""

    init: list[float] = field(default_factory=list)
    until_request: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def measure(place: Place, packages: Mapping[str, Package], rounds: int) -> dict[str, Cold]:
    """Start each package once a round, one after the other, so that all meet the same disturbances."""
    with Sandbox(packages["product"], place) as recorder:
        recorded = scheduled(*place.targets(1))
        _, calls = recorder.record(recorded)
    found = {name: Cold() for name in packages}
    for number in range(rounds):
        for name, package in packages.items():
            targets = place.targets(1)
            is_floor = package.handler.startswith("floor")
            event = replays(calls, recorded, targets)[0] if is_floor else event_for(package, targets[0])
            # The first of several rounds warms the disk's cache.
            _start(place, package, event, found[name] if number or rounds == 1 else Cold())
    return found


def _start(place: Place, package: Package, event: Any, found: Cold) -> None:
    place.commserve.clear()
    with Runtime(package.folder, package.handler, place.environment) as function:
        sent = time.time()
        answer = function.invoke(event)
        peak = _peak(function)
    if answer.error or answer.init_ms is None:
        raise RuntimeError(f"{package.label}: {answer}")
    received = [request["at"] for request in place.commserve.requests() if _starts_a_job(request)]
    found.init.append(answer.init_ms)
    found.until_request.append((received[-1] - sent) * 1000)
    found.peak.append(peak / 2**20)


def _starts_a_job(request: Mapping[str, Any]) -> bool:
    return request["method"] == "POST" and str(request["path"]).lower().endswith(STARTING)


def _peak(function: Runtime) -> int:
    """Return the most memory that the function's process has had, in bytes."""
    assert function._process
    children: Sequence[str] = [
        pid
        for path in Path(f"/proc/{function._process.pid}/task").glob("*/children")
        for pid in path.read_text().split()
    ]
    lines = Path(f"/proc/{children[0]}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def goals(cold: Mapping[str, Cold], packages: Mapping[str, Package]) -> list[Goal]:
    """Return what cold starts are to be."""
    product = cold["product"]
    return [
        Goal("init ÷ floor (a), both with bytecode", ratio(product.init, cold["floor"].init), 0.85),
        Goal("init ÷ plain build (b)", ratio(product.init, cold["plain-source"].init), 0.4),
        Goal("init ÷ `cvpysdk` as built by default (c)", ratio(product.init, cold["usual-source"].init), 0.25),
        Goal("cold event to request ÷ floor (a)", ratio(product.until_request, cold["floor"].until_request), 1),
        Goal("peak memory ÷ floor (a)", ratio(product.peak, cold["floor"].peak), 1),
        Goal("package zipped, MB", Spread.of([packages["product"].zipped / 1e6]), 4),
    ]


def section(cold: Mapping[str, Cold], packages: Mapping[str, Package]) -> list[str]:
    """Return the section of the results."""
    rows = [
        [
            packages[name].label,
            Spread.of(starts.init).show(0),
            ratio(starts.init, cold["product"].init).show(),
            Spread.of(starts.until_request).show(0),
            f"{Spread.of(starts.peak).median:.1f}",
            f"{packages[name].zipped / 1e6:.2f}",
        ]
        for name, starts in cold.items()
    ]
    return [
        "## Cold starts",
        (
            "One sandbox a row and round under Lambda's runtime emulator, all rows in turn; the event is a backup. (a) imports "
            "boto3 and urllib3, makes the same clients and the product's recorded calls; (b) is the product without its own "
            "build: whole SDK, no bytecode; (c) starts a backup with `cvpysdk`."
        ),
        table(["Package", "init, ms", "÷ product", "event to request, ms", "peak MiB", "zip MB"], rows),
    ]
