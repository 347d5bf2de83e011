"""The release workflow: its own shell lines, run as they stand, with a `gh` that only notes how it is called."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.tools import ROOT
from tests.unit.documents import read

WORKFLOW: dict[Any, Any] = yaml.safe_load(read(".github/workflows/release.yml"))
(JOB,) = WORKFLOW["jobs"].values()
STEPS = {step.get("name", step.get("run", step.get("uses"))): step for step in JOB["steps"]}
GH = """#!/bin/sh
echo "$@" >>"$CALLS"
[ "$1 $2" != "release view" ] || [ "$EXISTS" = yes ]
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
    for name in ("some-2.3.4.zip", "some-2.3.4.cdx.json", "SHA256SUMS"):
        (tmp_path / "dist" / name).touch()
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("tag", "status"), [("v2.3.4", 0), ("v2.3.5", 1), ("v2.3", 1), ("2.3.4", 1)])
def test_a_tag_that_is_not_the_version_is_refused(tag: str, status: int, checkout: Path) -> None:
    done = run("The tag is the version", checkout, tag)
    assert done.returncode == status, done.stderr
    assert ("2.3.4" in done.stdout) is bool(status)


def test_a_version_on_the_way_to_a_release_is_refused(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text('[project]\nname = "some"\nversion = "2.3.4.dev0"\n')
    done = run("The tag is the version", checkout, "v2.3.4.dev0")
    assert (done.returncode, "2.3.4.dev0 is not a release" in done.stdout) == (1, True)


@pytest.mark.parametrize(("exists", "created"), [("no", True), ("yes", False)])
def test_everything_in_dist_is_attached_to_the_release(*, exists: str, created: bool, checkout: Path) -> None:
    calls = checkout / "calls"
    done = run("Publish", checkout, "v2.3.4", CALLS=str(calls), EXISTS=exists)
    assert done.returncode == 0, done.stderr
    lines = calls.read_text().splitlines()
    assert any(line.startswith("release create v2.3.4 --verify-tag") for line in lines) is created
    assert lines[-1].split()[:4] == ["release", "upload", "v2.3.4", "--clobber"]
    assert sorted(lines[-1].split()[4:]) == ["dist/SHA256SUMS", "dist/some-2.3.4.cdx.json", "dist/some-2.3.4.zip"]


def test_it_checks_before_it_builds_and_may_do_nothing_else() -> None:
    assert list(STEPS)[1:] == ["The tag is the version", "make package", "Publish"]
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "write"}
    assert [step for step in JOB["steps"] if "env" in step] == [STEPS["Publish"]]
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}  # YAML's `on`
    assert (ROOT / "Makefile").read_text().count("\npackage:") == 1
