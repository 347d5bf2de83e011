"""The build where users are: CloudShell, a machine with only uv, Lambda's build image. The same bytes, or a named fix.

A machine is a folder of commands, which is all that the build finds.
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from local import stack
from local.package import files
from local.tools import ROOT, uv

pytestmark = pytest.mark.xdist_group("machines")  # one process, so that the old Python is made once

# What the build needs besides Python or uv; its shell is /bin/sh.
UTILITIES = ("rm", "cp", "mkdir", "chmod", "find", "touch")
# CloudShell's, one of them old. They are installed only for these tests, so they have no lock in `tools/`.
PIP = "pip==24.2 --hash=sha256:2cd581cf58ab7fcfca4ce8efa6dcacd0de5bf8d0a3eb9ec927e07405f4d9e2a2\n"
OLD_PIP = "pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d\n"
# CloudShell's Python, or another one that such a pip runs on.
OLD_PYTHONS = ("3.9", ">=3.8,<3.12")
FIX = ("sudo dnf install -y python3.13 python3.13-pip", "brew install python@3.13", "python3 -m pip install --user uv")


def interpreter(folder: Path, pip: str, *versions: str) -> Path | None:
    """Return a Python of the first of these versions that is found, with that pip and nothing else."""
    create = [uv(), "venv", "--quiet", "--no-project", "--clear", str(folder), "--python"]
    if all(subprocess.run([*create, version], capture_output=True, check=False).returncode for version in versions):
        return None
    lock, python = folder / "pip.txt", folder / "bin" / "python"
    lock.write_text(pip)
    install = ["pip", "install", "--quiet", "--require-hashes", "--python", str(python), "--requirement", str(lock)]
    subprocess.run([uv(), *install], check=True)
    return python


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CloudShell's `python3`: one that is on the PATH, or one that uv can fetch."""
    found = interpreter(tmp_path_factory.mktemp("old"), OLD_PIP, *OLD_PYTHONS)
    return found or pytest.skip("no Python below 3.12 is here, and none can be fetched")


@pytest.fixture(scope="module")
def by_sam() -> dict[str, bytes]:
    """What `sam build` makes of the same sources."""
    return files(stack.build() / "BackupFunction")


def build(folder: Path, programs: dict[str, Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the build by itself, in a copy of `src`, on a machine with these programs; the package is `package` in `folder`."""
    (commands := folder / "bin").mkdir()
    for name in UTILITIES:
        (commands / name).symlink_to(str(shutil.which(name)))
    for name, path in programs.items():
        # Not a link: an interpreter would take it for its own place and leave its environment.
        (commands / name).write_text(f'#!/bin/sh\nexec "{path}" "$@"\n')
        (commands / name).chmod(0o755)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "package").mkdir()
    own = {"PATH": str(commands), "ARTIFACTS_DIR": str(folder / "package"), "UV": "uv"}
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    line = [str(shutil.which("make")), "-C", str(folder / "src"), "build-BackupFunction"]
    return subprocess.run(line, env=inherited | own | environment, capture_output=True, text=True, check=False)


def check(folder: Path, by_sam: dict[str, bytes]) -> None:
    """Compare all that a zip of the package would hold: names, bytes, modes, and times, which zips keep as local."""
    assert files(folder / "package") == by_sam
    begin = datetime(2000, 1, 1).timestamp()  # noqa: DTZ001 - as `touch` and zips have it, in any zone
    for path in (folder / "package").rglob("*"):
        found = path.stat()
        assert (found.st_mode & 0o777, found.st_mtime) == (0o755 if path.is_dir() else 0o644, begin), path


def test_cloudshell_with_python_313_and_its_pip(tmp_path: Path, old: Path, by_sam: dict[str, bytes]) -> None:
    # The Python that runs the tests is the one that compiles what `sam build` makes.
    modern = interpreter(tmp_path / "modern", PIP, sys.executable)
    assert modern
    done = build(tmp_path, {"python3": old, "python3.13": modern})
    assert done.returncode == 0, done.stderr
    assert "python3.13 -m pip install" in done.stdout
    check(tmp_path, by_sam)


def test_uv_alone(tmp_path: Path, by_sam: dict[str, bytes]) -> None:
    """As if uv had fetched the Python that runs the tests, and could fetch no other."""
    listing = [uv(), "python", "list", "--offline", "--only-installed", "--output-format", "json", sys.executable]
    (found,) = json.loads(subprocess.run(listing, capture_output=True, check=True).stdout)
    (place := tmp_path / "fetched" / found["key"]).mkdir(parents=True)
    for part in ("bin", "lib"):
        (place / part).symlink_to(Path(sys.base_prefix, part))
    fetched = {"UV_PYTHON_INSTALL_DIR": str(place.parent), "UV_PYTHON_DOWNLOADS": "never"}
    done = build(tmp_path, {"uv": Path(uv())}, **fetched)
    assert done.returncode == 0, done.stderr
    check(tmp_path, by_sam)


def test_without_a_python_313_it_fails_and_names_the_fix(tmp_path: Path, old: Path) -> None:
    """On both streams: sam shows what a build writes to stderr only when it fails, and to stdout always."""
    done = build(tmp_path, {"python3": old})
    assert done.returncode
    for words in ("needs Python 3.13", *FIX, "ALLOW_NO_BYTECODE=1"):
        assert words in done.stdout
        assert words in done.stderr
    assert files(tmp_path / "package") == {}


def test_who_asks_for_it_goes_without_bytecode(tmp_path: Path, old: Path, by_sam: dict[str, bytes]) -> None:
    done = build(tmp_path, {"python3": old}, ALLOW_NO_BYTECODE="1")
    assert "every cold start takes 2.5 times as long" in done.stdout, done.stderr
    assert files(tmp_path / "package") == {name: data for name, data in by_sam.items() if not name.endswith(".pyc")}
