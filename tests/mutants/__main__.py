"""Plants each mutation in a copy of the repository, and shows which test catches it. `make mutants`.

The tests are run without a mutation first: what fails then would prove nothing. Exit status 1: a mutation survived.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from local.tools import ROOT
from tests.mutants.mutations import MUTATIONS, Mutation

COPIED = (
    "src",
    "tests",
    "benchmarks",
    "documents",
    "local",
    "tools",
    "events",
    "examples",
    "template.yaml",
    "member.yaml",
    "pyproject.toml",
    "samconfig.toml",
    "README.md",
    "docs",
    "Makefile",
)
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Result:
    """A mutation and the name of the test that caught it, empty where it survived."""

    mutation: Mutation
    caught_by: str
    seconds: float


def main() -> int:
    """Run all mutations, or those whose names or modules contain one of the arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "words", nargs="*", help="run the mutations whose names or modules contain one of these; all without"
    )
    words = parser.parse_args().words
    wanted = [
        mutation for mutation in MUTATIONS if not words or any(word in mutation.path + mutation.name for word in words)
    ]
    if not wanted:
        parser.error(f"no mutation's name or module contains any of {words}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(WORKERS) as pool:
        home = Path(folder)
        for mutation in wanted:
            mutation.applied_to((ROOT / mutation.path).read_text())  # All of them apply, before any is run.
        tests = sorted({mutation.test for mutation in wanted})
        control = _copy(home / "control")
        failed = [caught for caught in pool.map(lambda test: _first_failure(control, test), tests) if caught]
        if failed:
            print(f"These fail without a mutation: {', '.join(failed)}", file=sys.stderr)
            return 2
        results = list(pool.map(lambda numbered: _try(home / str(numbered[0]), numbered[1]), enumerate(wanted)))
    _show(results)
    return 0 if all(result.caught_by for result in results) else 1


def _try(folder: Path, mutation: Mutation) -> Result:
    begun = time.monotonic()
    copy = _copy(folder)
    path = copy / mutation.path
    path.write_text(mutation.applied_to(path.read_text()))
    caught_by = _first_failure(copy, mutation.test)
    shutil.rmtree(copy)
    return Result(mutation, caught_by, time.monotonic() - begun)


def _copy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    (folder / ".tools").symlink_to(ROOT / ".tools")  # The emulator and what installs it.
    return folder


def _first_failure(copy: Path, test: str) -> str:
    """Run a test; return the name of its first failure, or nothing where it passes."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "300", test]
    run = subprocess.run(command, cwd=copy, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    if run.returncode not in {0, 1, 2}:
        raise RuntimeError(f"{test} cannot be run: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    if not run.returncode:
        return ""
    # Lines of a log can begin so too; the name of a test has a double colon.
    lines = (
        line.split() for line in run.stdout.splitlines() if line.startswith(("FAILED ", "ERROR ")) and "::" in line
    )
    return next((words[1] for words in lines), test)


def _show(results: list[Result]) -> None:
    table = Table("Mutation", Column("s", justify="right"), "Caught by", box=box.SIMPLE)
    for result in results:
        caught_by = escape(result.caught_by) or "NOTHING: IT SURVIVED"
        table.add_row(result.mutation.name, f"{result.seconds:.0f}", caught_by)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    caught = sum(bool(result.caught_by) for result in results)
    print(f"{caught} of {len(results)} caught")


sys.exit(main())
