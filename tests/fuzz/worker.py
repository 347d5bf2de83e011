"""The process in which one harness runs: `python -m tests.fuzz.worker MODULE:FUNCTION ENGINE RUNS SEED FLAGS…`.

With atheris `FLAGS` are libFuzzer's, which ends the process itself. Hypothesis takes its inputs from the same folders
first and then makes its own; it is there for machines that atheris has no wheel for, and measures no coverage.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.support import ENVIRONMENT

PACKAGE = "rds_snap_backup"
INPUT = 4096
KEEP_GOING = "FUZZ_KEEP_GOING"

type Fuzz = Callable[[bytes], None]


def main() -> None:
    """Run the harness that the arguments name."""
    spec, engine, runs, seed, *flags = sys.argv[1:]
    os.environ.update(ENVIRONMENT)
    if engine == "atheris":
        _atheris(spec, [f"-runs={runs}", f"-seed={seed}", *flags])
    else:
        _hypothesis(spec, int(runs), int(seed), [Path(flag) for flag in flags if not flag.startswith("-")])


def _loaded(spec: str) -> Fuzz:
    """Return a harness within its limits; with a folder in `FUZZ_KEEP_GOING`, one that goes on after a failure."""
    name, _, function = spec.partition(":")
    fuzz: Fuzz = getattr(importlib.import_module(name), function)
    from tests.fuzz.limits import limited

    folder = os.environ.get(KEEP_GOING)
    return _collecting(limited(fuzz), Path(folder)) if folder else limited(fuzz)


def _collecting(fuzz: Fuzz, folder: Path) -> Fuzz:
    """Return a harness that keeps the smallest input of each different failure, and goes on."""
    smallest: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)

    def checked(data: bytes) -> None:
        try:
            fuzz(data)
        except BaseException as failure:  # noqa: BLE001 - TooSlow, and whatever the code raises
            frames = traceback.extract_tb(failure.__traceback__)
            ours = [frame for frame in frames if f"/{PACKAGE}/" in frame.filename] or frames
            what = f"{type(failure).__name__} {ours[-1].name}: {str(failure)[:80]}"
            if len(data) < smallest.get(what, INPUT * INPUT):
                smallest[what] = len(data)
                name = "".join(one if one.isalnum() else "-" for one in what)[:100]
                (folder / name).write_bytes(data)

    return checked


def _atheris(spec: str, flags: list[str]) -> None:
    import atheris

    # Ours alone, and not the harnesses; libFuzzer refuses what nothing of is instrumented.
    with atheris.instrument_imports(include=[PACKAGE, "tests.fuzz.planted"]):
        fuzz = _loaded(spec)

    def reported(data: bytes) -> None:
        try:
            fuzz(data)
        except BaseException:
            traceback.print_exc()  # atheris writes it to the standard output, among the metrics.
            raise

    atheris.Setup([sys.argv[0], *flags], reported)
    atheris.Fuzz()


def _hypothesis(spec: str, runs: int, seed: int, folders: list[Path]) -> None:
    import hypothesis
    from hypothesis import strategies

    fuzz, done = _loaded(spec), 0

    def counted(data: bytes) -> None:
        nonlocal done
        done += 1
        fuzz(data)

    some_bytes = strategies.binary(max_size=INPUT)
    inputs = some_bytes | some_bytes.map(lambda data: b"\1" + data)
    settings = hypothesis.settings(
        max_examples=runs,
        database=None,
        deadline=None,
        # A failing input is not made smaller: that takes long for one that takes long, and libFuzzer does not, either.
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        try:
            counted(path.read_bytes())
        except BaseException as failure:
            failure.add_note(f"The input is {path}.")
            raise
    hypothesis.seed(seed)(settings(hypothesis.given(inputs)(counted)))()
    print(f"Done {done} runs", file=sys.stderr)


if __name__ == "__main__":
    main()
