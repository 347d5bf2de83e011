"""The core keeps its promises in every simulation. `PROPERTY_PROFILE=soak` plays many more, from a seed of its own."""

import os
import time
from collections.abc import Callable

from tests.property.core.simulation import Simulation

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
SEEDS = int(os.environ.get("PROPERTY_EXAMPLES", "100000" if IS_SOAK else "270"))
FIRST = int(os.environ.get("PROPERTY_SEED", str(time.time_ns() % 10**9) if IS_SOAK else "0"))


def test_no_simulation_breaks_a_promise(record_property: Callable[[str, object], None]) -> None:
    steps = 0
    for seed in range(FIRST, FIRST + SEEDS):
        try:
            steps += Simulation(seed).play()
        except Exception as broken:
            broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=1")
            raise
    record_property("steps of the core's simulation", steps)
