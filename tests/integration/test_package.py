"""The files of `make package`: the same bytes each time, whole, and small. `tests/e2e/test_install.py` deploys the zip."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.locks import COMMAND_LINE, SHIPPED, packages
from local.package import CODE, files, write
from local.stack import build
from local.tools import LOCKS, ROOT, command, environment
from rds_snap_backup_cli import VERSION
from rds_snap_backup_cli.fleet.documents import FASTEST
from tests.cli.calls import calling
from tests.cli.test_fleet_build import HOSTILE, NIGHTLY, document, write_fleet

pytestmark = pytest.mark.xdist_group("sbom")  # one process, so that the SBOM's environment is made once

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"rds-snap-backup-{PROJECT['version']}"
WHEEL = f"rds_snap_backup-{PROJECT['version']}-py3-none-any.whl"
REQUIREMENTS = f"rds_snap_backup-{PROJECT['version']}-requirements.txt"
FILES = (f"{NAME}.zip", f"{NAME}-plain.yaml", f"{NAME}-functions.zip", f"{NAME}.cdx.json", WHEEL, REQUIREMENTS)
IN_A_REQUEST = 51_200  # bytes of a template that CloudFormation takes without a bucket
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
print([validator.validate_str(line) is None for line in sys.stdin])
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    names = [path.name for path in write(folder)]
    assert names == [*FILES, "SHA256SUMS"]
    return folder


@pytest.fixture(scope="module")
def unpacked(dist: Path) -> Path:
    with zipfile.ZipFile(dist / f"{NAME}.zip") as archive:
        archive.extractall(dist / "unpacked")
    return dist / "unpacked" / NAME


def read(path: Path) -> dict[str, Any]:
    """Return a template in which tags are written in full."""
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=FASTEST)
    return found


def test_it_holds_what_it_says(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {
        *("README.md", "LICENSE", "template.yaml", "member.yaml", f"{NAME}.cdx.json", "functions"),
    }
    assert files(unpacked / "functions") == files(build() / "BackupFunction")
    assert (unpacked / "README.md").read_text() == (ROOT / "docs" / "install.md").read_text()
    published = read(unpacked / "template.yaml")["Metadata"]["AWS::ServerlessRepo::Application"]
    assert (unpacked / published["LicenseUrl"]).is_file()
    assert (unpacked / published["ReadmeUrl"]).is_file()


def test_the_same_build_gives_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """For any modes and times of the files, and any order in which the system lists them."""
    built = shutil.copytree(build(), tmp_path / "built", copy_function=shutil.copyfile)
    for path in built.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1_800_000_000, 1_800_000_000))
    for path in write(tmp_path / "dist", built):
        assert path.read_bytes() == (dist / path.name).read_bytes()


def test_the_plain_template_takes_the_place_of_the_functions_zip(dist: Path, unpacked: Path) -> None:
    plain = read(dist / f"{NAME}-plain.yaml")
    assert "Transform" not in plain
    assert plain["Parameters"].items() >= CODE.items()
    resources = plain["Resources"].values()
    functions = [each["Properties"]["Code"] for each in resources if each["Type"] == "AWS::Lambda::Function"]
    assert functions == [{"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}] * 2
    with zipfile.ZipFile(dist / f"{NAME}-functions.zip") as archive:
        archive.extractall(dist / "functions")
    assert files(dist / "functions") == files(unpacked / "functions")


def test_cfn_lint_finds_nothing_in_the_plain_template_and_in_a_hostile_fleets(
    dist: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    targets = {
        "many": document(*HOSTILE, databases=["ü" * 20] * 100, schedule=NIGHTLY),
        "a-b": document("a", databases=HOSTILE),
        "a.b": document("b", schedule=NIGHTLY),
    }
    fleet = tmp_path / "fleet.json"
    assert calling(capsys)("build", str(write_fleet(tmp_path / "fleet", targets)), "--out", str(fleet)).status == 0
    line = command("cfn-lint", str(dist / f"{NAME}-plain.yaml"), str(fleet))
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_it_is_small_and_its_readme_knows_how_large_the_template_is(dist: Path, unpacked: Path) -> None:
    assert (dist / f"{NAME}.zip").stat().st_size < 4_000_000
    size = (unpacked / "template.yaml").stat().st_size
    deploy = re.search(r"aws cloudformation deploy(?:.*\\\n)*.*\n", (unpacked / "README.md").read_text())
    assert deploy
    assert ("--s3-bucket" in deploy[0]) is (size > IN_A_REQUEST)


def test_the_sbom_is_valid_and_names_what_ships_no_more_and_no_less(dist: Path) -> None:
    document = json.loads((dist / f"{NAME}.cdx.json").read_text())
    python = environment(LOCKS / "cyclonedx-py.txt") / "bin" / "python"
    lines = "\n".join(json.dumps(each) for each in (document, document | {"components": [{"name": "no type"}]}))
    done = subprocess.run([python, "-c", VALIDATE], input=lines, capture_output=True, text=True, check=False)
    assert done.stdout == "[True, False]\n", done.stderr
    components = {component["purl"]: component for component in document["components"]}
    shipped = {package.purl: package for package in packages(SHIPPED)}
    assert components.keys() == shipped.keys()
    for purl, component in components.items():
        (source,) = (reference for reference in component["externalReferences"] if reference["type"] == "distribution")
        assert (component["version"], bool(component["licenses"])) == (shipped[purl].version, True)
        assert {f"sha256:{digest['content']}" for digest in source["hashes"]} == set(shipped[purl].hashes)


def test_the_wheel_and_all_that_it_requires_are_installed_by_hash(dist: Path) -> None:
    wheel, *others = (dist / REQUIREMENTS).read_text().splitlines()
    assert wheel == f"./{WHEEL} --hash=sha256:{hashlib.sha256((dist / WHEEL).read_bytes()).hexdigest()}"
    assert "\n".join(others) + "\n" == COMMAND_LINE.read_text()
    commands = re.sub(r"\\\n *", "", (ROOT / "docs/install.md").read_text())
    (download,) = (line for line in commands.splitlines() if " -m pip download " in line)
    assert {"--require-hashes", "--only-binary"} <= set(download.split())
    assert fnmatch(REQUIREMENTS, download.split()[-1])
    # Of what was downloaded, and of nothing else.
    assert "uv tool install --python 3.13 --no-index --find-links wheels rds-snap-backup" in commands


def test_the_wheel_has_the_version_the_commands_and_nothing_that_only_lambda_runs(dist: Path) -> None:
    assert PROJECT["version"] == VERSION
    with zipfile.ZipFile(dist / WHEEL) as archive:
        names = archive.namelist()
    folders = {"/".join(Path(name).parts[:2]) for name in names if name.count("/") > 1}
    info = f"rds_snap_backup-{VERSION}.dist-info"
    assert folders - {f"{info}/licenses"} == {
        *(f"rds_snap_backup/{name}" for name in ("commvault", "core", "ledger")),
        *(f"rds_snap_backup_cli/{name}" for name in ("fleet", "report")),
    }
    assert {f"rds_snap_backup_cli/report/{name}" for name in ("page.html", "page.css", "page.js")} <= set(names)
    assert (dist / WHEEL).stat().st_size < 300_000
    assert not list((build() / "BackupFunction").glob("rds_snap_backup_cli*"))
