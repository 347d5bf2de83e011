"""Cold starts under Lambda's runtime emulator: init, the time until Commvault has the request, and memory."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.runtime import Runtime
from tests.benchmarks.packages import Package
from tests.benchmarks.place import Place, schedule_event, usual_event
from tests.benchmarks.sandbox import Sandbox, replays

STARTING = ("/createtask", "/action/backup")


@dataclass(slots=True)
class Cold:
    """What cold starts of one package took, a value a round: milliseconds, and bytes of memory at the most."""

    init: list[float] = field(default_factory=list)
    until_request: list[float] = field(default_factory=list)
    until_answer: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def measure(place: Place, packages: Mapping[str, Package], rounds: int) -> dict[str, Cold]:
    """Start each package once a round, one after the other, so that all meet the same disturbances."""
    with Sandbox(packages["product"], place) as recorder:
        event = schedule_event()
        calls = recorder.record(event)
    found = {name: Cold() for name in packages}
    for number in range(rounds + 1):
        for name, package in packages.items():
            if package.handler.startswith("floor"):
                first: Any = replays(calls, event, 1)[0]
            else:
                first = usual_event() if package.handler.startswith("usual") else schedule_event()
            _start(place, package, first, found[name] if number else Cold())  # The first round warms the disk's cache.
    return found


def _start(place: Place, package: Package, event: Any, found: Cold) -> None:
    place.commserve.clear()
    with Runtime(package.folder, package.handler, place.environment) as function:
        sent = time.time()
        answer = function.invoke(event)
        answered = time.time()
        peak = _peak(function)
    if answer.error or answer.init_ms is None:
        raise RuntimeError(f"{package.name}: {answer}")
    received = [one["at"] for one in place.commserve.requests() if _starts_a_job(one)]
    found.init.append(answer.init_ms)
    found.until_request.append((received[-1] - sent) * 1000)
    found.until_answer.append((answered - sent) * 1000)
    found.peak.append(peak)


def _starts_a_job(request: Mapping[str, Any]) -> bool:
    return request["method"] == "POST" and str(request["path"]).lower().endswith(STARTING)


def _peak(function: Runtime) -> int:
    """Return the most memory that the function's process has had, in bytes."""
    assert function._process
    children: Sequence[str] = [
        pid for one in Path(f"/proc/{function._process.pid}/task").glob("*/children") for pid in one.read_text().split()
    ]
    status = Path(f"/proc/{children[0]}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
