"""A token pair between crashes, its owner, and runs at one time: no older pair is presented while a newer one is stored."""

import os
from dataclasses import replace

import pytest

from tests.property.focus import play
from tests.property.script import Given

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
KEPT = {"run", "together", "pass", "token"}


def focused(example: Given) -> Given:
    """Return an example in which the pair expires again and again, and only its renewals go wrong."""
    steps = [step if step[0] in KEPT else ("run", *step[1:]) for step in example.steps]
    spaced = [one for step in steps for one in (step, ("pass", step[1], step[2], 3))]
    faults = {name: pairs if name == "renewal" else pairs[:2] for name, pairs in example.faults.items()}
    # Now and then the secret's owner stores a pair of their own at the same moment.
    faults["owner"] = example.faults["follow"]
    faults["secret label"] = example.faults["list"]
    return replace(example, steps=spaced, faults=faults, settings=replace(example.settings, has_pair=True, limit=0))


@pytest.mark.timeout(0)
def test_no_older_pair_is_presented_while_a_newer_one_is_stored() -> None:
    seen = play("renewal", focused, EXAMPLES)
    assert seen["renewed"] > EXAMPLES
    assert EXAMPLES < 400 or seen["owner: stores a pair"]
    for call in ("secret write", "secret label", "renew"):
        for death in ("die before", "die after"):
            assert EXAMPLES < 600 or seen[f"{call}: {death}"], f"{call}: {death}"
