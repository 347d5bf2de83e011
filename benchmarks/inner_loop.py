"""How long a contributor waits: the tests of the core, `make unit`, and `make lint` where no template has changed."""

import subprocess
import sys
import time

from benchmarks.figures import Goal, Spread, table
from local.tools import ROOT

# What is run, and the seconds that it may take.
STEPS = {
    "the tests of the core": ([sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/unit/core"], 2),
    "`make unit`": (["make", "unit"], 20),
    "`make lint`": (["make", "lint"], 25),
}


def measure(rounds: int) -> dict[str, Spread]:
    """Return the seconds of each step, all in turn; a first round, which fills caches, is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in STEPS}
    for number in range(rounds + 1):
        for name, (command, _) in STEPS.items():
            begun = time.monotonic()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            if number:
                taken[name].append(time.monotonic() - begun)
    return {name: Spread.of(seconds) for name, seconds in taken.items()}


def goals(taken: dict[str, Spread]) -> list[Goal]:
    """Return the seconds and their limits."""
    return [Goal(f"{name}, s", taken[name], most) for name, (_, most) in STEPS.items()]


def section(taken: dict[str, Spread]) -> list[str]:
    """Return the section in Markdown."""
    rows = [[name, spread.show(1)] for name, spread in taken.items()]
    return [
        "## The inner loop",
        "Median of rounds in turn, after a first one that fills caches.",
        table(["", "seconds"], rows),
    ]
