"""A token pair between crashes, its owner, and runs at one time: no older pair is presented while a newer one is stored."""

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as run_settings

from rds_snap_backup.observability import logger
from tests.property.script import Given, givens

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "600")) // 2
KEPT = {"run", "together", "pass", "token"}


def focused(example: Given) -> Given:
    """Return an example in which the pair expires again and again, and only its renewals go wrong."""
    steps = [step if step[0] in KEPT else ("run", *step[1:]) for step in example.steps]
    spaced = [one for step in steps for one in (step, ("pass", step[1], step[2], 3))]
    faults = {name: pairs if name == "renewal" else pairs[:2] for name, pairs in example.faults.items()}
    return replace(example, steps=spaced, faults=faults, settings=replace(example.settings, has_pair=True, limit=0))


@pytest.mark.timeout(300)
def test_no_older_pair_is_presented_while_a_newer_one_is_stored() -> None:
    seen: Counter[str] = Counter()

    @seed(20260131)
    @run_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(givens.map(focused))
    def explore(example: Given) -> None:
        seen.update(example.play().seen)

    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        explore()
    finally:
        logger.setLevel(level)
    assert seen["renewed"] > EXAMPLES
    for call in ("secret write", "secret label", "renew"):
        assert seen[f"{call}: die before"], call
        assert seen[f"{call}: die after"], call
