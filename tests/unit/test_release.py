"""The release workflow: its own shell lines, run as they stand, with a `gh` that only notes how it is called."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.documents import read

WORKFLOW: dict[Any, Any] = yaml.safe_load(read(".github/workflows/release.yml"))
JOBS = WORKFLOW["jobs"]
STEPS = {
    step.get("name", step.get("run", step.get("uses", "").partition("@")[0])): step
    for job in JOBS.values()
    for step in job["steps"]
}
GH = """#!/bin/sh
echo "$@" >>"$CALLS"
case "$1 $2" in
  "release view") [ "$EXISTS" = yes ] ;;
  "release download") cp "online/$5" "$7/" ;;
esac
"""


def run(step: str, folder: Path, tag: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step's lines as GitHub does."""
    own = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "GITHUB_REF_NAME": tag}
    script = ["bash", "-eo", "pipefail", "-c", STEPS[step]["run"]]
    return subprocess.run(
        script, cwd=folder, env=os.environ | own | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "some"\nversion = "2.3.4"\n')
    (tmp_path / "dist").mkdir()
    (tmp_path / "online").mkdir()
    for name in ("some-2.3.4.zip", "some-2.3.4.cdx.json", "SHA256SUMS"):
        (tmp_path / "dist" / name).touch()
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    return tmp_path


def publish(checkout: Path, exists: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the step; return also the names of the files that it uploads, after the calls that create a release."""
    calls = checkout / "calls"
    done = run("Publish", checkout, "v2.3.4", CALLS=str(calls), EXISTS=exists)
    lines = calls.read_text().splitlines()
    created = [line for line in lines if line.startswith("release create v2.3.4 --verify-tag")]
    uploaded = [line.rpartition("/")[2] for line in lines if line.startswith("release upload v2.3.4 dist/")]
    assert not any("--clobber" in line for line in lines)
    return done, ["created"] * len(created) + sorted(uploaded)


def test_a_published_file_is_never_changed(checkout: Path) -> None:
    (checkout / "online" / "some-2.3.4.zip").write_text("other contents")
    done, did = publish(checkout, "yes")
    assert (done.returncode, did) == (1, [])
    assert "some-2.3.4.zip is published with other contents" in done.stdout


@pytest.mark.parametrize(("tag", "status"), [("v2.3.4", 0), ("v2.3.5", 1), ("v2.3", 1), ("2.3.4", 1)])
def test_a_tag_that_is_not_the_version_is_refused(tag: str, status: int, checkout: Path) -> None:
    done = run("The tag is the version", checkout, tag)
    assert done.returncode == status, done.stderr
    assert ("2.3.4" in done.stdout) is bool(status)
