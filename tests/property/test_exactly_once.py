"""One job for each trigger and no trigger lost, whatever goes wrong: the real code over a model of time and the wire.

`PROPERTY_PROFILE=soak` plays far more examples, from a seed of its own; `PROPERTY_EXAMPLES` and `PROPERTY_SEED` set both.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as run_settings

from rds_snap_backup.observability import logger
from tests.property.model.answers import ANSWERS, CONNECTS, READS
from tests.property.model.kernel import AWS_FAULTS
from tests.property.script import MOODS, Given, givens

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100000" if IS_SOAK else "5000"))
SEED = int(os.environ.get("PROPERTY_SEED", random.randrange(10**9) if IS_SOAK else 20260131))

AWS_CALLS = ("parameter", "secret", "ledger update", "queue send", "queue visibility", "publish")
# What must have happened in a whole run, or the test would prove nothing.
EXPECTED = {
    *(f"{call}: {fault}" for call in AWS_CALLS for fault in AWS_FAULTS if (call, fault) != ("secret", "twice")),
    *(f"ledger transaction: {fault}" for fault in AWS_FAULTS if fault != "twice"),
    *(f"create: {answer}" for answer in ANSWERS),
    *(f"list: {fault}" for fault in READS),
    *(f"connect: {fault}" for fault in CONNECTS),
    *(f"ended: {status}" for status in ("submitted", "joined", "scheduled", "rejected", "abandoned")),
    *(f"condition failed: {item}" for item in ("submission", "cooldown", "job", "throttle")),
    *(f"abandoned: {code}" for code in ("RUNS_CUT_OFF", "OUTCOME_UNKNOWN", "UNREACHABLE")),
    *MOODS,
    *("transaction in the way: yes", "queue batch: partial", "queue delete: lost", "rate limit"),
    *("adopted", "joined in the cool-down", "joined the running job", "job of a stranger"),
    *("redriven", "opened again", "killed by the timeout", "killed by what lasts", "token changed"),
    *("hand-overs between two runs", "runs at one time", "delivered twice at one time", "invoked again"),
}


@pytest.mark.timeout(0 if IS_SOAK else 300)
def test_every_trigger_ends_with_one_job_or_one_notice(record_property: Callable[[str, object], None]) -> None:
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
    @given(givens)
    def explore(example: Given) -> None:
        seen.update(example.play().seen)
        seen["examples"] += 1

    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        explore()
    finally:
        logger.setLevel(level)
        record_property("the property test", _summary(seen))
    never = sorted(EXPECTED - seen.keys())
    assert EXAMPLES < 2000 or not never, f"never happened: {never}"


def _summary(seen: Counter[str]) -> str:
    ends = {name.removeprefix("ended: "): count for name, count in seen.items() if name.startswith("ended: ")}
    crashes = sum(count for name, count in seen.items() if ": die" in name or name.startswith("killed"))
    failures = sum(count for name, count in seen.items() if name.partition(": ")[0] in {*AWS_CALLS, "create", "list"})
    told = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    lines = [
        f"{seen['examples']} examples, seed {SEED}: {sum(ends.values())} ends ({told})",
        f"{crashes} crashes, {failures} faults in all, {seen['hand-overs between two runs']} hand-overs between runs",
        f"{seen['adopted']} ended with adopted jobs, {seen['opened again']} were opened again",
    ]
    if os.environ.get("PROPERTY_VERBOSE"):
        lines += [f"{count:8} {name}" for name, count in sorted(seen.items())]
    return "; ".join(lines)
