"""The core keeps its promises in every simulation. `make soak` plays many more, from a seed of its own."""

import os
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from rds_snap_backup.core.phases import CHANGES
from tests.property.core.simulation import Simulation
from tests.property.seeds import ARE_FEW, FIRST, play_each

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
# What must have happened, or the simulations would prove little.
FAULTS = {"overlapping deliveries", "Stale", "Conflict", "sent again", "opened again", "storm", "outage", "standstill"}
READS = {"a list is used again", "a list is read in parts", "newer", "restore", "copy message", "lose message"}
RARE = {"Unlisted -> abandoned", "Waiting -> Waiting"}


def play(seed: int) -> Counter[str]:
    """Play a simulation, and once more with a quiet world from some step on."""
    played = Simulation(seed)
    played.play()
    Simulation(seed, quiet_from=Random(seed).randrange(1, played.steps + 1)).play()
    return played.judge.seen + Counter(steps=played.steps)


def test_no_simulation_breaks_a_promise(record_property: Callable[[str, object], None]) -> None:
    first = time.time_ns() % 10**9 if IS_SOAK and "PROPERTY_SEED" not in os.environ else FIRST
    seen = play_each(play, 100_000 if IS_SOAK else 120, first)
    record_property("the core's simulation", f"{seen['steps']} steps, {seen['overlapping deliveries']} overlapping")
    changes = {f"{was} -> {name}" for was, names in CHANGES.items() for name in names} - RARE
    never = (changes | FAULTS | READS) - seen.keys()
    assert ARE_FEW or not never, f"never happened: {sorted(never)}"
