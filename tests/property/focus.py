"""Plays examples of the property test in which one part of the world goes wrong far more often than by chance."""

import os
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as run_settings

from rds_snap_backup.observability import logger
from tests.property.choices import seeded
from tests.property.script import Given, givens
from tests.property.watch import watched

# Finding the smallest example takes a while.
PHASES = [Phase.generate] if os.environ.get("PROPERTY_SHRINK") == "no" else [Phase.generate, Phase.shrink]


def play(name: str, focused: Callable[[Given], Given], examples: int) -> Counter[str]:
    """Play so many examples, each as `focused` makes it; return what was seen. `name` is for the watch over them."""
    seen: Counter[str] = Counter()

    @run_settings(
        backend=seeded(int(os.environ.get("PROPERTY_SEED", "20260131"))),
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
    )
    @given(givens.map(focused))
    def explore(example: Given) -> None:
        watch()
        seen.update(example.play().seen)

    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        with watched(name) as watch:
            explore()
    finally:
        logger.setLevel(level)
    return seen
