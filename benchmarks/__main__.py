"""`python -m benchmarks`: measure everything, print the tables and write `RESULTS.md`.

`--quick` runs little of each, to see that it works: its figures mean nothing, and are not written.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import cold, cost, drain, fleet_capacity, imports, inner_loop, members, phases, polling, usual_way, warm
from benchmarks.faults import FAULTS
from benchmarks.figures import Goal, table
from benchmarks.packages import packages
from benchmarks.place import Place

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="little of each, written nowhere")
    is_quick = parser.parse_args().quick
    text = measure(quick=is_quick)
    print(text)
    if not is_quick:
        RESULTS.write_text(f"{text}\n")


def measure(*, quick: bool) -> str:
    """Measure everything; return the results in Markdown."""
    say("building the packages")
    built = packages()
    # A new emulator for each part: it slows down with what it holds.
    with Place() as place:
        say("cold starts")
        starts = cold.measure(place, built, rounds=1 if quick else 11)
    with Place() as place:
        say("the calls of one backup")
        backup = phases.measure(place, built["product"])
        usual_requests = warm.usual_requests(place, built["usual"])
        say("warm backups")
        one, many = (warm.measure(place, built, size, *shape) for size, shape in _warm_shapes(quick=quick))
    with Place() as place:
        say("draining the queue")
        drained = drain.measure(place, built["product"], count=20 if quick else 200)
    say("polling")
    reads = [polling.measure(jobs, hours=1 if quick else 3) for jobs in polling.JOBS]
    with Place() as place:
        say("an audit of many members")
        audited = members.measure(place, 10 if quick else members.MEMBERS)
    say("nights of a fleet")
    capacity = fleet_capacity.measure(fleet_capacity.QUICK if quick else fleet_capacity.CASES)
    say("imports")
    profile = imports.profile(built["product"].folder, runs=1 if quick else 9)
    say("the same faults against the usual way")
    faults = usual_way.run(FAULTS[1:2] if quick else FAULTS)
    say("the inner loop")
    waits = inner_loop.measure(rounds=1 if quick else 3)
    goals = [
        *cold.goals(starts, built),
        *warm.goals(one, many),
        *phases.goals(backup),
        *polling.goals(reads),
        *members.goals(audited),
        *fleet_capacity.goals(capacity),
        *drain.goals(drained),
        *inner_loop.goals(waits),
    ]
    return "\n\n".join(
        [
            *_head(goals),
            *cold.section(starts, built),
            *imports.section(profile, starts),
            *warm.section([one, many]),
            *phases.section(backup, usual_requests),
            *polling.section(reads),
            *members.section(audited),
            *fleet_capacity.section(capacity),
            *drain.section(drained),
            *cost.section(backup, statistics.median(starts["product"].init)),
            *usual_way.section(faults),
            *inner_loop.section(waits),
        ]
    )


def _warm_shapes(*, quick: bool) -> list[tuple[int, tuple[int, int]]]:
    """Return sizes with their batches and the events in a batch."""
    shapes = [(2, 2), (2, 2)] if quick else [(15, 8), (8, 4)]
    return list(zip(warm.ASSOCIATIONS, shapes, strict=True))


def _head(goals: list[Goal]) -> list[str]:
    return [
        "# Benchmarks",
        (
            f"{machine()}, {datetime.now(UTC):%Y-%m-%d}. Written by `make bench`. Each time stands next to its reference of the "
            "same run, measured in turn with it; medians, in brackets the quartiles."
        ),
        "## Goals",
        table(["", "measured", "at most", "met"], [goal.row for goal in goals]),
    ]


def machine() -> str:
    """Return a description of this machine."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) // 2**20 for line in _lines("/proc/meminfo") if "MemTotal" in line), 0)
    processor = names[0] if names else platform.machine()
    return f"{os.cpu_count()} x {processor}, {memory} GiB, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def say(what: str) -> None:
    """Tell on standard error what is being measured."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
