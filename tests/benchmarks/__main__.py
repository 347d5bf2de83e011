"""`python -m tests.benchmarks`: measure everything, print the tables, write `RESULTS.md` and the plot.

`--quick` runs little of each, to see that it works; its figures mean nothing and are written nowhere.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import cold, cost, drain, following, growth, imports, report, usual_way, warm
from tests.benchmarks.packages import packages
from tests.benchmarks.place import Place
from tests.benchmarks.results import Results, goals


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--quick", action="store_true", help="little of each, written nowhere")
    results = measure(quick=parser.parse_args().quick)
    if parser.parse_args().quick:
        for goal in goals(results):
            print(f"{goal.label}: {goal.measured.show()}, at most {goal.at_most}")
    else:
        print(report.write(results))


def measure(*, quick: bool) -> Results:
    """Measure everything."""
    rounds, batches, few, count = (1, 2, 1, 40) if quick else (15, 30, 8, 1_000)
    say("building the packages")
    all_packages = packages()
    # A fresh place for each part: the emulator slows down with what it holds, and that says nothing of the product's.
    with Place() as place:
        say("cold starts")
        starts = cold.measure(place, all_packages, rounds)
    with Place() as place:
        say("warm backups")
        ours, bare, calls = warm.measure(place, all_packages, batches)
        traffic = {name: warm.traffic(place, all_packages[name]) for name in ("product", "usual")}
        poll, end = following.measure(place, all_packages)
    with Place() as place:
        say("growth with the targets")
        by_event = growth.targets(place, all_packages, rds=True)
        by_name = growth.targets(place, all_packages, rds=False)
    with Place() as place:
        say("growth with the ledger")
        ledger = growth.ledger(place, all_packages, few)
    with Place() as place:
        say("growth with the associations")
        associations = growth.associations(place, all_packages, few)
    with Place() as place:
        say("draining the queue")
        drained_floor = drain.measure_floor(place, all_packages, count // 5)
        drained = drain.measure(place, all_packages, count)
    say("import profile")
    profile = imports.profile(all_packages["product"].folder)
    say("the same faults against the usual way")
    backup = cost.Backup(
        submit=cost.Run(calls, statistics.median(ours.wall) * 1000, traffic["product"].log_bytes),
        poll=poll,
        end=end,
        cold_ms=statistics.median(starts["product"].init),
    )
    return Results(
        machine=machine(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        packages=all_packages,
        sizes={name: (package.zipped, package.unzipped) for name, package in all_packages.items()},
        cold=starts,
        warm=ours,
        bare=bare,
        traffic=traffic,
        associations=associations,
        by_event=by_event,
        by_name=by_name,
        ledger=ledger,
        drained=drained,
        drained_floor=drained_floor,
        bills=cost.bills(backup),
        imports=imports.by_package(profile),
        dataclasses=imports.dataclasses_of(profile, "rds_snap_backup"),
        faults=usual_way.run(),
    )


def machine() -> str:
    """Return what this ran on."""
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
