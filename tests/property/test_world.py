"""One job for each trigger and association, and none lost, whatever goes wrong: the function over a model of time and wire.

`PROPERTY_PROFILE=soak` plays far more examples, from a seed of its own; `PROPERTY_EXAMPLES` and `PROPERTY_SEED` set both.
`PROPERTY_SHRINK=no` saves the time that finding the smallest example takes.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as run_settings

from tests.property.choices import seeded
from tests.property.documents import DOCUMENTS, EDITS
from tests.property.model.answers import ANSWERS, CONNECTS, READS
from tests.property.model.kernel import AWS_FAULTS
from tests.property.script import MOODS, PAUSES, Given, givens

IS_SOAK = os.environ.get("PROPERTY_PROFILE") == "soak"
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100000" if IS_SOAK else "400"))
SEED = int(os.environ.get("PROPERTY_SEED", random.randrange(10**9) if IS_SOAK else 20260131))
# Finding the smallest example takes a while.
PHASES = [Phase.generate] if os.environ.get("PROPERTY_SHRINK") == "no" else [Phase.generate, Phase.shrink]

NAMES = tuple(ANSWERS)
PARTIAL = (
    *("in part", "in part, without an error", "not all named", "one too many", "in another order"),
    *("reset, accepted in part", "already running, in part"),
)
# What may follow where a part has its jobs.
THEN = ("rejected with 400", "rejected with 500", "no jobs", "failed", "reset, accepted", "unauthorized")
# As long as it takes until the rest is asked for.
WAIT = ("pass", PAUSES.index(5000.0), 0, 0)
GROUPS = tuple(number for number, document in enumerate(DOCUMENTS.values()) if len(document["associations"]) > 1)
AWS_CALLS = ("parameter", "ledger read", "ledger update", "queue send", "publish")
# What must have happened in a whole run, or the test would prove nothing.
EXPECTED = {
    *(f"{call}: {fault}" for call in AWS_CALLS for fault in AWS_FAULTS if (call, fault) != ("ledger read", "twice")),
    *(f"ledger transaction: {fault}" for fault in AWS_FAULTS if fault != "twice"),
    *(f"list: {fault}" for fault in READS),
    *(f"connect: {fault}" for fault in CONNECTS),
    *(f"document: {edit}" for edit in EDITS),
    *(
        f"notice: {status}"
        for status in (
            *("submitted", "scheduled", "joined", "rejected", "abandoned", "retrying"),
            *("completed", "completed_with_errors", "failed", "killed", "lost"),
        )
    ),
    *("state: running -> waiting", "state: requested -> waiting"),
    *("state: rejected -> waiting", "state: abandoned -> requested"),
    *("condition failed: submission", "condition failed: subclient", "transaction in the way: yes"),
    *("adopted", "a group with a bad name", "level converted", "rate limit", "CommServe restored"),
    *("message lost", "sent again by the audit", "opened again", "redriven", "renewed", "token changed"),
    *("killed by what lasts", "synchronous invoke cut off", "hand-overs between two runs", "runs at one time"),
    *("job of Commvault's own schedule", "job of a stranger", "delivered twice at one time", *MOODS),
}


def anything(example: Given) -> Given:
    """Return an example as it is."""
    return example


def in_groups(example: Given) -> Given:
    """Return an example of targets of several subclients, whose requests are often accepted in part."""
    several = [
        (step, a, b, GROUPS[c % len(GROUPS)] if step in {"run", "together"} else c) for step, a, b, c in example.steps
    ]
    # In every other example the rest is asked for before the next step.
    steps = [action for step in several for action in (step, WAIT)] if len(several) % 2 else several
    # A request is accepted in part, and something befalls the one for the rest.
    parts = [(gap, NAMES.index(PARTIAL[choice % len(PARTIAL)])) for gap, choice in example.faults["create"]]
    rests = [(0, NAMES.index(THEN[choice % len(THEN)])) for _, choice in example.faults["list"]]
    create = [fault for both in zip_longest(parts, rests) for fault in both if fault]
    faults = {name: pairs[:3] for name, pairs in example.faults.items()}
    return replace(example, steps=steps, faults={**faults, "create": create})


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("kind", "examples", "expected"),
    [
        (anything, EXAMPLES, EXPECTED),
        (in_groups, EXAMPLES // 2, {f"create: {answer}" for answer in (*PARTIAL, *THEN)}),
    ],
)
def test_every_trigger_has_one_job_or_one_notice(
    kind: Callable[[Given], Given],
    examples: int,
    expected: set[str],
    record_property: Callable[[str, object], None],
) -> None:
    seen: Counter[str] = Counter()

    @run_settings(
        backend=seeded(SEED),
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
    )
    @given(givens.map(kind))
    def explore(example: Given) -> None:
        seen.update(example.play().seen)
        seen["examples"] += 1

    try:
        explore()
    finally:
        record_property(f"the property test, {kind.__name__}", _summary(seen))
    never = sorted(expected - seen.keys())
    assert EXAMPLES < 400 or not never, f"never happened: {never}"


def _summary(seen: Counter[str]) -> str:
    notices = {name.removeprefix("notice: "): count for name, count in seen.items() if name.startswith("notice: ")}
    crashes = sum(count for name, count in seen.items() if ": die" in name or name.startswith("killed"))
    lines = [
        f"{seen['examples']} examples, seed {SEED}: {seen['submissions']} submissions, {seen['deliveries']} deliveries",
        ", ".join(f"{count} {status}" for status, count in sorted(notices.items())),
        f"{crashes} crashes, {seen['hand-overs between two runs']} hand-overs between runs, {seen['adopted']} adopted",
    ]
    if os.environ.get("PROPERTY_VERBOSE"):
        lines += [f"{count:8} {name}" for name, count in sorted(seen.items())]
    return "; ".join(lines)
