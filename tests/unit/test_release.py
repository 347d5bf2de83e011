"""Releases: everything is pinned by hash, one version stands everywhere, and nothing published is ever changed."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.locks import COMMAND_LINE, DEVELOPMENT, SHIPPED, locks, normalized, packages
from local.tools import LOCKS
from tests.unit.documents import read
from tests.unit.template import PROJECT, TEMPLATE, Resolved


@pytest.mark.parametrize("lock", locks(), ids=lambda path: path.name)
def test_every_package_has_hashes_and_a_tool_its_pinned_version(lock: Path) -> None:
    assert (found := packages(lock))
    assert all(package.hashes for package in found)
    if (pins := lock.with_suffix(".in")).exists() and lock.parent == LOCKS:
        pinned = {(package.name, package.version) for package in packages(pins)}
        assert pinned <= {(package.name, package.version) for package in found}


def test_the_locks_that_ship_have_what_the_tests_ran_with() -> None:
    development = {(package.name, package.version): set(package.hashes) for package in packages(DEVELOPMENT)}
    shipped = packages(SHIPPED)
    assert set(PROJECT["dependencies"]) <= {f"{package.name}=={package.version}" for package in shipped}
    assert set(shipped) <= set(packages(DEVELOPMENT))
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


def test_the_version_is_that_of_the_project_and_not_released_before() -> None:
    version = PROJECT["version"]
    assert Resolved().outputs["Version"]["Value"] == version
    audit = TEMPLATE["Resources"]["AuditFunction"]["Properties"]["Environment"]["Variables"]
    assert audit["PRODUCT_VERSION"] == version, "the audit's scope names it"
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+|Unreleased)", read("CHANGELOG.md"), re.MULTILINE)
    assert {version, "Unreleased"} & {*released}
    assert "Unreleased" not in released or version not in released


def test_the_serverless_repositorys_metadata_agrees_with_the_project() -> None:
    """PEP 440's `2.0.0.dev0` is `2.0.0-dev` in the form of semantic versions."""
    metadata = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
    assert metadata["SemanticVersion"] == re.sub(r"\.dev\d+$", "-dev", PROJECT["version"])
    fields = {"Name": "name", "Description": "description", "SpdxLicenseId": "license", "ReadmeUrl": "readme"}
    assert {name: metadata[name] for name in fields} == {name: PROJECT[field] for name, field in fields.items()}
    assert metadata["LicenseUrl"] in PROJECT["license-files"]


# ---- The workflow's own shell lines, run as they stand, with a `gh` that only notes how it is called

STEPS: dict[str, dict[str, Any]] = {
    step["name"]: step
    for job in yaml.safe_load(read(".github/workflows/release.yml"))["jobs"].values()
    for step in job["steps"]
    if "name" in step
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


def test_a_published_file_is_never_changed(tmp_path: Path) -> None:
    for folder in ("dist", "online"):
        (tmp_path / folder).mkdir()
    for name in ("some-2.3.4.zip", "some-2.3.4.cdx.json", "SHA256SUMS"):
        (tmp_path / "dist" / name).touch()
    (tmp_path / "online" / "some-2.3.4.zip").write_text("other contents")
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    done = run("Publish", tmp_path, "v2.3.4", CALLS=str(tmp_path / "calls"), EXISTS="yes")
    assert done.returncode == 1
    assert "some-2.3.4.zip is published with other contents" in done.stdout
    assert not re.search("release (create|upload)|--clobber", (tmp_path / "calls").read_text())


@pytest.mark.parametrize(("tag", "status"), [("v2.3.4", 0), ("v2.3.5", 1), ("v2.3", 1), ("2.3.4", 1)])
def test_a_tag_that_is_not_the_version_is_refused(tag: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "some"\nversion = "2.3.4"\n')
    done = run("The tag is the version", tmp_path, tag)
    assert done.returncode == status, done.stderr
    assert ("2.3.4" in done.stdout) is bool(status)
