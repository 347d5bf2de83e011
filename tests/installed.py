"""The command line's wheel in an environment that has only its requirements, on the Pythons that it supports."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.locks import COMMAND_LINE
from local.package import wheel
from local.tools import ROOT, uv

PYTHONS = ("3.12", "3.13", "3.14")


def interpreter(version: str) -> str | None:
    """Return a Python of this version that runs, if there is one."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    # Tools that manage Pythons keep them side by side.
    neighbours = sorted(Path(sys.base_prefix).parent.glob(f"*{version}.*/bin/python"))
    for path in [shutil.which(f"python{version}"), *map(str, neighbours)]:
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def run(*arguments: str, env: Mapping[str, str] | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program in the checkout, with more variables; it succeeds unless `check` is false."""
    variables = {**os.environ, **(env or {})}
    done = subprocess.run(arguments, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


def install(version: str, folder: Path) -> Path:
    """Install the wheel for a Python and return the folder of its program; skip the test without that Python."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    environment = folder / "environment"
    install = (uv(), "pip", "install", "--no-config", "--python", str(environment))
    if python == sys.executable:  # The lock has wheels for this one.
        run(uv(), "sync", "--frozen", "--only-group", "cli", env={"UV_PROJECT_ENVIRONMENT": str(environment)})
    else:
        run(uv(), "venv", "--no-project", "--no-config", "--python", python, str(environment))
        fetched = run(*install, "--require-hashes", "--only-binary", ":all:", "-r", str(COMMAND_LINE), check=False)
        if fetched.returncode:
            pytest.skip(f"its requirements cannot be fetched for Python {version}: {fetched.stderr[-200:]}")
    run(*install, "--offline", "--no-deps", str(wheel(folder)))
    return environment / "bin"
