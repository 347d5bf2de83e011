"""Machines to build on: each is a folder of commands, and that folder is all that the build finds."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from local.tools import ROOT, uv

# What the build needs besides Python or uv; its shell is /bin/sh.
UTILITIES = ("rm", "cp", "mkdir", "chmod", "find", "touch")
# CloudShell's. It is old on purpose and installed only for these tests, so it has no lock in `tools/`.
OLD_PIP = "pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d\n"
CLOUDSHELL = "3.9"
RUNS_OLD_PIP = ">=3.8,<3.12"


def interpreter(folder: Path) -> Path:
    """Return the Python that runs the tests, the one that compiles what `sam build` makes, with its pip and nothing else."""
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    subprocess.run([str(base), "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def old_interpreter(folder: Path) -> Path | None:
    """Return a Python 3.9 with an old pip, as in CloudShell: one that is on the PATH, or one that uv can fetch.

    Where neither is to be had, another Python that such a pip runs on; where there is none, None.
    """
    for version in (CLOUDSHELL, RUNS_OLD_PIP):
        create = [uv(), "venv", "--quiet", "--no-project", "--clear", "--python", version, str(folder)]
        if subprocess.run(create, capture_output=True, check=False).returncode == 0:
            break
    else:
        return None
    lock, python = folder / "pip.txt", folder / "bin" / "python"
    lock.write_text(OLD_PIP)
    install = ["pip", "install", "--quiet", "--require-hashes", "--python", str(python), "--requirement", str(lock)]
    subprocess.run([uv(), *install], check=True)
    return python


def machine(folder: Path, **programs: Path) -> Path:
    """Make a folder with the utilities and `programs`: command names, `_` for `.`, and what they run."""
    folder.mkdir(parents=True)
    for name in UTILITIES:
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, path in programs.items():
        # Not a link: an interpreter would take it for its own place and leave its environment.
        command = folder / name.replace("_", ".")
        command.write_text(f'#!/bin/sh\nexec "{path}" "$@"\n')
        command.chmod(0o755)
    return folder


def with_uv_alone(folder: Path) -> dict[str, str]:
    """Return variables by which uv has fetched the Python that runs the tests, and fetches no other."""
    listing = [uv(), "python", "list", "--offline", "--only-installed", "--output-format", "json", sys.executable]
    (found,) = json.loads(subprocess.run(listing, capture_output=True, check=True).stdout)
    place = folder / found["key"]
    place.mkdir(parents=True)
    for part in ("bin", "lib"):
        (place / part).symlink_to(Path(sys.base_prefix, part))
    return {"UV_PYTHON_INSTALL_DIR": str(folder), "UV_PYTHON_DOWNLOADS": "never"}


def build(folder: Path, commands: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the build by itself, in a copy of `src`, on a machine; the package is `package` in `folder`."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "package").mkdir()
    own = {"PATH": str(commands), "ARTIFACTS_DIR": str(folder / "package"), "UV": "uv"}
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(
        [str(shutil.which("make")), "-C", str(folder / "src"), "build-BackupFunction"],
        env=inherited | own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(package: Path) -> dict[str, str]:
    """Return the hash of every file in a package, by its name."""
    files = (path for path in package.rglob("*") if path.is_file())
    return {str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def modes_and_times(package: Path) -> dict[str, tuple[int, float]]:
    """Return what else a zip of the package holds: the mode of everything, and the time of every file."""
    return {
        str(path.relative_to(package)): (path.stat().st_mode, path.stat().st_mtime if path.is_file() else 0.0)
        for path in package.rglob("*")
    }
