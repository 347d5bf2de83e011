"""The development tools that need an environment of their own, each pinned in `pyproject.toml`.

Used as a module by the tests and the demo, and as a command by the Makefile: `python -m local.tools sam --version`.
"""

import os
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def command(name: str, *arguments: str) -> list[str]:
    """Return the command line that runs the pinned tool `name` (`sam`, `ministack`, …) with `arguments`."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["rds-snap-backup"]["tools"][name]
    # `uv run` names itself in UV; outside of it, uv must be on the PATH.
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    main, *beside = packages
    extras = [part for package in beside for part in ("--with", package)]
    return [uv, "tool", "run", "--quiet", "--python", "3.13", "--from", main, *extras, name, *arguments]


if __name__ == "__main__":
    line = command(*sys.argv[1:])
    os.execv(line[0], line)
