"""Fuzzes what reads bytes from outside, at length. `make fuzz`.

A failing input and what increased coverage are kept in `build/fuzz/TARGET/`. An input that is worth keeping goes into
`tests/fuzz/corpus/TARGET/`, which every run begins with. Exit status 1: a promise was broken.
"""

import argparse
import random
import sys

from tests.fuzz.engines import FOUND, TARGETS, default_engine, run

SECONDS = 300
HYPOTHESIS_RUNS = 20_000


def main() -> int:
    """Run all targets, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all without; {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, help=f"for each target; without --runs {SECONDS} (atheris only)")
    parser.add_argument(
        "--runs", type=int, help=f"inputs for each target; with Hypothesis {HYPOTHESIS_RUNS} without it"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31), help="of an earlier run; new without")
    parser.add_argument(
        "--engine", choices=("atheris", "hypothesis"), default=default_engine(), help="%(default)s here"
    )
    parser.add_argument("--keep-going", action="store_true", help="collect an input of each different failure")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    runs, seconds = given.runs or -1, given.seconds or (0 if given.runs else SECONDS)
    if given.engine == "hypothesis":
        if given.seconds:
            parser.error("Hypothesis runs for a number of inputs, not of seconds")
        print("By Hypothesis, without coverage: atheris has wheels for Linux on x86_64 alone.")
        runs, seconds = given.runs or HYPOTHESIS_RUNS, 0
    print(f"Seed {given.seed}", flush=True)
    failed = 0
    for target in given.targets or TARGETS:
        result = run(
            target,
            runs,
            seed=given.seed,
            engine=given.engine,
            seconds=seconds,
            found=FOUND,
            keep_going=given.keep_going,
        )
        print(result, flush=True)
        if result.failure:
            failed += 1
            print(result.failure, file=sys.stderr, flush=True)
    return 1 if failed else 0


sys.exit(main())
