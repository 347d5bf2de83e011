"""`python -m tests.benchmarks.imports`: where the built product's init goes, by module and by package, the dearest first.

It is CPython's own import profile (`-X importtime`) of the package as it is deployed. The clients are made while
`rds_snap_backup.submit.handler` is imported, so that module's own time is theirs.
"""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.packages import packages
from tests.support import ENVIRONMENT

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")
SHOWN = 40
RUNS = 5


@dataclass(frozen=True, slots=True)
class Import:
    """One module: microseconds of its own and with what it imports first."""

    module: str
    own: int
    total: int


def profile(package: Path, module: str = "rds_snap_backup.submit.handler") -> list[Import]:
    """Return a package's imports, the dearest first, of the quickest of some runs."""
    return min((_run(package, module) for _ in range(RUNS)), key=lambda imports: sum(one.own for one in imports))


def by_package(imports: Sequence[Import]) -> list[tuple[str, float, int]]:
    """Return milliseconds and modules by package, the dearest first; the standard library counts as one."""
    sums: dict[str, list[int]] = defaultdict(list)
    for one in imports:
        top = one.module.partition(".")[0]
        is_making_clients = one.module == "rds_snap_backup.submit.handler"
        is_standard = top in sys.stdlib_module_names or top.startswith("_")
        sums["making the clients" if is_making_clients else "standard library" if is_standard else top].append(one.own)
    rows = [(name, sum(times) / 1000, len(times)) for name, times in sums.items()]
    return sorted(rows, key=lambda row: -row[1])


def _run(package: Path, module: str) -> list[Import]:
    python = Path(sys.base_prefix) / "bin" / "python3.13"
    done = subprocess.run(
        [str(python), "-P", "-S", "-X", "importtime", "-c", f"import {module}"],
        env=ENVIRONMENT | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [Import(line[4], int(line[1]), int(line[2])) for line in LINE.finditer(done.stderr)]
    return sorted(found, key=lambda one: -one.own)


def main() -> None:
    """Print the profile."""
    imports = profile(packages()["product"].folder)
    print(f"{'ms':>8}  {'modules':>7}  package")
    for name, milliseconds, count in by_package(imports):
        print(f"{milliseconds:8.1f}  {count:7}  {name}")
    print(f"\n{'own ms':>8}  {'with all':>8}  module")
    for one in imports[:SHOWN]:
        print(f"{one.own / 1000:8.1f}  {one.total / 1000:8.1f}  {one.module}")


if __name__ == "__main__":
    main()
