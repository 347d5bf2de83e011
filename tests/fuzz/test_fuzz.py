"""Any bytes from outside give an outcome that keeps its promises, or the module's own error. `make fuzz` runs longer."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.fuzz.harnesses import HARNESSES, Harness, line
from tests.fuzz.inputs import Samples, texts

RUNS = 200


@pytest.mark.parametrize("name", HARNESSES)
def test_any_bytes_give_an_outcome_or_the_modules_own_error(name: str) -> None:
    assert HARNESSES[name].kept
    HARNESSES[name].test(RUNS, seed=1)()


def takes_a_text(text: str) -> None:
    with suppress(ValueError):
        match json.loads(text):
            case {"target": target}:
                target.strip()


def shows_the_input(text: str) -> None:
    line(text, "a text")


@pytest.mark.parametrize(("planted", "error"), [(takes_a_text, AttributeError), (shows_the_input, AssertionError)])
def test_a_planted_bug_is_found(planted: Callable[[str], None], error: type[Exception]) -> None:
    harness = Harness(planted, texts(Samples(('{"target": "orders"}',), ("target",))))
    with pytest.raises(error):
        harness.test(RUNS, seed=1)()
