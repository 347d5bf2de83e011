"""`make package` writes the files of a release to `dist/`, with their checksums.

- `NAME.zip`: the functions, their template, license and SBOM; the AWS CLI deploys it.
- `NAME-plain.yaml`, `NAME-functions.zip`: the same for Terraform, CDK and others. The plain template has SAM's transform
  applied, and parameters that name the place of the functions' zip in S3.
- the SBOM, the wheel of the command line, and the hashed requirements of its installation, the wheel's hash included.

The same inputs give the same bytes, where the zlib that compresses them is the same.
"""

import copy
import hashlib
import io
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local import sbom
from local.locks import COMMAND_LINE
from local.sam import build
from local.tools import LOCKS, ROOT, environment, uv

FUNCTIONS = "functions/"
# The folder that holds the project of the wheel.
CLI = ROOT / "src"
WHEEL_SUFFIX = "-py3-none-any.whl"
# As the build has it, for the same reason: it tells nothing.
BEGIN = (2000, 1, 1, 0, 0, 0)
# What Lambda reads the functions from, as parameters of the plain template.
CODE = {
    "CodeBucket": {"Type": "String", "Description": "Bucket in the stack's region that holds the functions' zip"},
    "CodeKey": {
        "Type": "String",
        "Description": "Key of the functions' zip in that bucket; a new version needs a new key",
    },
}
# Without values of parameters: their references stay references.
TRANSFORM = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
json.dump(Translator({}, Parser()).translate(json.load(sys.stdin), {}), sys.stdout)
"""


class PackageError(RuntimeError):
    """What was built cannot be packaged; the message says why."""


def write(folder: Path, built: Path | None = None) -> list[Path]:
    """Write the files of this version to `folder`; return their paths, the checksums' last.

    They are made of `built`, a folder that `sam build` has left, or of a build that it runs.
    """
    listing = sbom.write(folder)
    name = listing.name.removesuffix(sbom.SUFFIX)
    built = built or build()
    template = yaml.load((built / "template.yaml").read_text(), Loader=yaml.CSafeLoader)
    code = shared(built, template)
    package = {
        "README.md": (ROOT / "docs" / "install.md").read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "template.yaml": dumped(pointed(template)),
        "member.yaml": (ROOT / "member.yaml").read_bytes(),
        listing.name: listing.read_bytes(),
        **{f"{FUNCTIONS}{path}": data for path, data in code.items()},
    }
    made = {
        f"{name}.zip": zipped({f"{name}/{path}": data for path, data in package.items()}),
        f"{name}-plain.yaml": dumped(plain(template)),
        f"{name}-functions.zip": zipped(code),
    }
    for path, data in made.items():
        (folder / path).write_bytes(data)
    written = [*(folder / path for path in made), listing, program := wheel(folder), requirements(program)]
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written))
    return [*written, sums]


def wheel(folder: Path) -> Path:
    """Build the wheel of the command line into `folder`; return its path. Fetches nothing."""
    options = ["--offline", "--no-create-gitignore", "--python", sys.executable, "--out-dir", str(folder)]
    done = subprocess.run([uv(), "build", "--wheel", *options, str(CLI)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"The wheel was not built:\n{done.stderr}")
    version = tomllib.loads((CLI / "pyproject.toml").read_text())["project"]["version"]
    return folder / f"rds_snap_backup-{version}{WHEEL_SUFFIX}"


def requirements(program: Path) -> Path:
    """Write the requirements file next to the wheel: everything that is installed, by hash, the wheel included."""
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    path = program.with_name(f"{program.name.removesuffix(WHEEL_SUFFIX)}-requirements.txt")
    path.write_text(f"./{program.name} --hash=sha256:{digest}\n{COMMAND_LINE.read_text()}")
    return path


def shared(built: Path, template: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the functions, which share one package; raise `PackageError` if they differ."""
    packages = {
        name: files(built / function["Properties"]["CodeUri"]) for name, function in functions(template).items()
    }
    first, code = next(iter(packages.items()))
    if differing := [name for name, package in packages.items() if package != code]:
        raise PackageError(
            f"{', '.join(differing)} and {first} were not built alike, and the package has one folder for all."
        )
    return code


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return SAM's functions in the template, by logical ID."""
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def pointed(template: dict[str, Any]) -> dict[str, Any]:
    """Return `template` with its paths as they are in the zip, and with nothing left to build."""
    template = with_code(template, FUNCTIONS)
    template["Metadata"]["AWS::ServerlessRepo::Application"] |= {"LicenseUrl": "LICENSE", "ReadmeUrl": "README.md"}
    return template


def plain(template: dict[str, Any]) -> dict[str, Any]:
    """Return `template` as CloudFormation's own, with parameters for the place of the functions' zip."""
    template = with_code(template, {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": "CodeKey"}})
    template["Parameters"] |= CODE
    del template["Metadata"]["AWS::ServerlessRepo::Application"]
    done = subprocess.run(
        [environment(LOCKS / "sam.txt") / "bin" / "python", "-c", TRANSFORM],
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        input=json.dumps(template),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackageError(f"SAM's transform failed:\n{done.stderr}")
    transformed: dict[str, Any] = json.loads(done.stdout)
    return transformed


def with_code(template: dict[str, Any], place: str | dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `template` whose functions have their code at `place`."""
    template = copy.deepcopy(template)
    # The AWS CLI would take a path in Globals for none, and upload the folder that it runs in.
    del template["Globals"]["Function"]["CodeUri"]
    for function in functions(template).values():
        function["Properties"]["CodeUri"] = place
        del function["Metadata"]["BuildMethod"]
    return template


def dumped(template: dict[str, Any]) -> bytes:
    """Return the text of a template."""
    return yaml.safe_dump(template, sort_keys=False, width=120, encoding="utf-8")


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, by its path from there."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """Return a zip of files by their paths, readable by everybody, sorted by path and without times."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in sorted(parts.items()):
            entry = zipfile.ZipInfo(path, BEGIN)
            entry.create_system = 3  # Unix, on every system: programs that unzip it then keep the mode
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=9)
    return target.getvalue()


if __name__ == "__main__":
    for path in write(ROOT / "dist"):
        print(path)
