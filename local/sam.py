"""The real SAM CLI on this project: `sam build`, cached until an input changes, and any other of its commands."""

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from local.tools import ROOT, command, locked, uv

KEPT = "kept-"
BUILDS = 10  # that are kept


class DeployError(RuntimeError):
    """`sam` failed; the message ends with its output."""


def build(root: Path = ROOT) -> Path:
    """Run `sam build` in `root`, unless the same inputs were built before; return the folder that holds the result.

    It holds `template.yaml` and a package per function, and later builds do not change it.
    """
    # Next to the output of `sam build`: its template has paths to files in `root`.
    home = root / ".aws-sam"
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "lock"):
        while not (built := home / f"{KEPT}{digest(root)}").exists():
            sam("build", root=root, environment={"AWS_DEFAULT_REGION": "us-east-1"})
            if f"{KEPT}{digest(root)}" != built.name:  # a source was edited meanwhile
                continue
            fresh = home / "fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(home / "build", fresh, copy_function=os.link)
            template = yaml.safe_load((fresh / "template.yaml").read_text())
            (fresh / "template.json").write_text(json.dumps(template, default=str))
            fresh.rename(built)
        built.touch()
        for old in sorted(home.glob(f"{KEPT}*"), key=lambda path: path.stat().st_mtime)[:-BUILDS]:
            shutil.rmtree(old)
    return built


def sam(*arguments: str, root: Path, environment: dict[str, str]) -> str:
    """Run one of SAM's commands in `root` and return what it printed; raise `DeployError` when it fails."""
    process = subprocess.Popen(
        command("sam", *arguments),
        cwd=root,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0", "UV": uv()} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        # It has child processes, which nothing else would stop.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise DeployError(f"`sam {arguments[0]}` failed:\n{output[-4000:]}")
    return output


def digest(root: Path) -> str:
    """Name the inputs of a build by their contents; the release of Python is one, since it makes the bytecode."""
    apart = {"__pycache__", "rds_snap_backup_cli"}
    sources = [path for path in (root / "src").rglob("*") if path.is_file() and apart.isdisjoint(path.parts)]
    inputs = hashlib.sha256(platform.python_version().encode())
    for path in sorted([*sources, root / "template.yaml", root / "samconfig.toml"]):
        inputs.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return inputs.hexdigest()[:16]
