"""Targets of several subclients, of which some get their jobs: each is named, and none is started twice."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import pytest

from tests.property.documents import DOCUMENTS
from tests.property.focus import play
from tests.property.model.answers import ANSWERS
from tests.property.script import PAUSES, Given

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
SEVERAL = tuple(DOCUMENTS).index("three")
NAMES = tuple(ANSWERS)
PARTIAL = (
    "in part",
    "in part, without an error",
    "not all named",
    "reset, accepted in part",
    "already running, in part",
)
# What may follow where a part has its jobs.
THEN = ("rejected with 400", "rejected with 500", "no jobs", "failed", "reset, accepted", "unauthorized")
# As long as it takes until the rest is asked for.
WAIT = ("pass", PAUSES.index(5000.0), 0, 0)
RARE = ("went wrong in part", "jobs that were not named")


def focused(example: Given) -> Given:
    """Return an example of one target, whose requests are often accepted in part."""
    several = [(step, a, b, SEVERAL if step in {"run", "together"} else c) for step, a, b, c in example.steps]
    # In every other example the rest is asked for before the next step.
    steps = [one for step in several for one in (step, WAIT)] if len(several) % 2 else several
    # A request is accepted in part, and something befalls the one for the rest.
    parts = [(gap, NAMES.index(PARTIAL[choice % len(PARTIAL)])) for gap, choice in example.faults["create"]]
    rests = [(0, NAMES.index(THEN[choice % len(THEN)])) for _, choice in example.faults["list"]]
    create = [one for both in zip_longest(parts, rests) for one in both if one]
    faults = {name: pairs[:3] for name, pairs in example.faults.items()}
    return replace(example, steps=steps, faults={**faults, "create": create})


@pytest.mark.timeout(0)
def test_each_job_of_a_part_is_named_and_none_is_started_twice(
    record_property: Callable[[str, object], None],
) -> None:
    seen = play("partial", focused, EXAMPLES)
    record_property("accepted in part", "; ".join(f"{seen[name]} {name}" for name in RARE))
    wanted = {*(f"create: {answer}" for answer in (*PARTIAL, *THEN)), *RARE}
    never = sorted(wanted - seen.keys())
    assert EXAMPLES < 400 or not never, f"never happened: {never}"
