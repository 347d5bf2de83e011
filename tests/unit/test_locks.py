"""Everything that is installed has a hash, and the locks have what the pins say."""

import re
import tomllib
from pathlib import Path

import pytest

from local.locks import COMMAND_LINE, DEVELOPMENT, SHIPPED, locks, normalized, packages
from local.tools import LOCKS, ROOT
from tests.unit.documents import read

TOOLS = sorted(LOCKS.glob("*.in"))
HASH = re.compile(r"sha256:[0-9a-f]{64}")


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("lock", locks(), ids=name)
def test_every_package_has_hashes(lock: Path) -> None:
    found = packages(lock)
    assert found
    for package in found:
        assert package.hashes, package
        assert all(HASH.fullmatch(digest) for digest in package.hashes), package


@pytest.mark.parametrize("pins", TOOLS, ids=name)
def test_a_lock_has_what_its_tool_is_pinned_to(pins: Path) -> None:
    pinned = {(package.name, package.version) for package in packages(pins)}
    assert pinned <= {(package.name, package.version) for package in packages(pins.with_suffix(".txt"))}


def test_what_ships_is_what_the_project_pins_and_the_development_lock_has() -> None:
    shipped = packages(SHIPPED)
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert set(project["dependencies"]) <= {f"{package.name}=={package.version}" for package in shipped}
    assert set(shipped) <= set(packages(DEVELOPMENT))


def test_the_command_line_installs_what_the_tests_ran_it_with() -> None:
    development = {(package.name, package.version): set(package.hashes) for package in packages(DEVELOPMENT)}
    for package in packages(COMMAND_LINE):
        assert development[package.name, package.version] <= set(package.hashes), package
    required = tomllib.loads(read("src/pyproject.toml"))["project"]["dependencies"]
    pinned = {package.name for package in packages(COMMAND_LINE)}
    assert {normalized(re.split("[<>=]", line)[0]) for line in required} <= pinned


@pytest.mark.parametrize("makefile", ["Makefile", "src/Makefile"])
def test_make_installs_by_hash_alone(makefile: str) -> None:
    text = read(makefile).replace("\\\n", " ").replace("$(INSTALL)", "pip install")
    installs = [line for line in text.splitlines() if re.search(r"^\t.*pip install", line)]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_actions_are_pinned_by_commit() -> None:
    workflows = [path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    used = [line for workflow in workflows for line in re.findall(r"uses: (.+)", workflow)]
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used), used
