"""One job for each trigger and no trigger lost, whatever goes wrong: the real code over a model of time and the wire."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from rds_snap_backup.observability import logger
from tests.property import script
from tests.property.commvault import ANSWERS, CommServe, Settings
from tests.property.kernel import Kernel, Schedule
from tests.property.world import World

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "3000"))
SEED = int(os.environ.get("PROPERTY_SEED", "20260131"))


def test_every_trigger_ends_with_one_job_or_one_notice(capsys: pytest.CaptureFixture[str]) -> None:
    seen: Counter[str] = Counter()

    @seed(SEED)
    @run_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(script.steps, script.faults, script.switches, script.settings, script.configs, script.skews, st.booleans())
    def explore(
        steps: list[tuple[str, int, int, int]],
        faults: dict[str, list[tuple[int, int]]],
        switches: list[tuple[int, int]],
        settings: Settings,
        config: dict[str, int],
        skews: tuple[float, ...],
        large: bool,  # noqa: FBT001
    ) -> None:
        settings = Settings(**{name: getattr(settings, name) for name in Settings.__slots__})  # type: ignore[attr-defined]
        settings.latest_acceptance = config["reconcile_seconds"] - settings.listed_after - 5
        kernel = Kernel({name: Schedule(pairs) for name, pairs in faults.items()}, Schedule(switches))
        server = CommServe(kernel, settings)
        world = World(kernel, server, config, skews)
        with world.in_charge(most_operations=100 if large else 4):
            script.Example(world, kernel, server).play(steps)
        seen.update(kernel.seen)
        seen["examples"] += 1

    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        explore()
    finally:
        logger.setLevel(level)
        with capsys.disabled():
            print(f"\n{seen['examples']} examples, seed {SEED}")
            if os.environ.get("PROPERTY_VERBOSE"):
                for k, v in sorted(seen.items()):
                    print(f"  {v:8} {k}")
