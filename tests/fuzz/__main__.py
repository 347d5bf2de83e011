"""Fuzzes all code that reads bytes from outside, at length. `make fuzz`.

With atheris, which follows coverage, inputs are kept in `build/fuzz/NAME/`. A failure shows the input, which goes as a
file into `tests/fuzz/corpus/NAME/`, with which every run begins. Exit status 1: a promise was broken.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys

from local.tools import ROOT
from tests.fuzz.inputs import CORPUS
from tests.support import ENVIRONMENT

FOUND = ROOT / "build" / "fuzz"
RUNS_WITHOUT_ATHERIS = 20_000
HANGS_SECONDS = 60
SEEDS, MAX_CHOICES = 20, 2000
NAMES = sorted(path.name for path in CORPUS.iterdir())


def main() -> int:
    """Run the harnesses that are named, each in a process, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all without; {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=300, help="for each harness, with atheris (%(default)s)")
    parser.add_argument("--runs", type=int, help="inputs for each harness")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31), help="of an earlier run; new without")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if len(given.names) == 1:
        run(given.names[0], given)
        return 0
    print(f"Seed {given.seed}", flush=True)
    options = ["--seconds", str(given.seconds), "--seed", str(given.seed)]
    options += ["--runs", str(given.runs)] if given.runs else []
    each = [[sys.executable, "-m", "tests.fuzz", name, *options] for name in given.names or NAMES]
    failed = [command for command in each if subprocess.run(command, check=False).returncode]
    return 1 if failed else 0


def run(name: str, given: argparse.Namespace) -> None:
    """Run one harness; atheris ends the process itself."""
    os.environ.update(ENVIRONMENT)
    if not importlib.util.find_spec("atheris"):
        from tests.fuzz.harnesses import HARNESSES

        print("Without coverage: atheris has wheels for Linux on x86_64 only.")
        HARNESSES[name].test(given.runs or RUNS_WITHOUT_ATHERIS, given.seed)()
        return
    import atheris

    with atheris.instrument_imports(include=["rds_snap_backup"]):
        from tests.fuzz.harnesses import HARNESSES
    HARNESSES[name].test(1, given.seed)()
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    # It would begin with a few bytes, of which nothing can be made.
    for number in range(SEEDS):
        (folder / f"seed-{number}").write_bytes(random.Random(given.seed + number).randbytes(MAX_CHOICES))
    limit = f"-runs={given.runs}" if given.runs else f"-max_total_time={given.seconds}"
    flags = [f"-seed={given.seed}", f"-artifact_prefix={folder}/", f"-timeout={HANGS_SECONDS}", limit]
    flags += ["-len_control=0", f"-max_len={MAX_CHOICES}"]
    fuzz_one = HARNESSES[name].test(1, given.seed).hypothesis.fuzz_one_input
    atheris.Setup([sys.argv[0], *flags, str(folder)], fuzz_one)
    atheris.Fuzz()


sys.exit(main())
