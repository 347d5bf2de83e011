"""The wheel in an environment that has only its requirements, on each Python of this machine that it supports."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from local.package import CLI, wheel
from local.tools import ROOT, uv
from tests.cli.reference import SCRIPT
from tests.cli.wire import AwsWire

PYTHONS = ("3.12", "3.13", "3.14")
COMMANDS = ("status", "check", "backup", "report", "letters", "redrive", "discard", "schedule", "token", "verify")
PROJECT = tomllib.loads((CLI / "pyproject.toml").read_text())["project"]


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


def run(*arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(arguments, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel; return the folder of its program. The lock has wheels for the version that runs this."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} here")
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    if python == sys.executable:
        run(uv(), "sync", "--frozen", "--only-group", "cli", UV_PROJECT_ENVIRONMENT=str(environment))
    else:
        run(uv(), "venv", "--no-project", "--no-config", "--python", python, str(environment))
        pins = run(uv(), "export", "--frozen", "--no-hashes", "--only-group", "cli").stdout
        (folder / "pins.txt").write_text(pins)
        line = (
            uv(),
            "pip",
            "install",
            "--no-config",
            "--only-binary",
            ":all:",
            "-r",
            str(folder / "pins.txt"),
        )
        if (done := run(*line, "--python", str(environment), check=False)).returncode:
            pytest.skip(f"its requirements cannot be fetched for Python {request.param}: {done.stderr[-200:]}")
    install = (uv(), "pip", "install", "--no-config", "--offline", "--no-deps", "--python", str(environment))
    run(*install, str(wheel(folder)))
    return environment / "bin"


def test_every_command_has_its_help(installed: Path) -> None:
    shown = run(str(installed / "python"), "-I", "-c", SCRIPT, *COMMANDS).stdout
    assert shown.count("Usage: rds-snap-backup ") == shown.count("Examples:") == len(COMMANDS)
    assert run(str(installed / "rds-snap-backup"), "deploy", check=False).returncode == 2  # without a checkout


def test_it_runs(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = str(installed / "rds-snap-backup")
    with AwsWire() as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
        wire.stack(AuditFunctionName="audit", BackupFunctionName="backup", TargetsPath="/t/", LedgerTableName="ledger")
        wire.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
        wire.answer("Invoke", {"submissions": [{"target": "orders", "status": "succeeded", "backups": []}]})
        assert "the backup succeeded." in run(program, "backup", "prod", "orders", "--wait").stdout
        wire.answer("Query", {"Items": []})
        assert "no open submissions." in run(program, "status", "prod").stdout
        verdicts = ("protected", "stale", "new", "uncovered", "excluded", "unreadable")
        counts = dict.fromkeys(("databases", *verdicts, "places", "targets", "stuck", "findings", "commvaultCalls"), 0)
        since = {"time": "2026-01-31T06:00:00Z", "submissions": 0, "backups": {}, "jobs": {}}
        answer = {"status": "audit", "ok": True, "counts": counts, "since": since, "findings": [], "databases": []}
        wire.answer("Invoke", answer)
        assert "RDS shows no database" in run(program, "report", "prod", "--format", "html").stdout


def test_the_lock_has_what_the_wheel_requires() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["cli"]
    names = {one.split(">")[0].split(";")[0] for one in PROJECT["dependencies"]} - {"tzdata"}
    assert {one.split("=")[0] for one in group} == names
