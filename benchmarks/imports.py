"""`python -m benchmarks.imports`: where the built product's init goes, by module and by package, the dearest first.

It is CPU time, of the package as it is deployed (`import_hook.py`). The handler's module makes the clients, so that its own
time is theirs.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cold import Cold
from benchmarks.figures import ratio, table
from benchmarks.packages import HANDLER, product
from tests.support import ENVIRONMENT

HOOK = Path(__file__).with_name("import_hook.py")
OURS = "rds_snap_backup"
SHOWN = 40
RUNS = 9


@dataclass(frozen=True)
class Import:
    """One module: its own milliseconds, those with what it imports first, and those of its dataclasses."""

    module: str
    own: float
    total: float
    dataclasses: tuple[float, ...] = ()


def profile(package: Path, module: str = HANDLER, runs: int = RUNS) -> list[Import]:
    """Return a package's imports, the dearest first, of the quickest of some runs."""
    return min(
        (_run(package, module) for _ in range(runs)), key=lambda imports: sum(imported.own for imported in imports)
    )


def by_package(imports: Sequence[Import]) -> list[tuple[str, float, int]]:
    """Return milliseconds and modules by package, the dearest first; the standard library counts as one."""
    sums: dict[str, list[float]] = defaultdict(list)
    for imported in imports:
        top = imported.module.partition(".")[0]
        is_standard = top in sys.stdlib_module_names or top.startswith("_")
        name = "making the clients" if imported.module == HANDLER else "standard library" if is_standard else top
        sums[name].append(imported.own)
    rows = [(name, sum(times), len(times)) for name, times in sums.items()]
    return sorted(rows, key=lambda row: -row[1])


def section(imports: Sequence[Import], cold: Mapping[str, Cold]) -> list[str]:
    """Return the section of the results."""
    times = [time for imported in imports if imported.module.startswith(f"{OURS}.") for time in imported.dataclasses]
    rows = [[name, f"{milliseconds:.1f}", count] for name, milliseconds, count in by_package(imports)]
    bound = ratio(cold["floor-trimmed"].init, cold["product"].init).median
    return [
        "## What bounds init",
        (
            f"The SDK: the floor on the product's own, trimmed SDK takes {bound:.0%} of the product's init. The product's imports "
            f"take {sum(imported.own for imported in imports):.0f} ms of CPU time. In its modules {sum(times):.0f} ms go into "
            f"{len(times)} dataclasses: CPython compiles their methods at each import."
        ),
        table(["Imports of", "own ms", "modules"], rows),
    ]


def _run(package: Path, module: str) -> list[Import]:
    python = Path(sys.base_prefix) / "bin" / "python3.13"
    done = subprocess.run(
        [str(python), "-P", "-S", str(HOOK), module],
        env=ENVIRONMENT | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        Import(name, own * 1000, total * 1000, tuple(time * 1000 for time in classes))
        for name, (own, total, classes) in json.loads(done.stdout).items()
    ]
    return sorted(found, key=lambda imported: -imported.own)


def main() -> None:
    """Print the profile."""
    imports = profile(product())
    print(f"{'ms':>8}  {'modules':>7}  package")
    for name, milliseconds, count in by_package(imports):
        print(f"{milliseconds:8.1f}  {count:7}  {name}")
    print(f"\n{'own ms':>8}  {'with all':>8}  module")
    for imported in imports[:SHOWN]:
        print(f"{imported.own:8.1f}  {imported.total:8.1f}  {imported.module}")


if __name__ == "__main__":
    main()
