"""The core keeps its promises in every simulation. `PROPERTY_PROFILE=soak` plays many more, from a seed of its own."""

import os
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from rds_snap_backup.core.phases import CHANGES
from tests.property.core.simulation import Simulation

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
SEEDS = int(os.environ.get("PROPERTY_EXAMPLES", "100000" if IS_SOAK else "120"))
FIRST = int(os.environ.get("PROPERTY_SEED", str(time.time_ns() % 10**9) if IS_SOAK else "0"))
REASONS = {"Waiting": ("trying", "busy", "throttled", "gathering", "settling")}
RARE = {("Unlisted", "abandoned"), ("Waiting", "Waiting")}
# What must have happened, or the simulations would prove little.
FAULTS = ("overlapping deliveries", "Stale", "Conflict", "sent again", "opened again", "storm", "outage", "standstill")
READS = ("a list is used again", "a list is read in parts", "newer", "restore", "copy message", "lose message")


def play(seed: int) -> Simulation:
    """Play a simulation, and once more with a quiet world from some step on."""
    try:
        played = Simulation(seed)
        played.play()
        Simulation(seed, quiet_from=Random(seed).randrange(1, played.steps + 1)).play()
    except Exception as broken:
        broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=1")
        raise
    return played


def test_no_simulation_breaks_a_promise(record_property: Callable[[str, object], None]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        played = play(seed)
        seen += played.judge.seen + Counter(steps=played.steps)
    record_property("the core's simulation", f"{seen['steps']} steps, {seen['overlapping deliveries']} overlapping")
    changes = {(was, name) for was, names in CHANGES.items() for name in names} - RARE
    never = {f"{was} -> {name}" for was, name in changes if not _has_happened(seen, was, name)}
    never |= {name for name in (*FAULTS, *READS) if not seen[name]}
    assert SEEDS < 120 or not never, f"never happened: {sorted(never)}"


@pytest.mark.parametrize("seed", [7001241, 20000449])
def test_what_once_did_not_end(seed: int) -> None:
    play(seed)


def _has_happened(seen: Counter[str], was: str, name: str) -> bool:
    pairs = ((before, after) for before in REASONS.get(was, (was,)) for after in REASONS.get(name, (name,)))
    return any(seen[f"{before} -> {after}"] for before, after in pairs)
