"""Any bytes from outside give an outcome or the module's own error, in bounded time and memory.

A fixed number of inputs from a fixed seed, after the corpus. `make fuzz` runs the same harnesses at length.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.engines import BESIDE, HERE, MAX_INPUT, TARGETS, Engine, default_engine, run

# As many inputs as take a second or two.
RUNS = {
    "answers": 400,
    "events": 1500,
    "job_lists": 400,
    "jobs_message": 2500,
    "secret": 8000,
    "target_documents": 4000,
    "texts": 600,
    "unwrap": 1200,
}
HYPOTHESIS_RUNS = 100
needs_atheris = pytest.mark.skipif(
    not importlib.util.find_spec("atheris"), reason="atheris has no wheel for this machine"
)


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes_give_an_outcome_or_the_modules_own_error(
    target: str, record_property: Callable[[str, object], None]
) -> None:
    runs = RUNS[target] if default_engine() == "atheris" else HYPOTHESIS_RUNS
    result = run(target, runs)

    assert not result.failure, f"{result}\n{result.failure}"
    assert result.inputs >= runs
    record_property("fuzzing", str(result))


@pytest.mark.parametrize(
    ("bug", "shown"),
    [("crash", "AttributeError"), ("slow", "TooSlow"), ("greedy", "MemoryError"), ("leak", "AssertionError")],
)
@pytest.mark.parametrize("engine", [pytest.param("atheris", marks=needs_atheris), "hypothesis"])
def test_a_planted_bug_is_found(engine: Engine, bug: str, shown: str) -> None:
    result = run(f"tests.fuzz.planted:{bug}", 5000, engine=engine)

    assert shown in result.failure


@pytest.mark.parametrize("target", ["events", "jobs_message"])
def test_hypothesis_runs_the_same_harness_where_atheris_is_missing(target: str) -> None:
    result = run(target, 20, engine="hypothesis")

    assert not result.failure, f"{result}\n{result.failure}"
    assert result.inputs >= 20 + corpus_size(target)


def corpus_size(target: str) -> int:
    return sum(1 for _ in (HERE / "corpus" / target).iterdir())


def test_every_target_has_a_corpus_and_no_corpus_is_left_without_target() -> None:
    assert {path.name for path in (HERE / "corpus").iterdir()} == set(TARGETS) == set(RUNS)
    assert all(corpus_size(target) for target in TARGETS)


def test_no_input_of_a_corpus_is_cut_off() -> None:
    folders = [HERE / "corpus", *(folder for folders in BESIDE.values() for folder in folders)]
    sizes = {path: path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()}

    assert len(sizes) > 100
    assert {path: size for path, size in sizes.items() if size > MAX_INPUT} == {}


def test_a_failing_input_is_kept(tmp_path: Path) -> None:
    result = run("tests.fuzz.planted:crash", 5000, found=tmp_path)

    kept = list((tmp_path / "tests.fuzz.planted.crash").glob("crash-*"))
    assert len(kept) == 1
    assert str(kept[0]) in result.failure
