"""Any bytes from outside give an outcome that keeps its promises, or the module's own error. `make fuzz` runs longer."""

import json
from collections.abc import Callable

import pytest

from tests.fuzz.harnesses import HARNESSES, line
from tests.fuzz.inputs import CORPUS, MAX_INPUT, Samples, corpus, is_choices, made_up, text_of

RUNS = 1000


def run(harness: Callable[[bytes], None], kept: list[bytes]) -> None:
    for data in (*kept, *made_up(RUNS, seed=1)):
        try:
            harness(data)
        except Exception as failure:
            failure.add_note(f"The input is {data!r}.")
            raise


@pytest.mark.parametrize("name", HARNESSES)
def test_any_bytes_give_an_outcome_or_the_modules_own_error(name: str) -> None:
    run(HARNESSES[name], corpus(name))


def takes_a_text(data: bytes) -> None:
    if is_choices(data):
        match json.loads(text_of(data, Samples([{"target": "orders"}], ["target"]))):
            case {"target": target}:
                target.strip()


def shows_the_input(data: bytes) -> None:
    line(text_of(data, Samples(["orders"], ["target"])), "a text")


@pytest.mark.parametrize(("planted", "error"), [(takes_a_text, AttributeError), (shows_the_input, AssertionError)])
def test_a_planted_bug_is_found(planted: Callable[[bytes], None], error: type[Exception]) -> None:
    with pytest.raises(error):
        run(planted, [])


def test_every_harness_has_a_corpus_whose_inputs_are_not_cut_off() -> None:
    assert {path.name for path in CORPUS.iterdir()} == HARNESSES.keys()
    assert all(len(data) <= MAX_INPUT for name in HARNESSES for data in corpus(name))
