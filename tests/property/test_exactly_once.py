"""One job for each trigger and no trigger lost, whatever goes wrong: the real code over a model of time and the wire.

`PROPERTY_PROFILE=soak` plays far more examples, from a seed of its own; `PROPERTY_EXAMPLES` and `PROPERTY_SEED` set both.
`PROPERTY_SHRINK=no` saves the time that finding the smallest example takes.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings

from rds_snap_backup.ledger.states import TRANSITIONS
from rds_snap_backup.observability import logger
from tests.property.choices import seeded
from tests.property.credits import ENDED
from tests.property.documents import EDITS
from tests.property.focus import PHASES
from tests.property.model.answers import ANSWERS, CONNECTS, READS
from tests.property.model.kernel import AWS_FAULTS
from tests.property.script import MOODS, Given, givens
from tests.property.test_partial import PARTIAL
from tests.property.watch import watched

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100000" if IS_SOAK else "3000"))
SEED = int(os.environ.get("PROPERTY_SEED", random.randrange(10**9) if IS_SOAK else 20260131))

# Played in two parts, with a seed each, so that two processes share them.
PARTS = 2
AWS_CALLS = ("parameter", "secret", "ledger read", "ledger update", "queue send", "queue visibility", "publish")
# Reading twice is reading.
UNREPEATED = {("secret", "twice"), ("ledger read", "twice")}
# Five runs in a row that are cut off before they sent anything, and a part whose rest the operator removes: elsewhere.
RARE_CHANGES = {("deferred", "unknown"), ("deferred", "submitted")}
# What must have happened in a whole run, or the test would prove nothing.
EXPECTED = {
    *(f"{call}: {fault}" for call in AWS_CALLS for fault in AWS_FAULTS if (call, fault) not in UNREPEATED),
    *(f"ledger transaction: {fault}" for fault in AWS_FAULTS if fault != "twice"),
    *(f"create: {answer}" for answer in ANSWERS if answer not in PARTIAL),
    *(f"list: {fault}" for fault in READS),
    *(f"connect: {fault}" for fault in CONNECTS),
    *(f"ended: {status}" for status in ("submitted", "joined", "scheduled", "rejected", "abandoned")),
    *(f"condition failed: {item}" for item in ("submission", "cooldown", "job")),
    *(f"abandoned: {code}" for code in ("RUNS_CUT_OFF", "OUTCOME_UNKNOWN", "UNREACHABLE")),
    *(f"document: {edit}" for edit in EDITS),
    *(f"job: {status}" for status in ENDED),
    *(
        f"state: {before} -> {after}"
        for before, followers in TRANSITIONS.items()
        for after in followers
        if (before, after) not in RARE_CHANGES
    ),
    *MOODS,
    *("CommServe restored", "level converted", "accepted after the attempt's end", "adopted a job that is not ours"),
    *("synchronous invoke cut off", "job of Commvault's own schedule"),
    *("update in the way: yes", "stale read: yes", "topic delivery: twice", "ignored", "refused"),
    *("transaction in the way: yes", "queue batch: partial", "queue delete: lost", "rate limit"),
    *("adopted", "joined in the cool-down", "joined the running job", "job of a stranger"),
    *("renewed", "renewal refused", "stale secret: yes"),
    *("redriven", "opened again", "killed by the timeout", "killed by what lasts", "token changed"),
    *("hand-overs between two runs", "runs at one time", "delivered twice at one time", "invoked again"),
}


@pytest.mark.timeout(0)  # Each example is watched instead.
@pytest.mark.parametrize("part", range(PARTS))
def test_every_trigger_ends_with_one_job_or_one_notice(
    part: int, record_property: Callable[[str, object], None]
) -> None:
    seen: Counter[str] = Counter()

    @run_settings(
        backend=seeded(SEED + part),
        max_examples=EXAMPLES // PARTS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
    )
    @given(givens)
    def explore(example: Given) -> None:
        watch()
        seen.update(example.play().seen)
        seen["examples"] += 1

    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        with watched(f"part-{part}") as watch:
            explore()
    finally:
        logger.setLevel(level)
        record_property(f"the property test, part {part + 1} of {PARTS}", _summary(seen, SEED + part))
    never = sorted(EXPECTED - seen.keys())
    assert EXAMPLES < 3000 or not never, f"never happened: {never}"


def _summary(seen: Counter[str], seeded: int) -> str:
    ends = {name.removeprefix("ended: "): count for name, count in seen.items() if name.startswith("ended: ")}
    crashes = sum(count for name, count in seen.items() if ": die" in name or name.startswith("killed"))
    failures = sum(count for name, count in seen.items() if name.partition(": ")[0] in {*AWS_CALLS, "create", "list"})
    followed = sum(count for name, count in seen.items() if name.startswith("job: "))
    listed = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    lines = [
        f"{seen['examples']} examples, seed {seeded}: {sum(ends.values())} ends ({listed}), {followed} ends of jobs",
        f"{crashes} crashes, {failures} faults in all, {seen['hand-overs between two runs']} hand-overs between runs",
        f"{seen['adopted']} ended with adopted jobs, {seen['opened again']} were opened again",
    ]
    if os.environ.get("PROPERTY_VERBOSE"):
        lines += [f"{count:8} {name}" for name, count in sorted(seen.items())]
    return "; ".join(lines)
