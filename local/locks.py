"""What the locks pin: the packages that ship, those of the command line, of each tool, and of the development environment.

It reads them and fetches nothing.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.tools import LOCKS, ROOT

SHIPPED = ROOT / "src" / "requirements.txt"
# What the command line's wheel requires, for every Python that it supports.
COMMAND_LINE = ROOT / "src" / "command-line.txt"
DEVELOPMENT = ROOT / "uv.lock"

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; [^\\]+?)?(?P<hashes>(?: --hash=\S+)*)")


@dataclass(frozen=True, slots=True)
class Package:
    """One package at one version, and the hashes (`sha256:…`) of its files that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        """Its name in SBOMs and vulnerability databases."""
        return f"pkg:pypi/{self.name}@{self.version}"


def locks() -> list[Path]:
    """Return every lock of the project."""
    return [SHIPPED, COMMAND_LINE, DEVELOPMENT, *sorted(LOCKS.glob("*.txt"))]


def packages(lock: Path) -> list[Package]:
    """Return what `lock` pins: a requirements file or uv's own lock; raise `ValueError` for a line that pins nothing."""
    if lock.suffix == ".lock":
        listed = tomllib.loads(lock.read_text())["package"]
        return [_from_uv(entry) for entry in listed if "registry" in entry["source"]]
    lines = [line for line in lock.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r" *\\\n *", " ", "\n".join(lines))
    return [_from_requirement(line) for line in joined.splitlines()]


def normalized(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_uv(entry: dict[str, Any]) -> Package:
    files = [*([entry["sdist"]] if "sdist" in entry else []), *entry.get("wheels", [])]
    return Package(normalized(entry["name"]), entry["version"], tuple(sorted(file["hash"] for file in files)))


def _from_requirement(line: str) -> Package:
    found = _REQUIREMENT.fullmatch(line.strip())
    if not found:
        raise ValueError(f"{line!r} does not pin a package.")
    hashes = tuple(sorted(part.removeprefix("--hash=") for part in found["hashes"].split()))
    return Package(normalized(found["name"]), found["version"], hashes)
