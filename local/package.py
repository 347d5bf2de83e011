"""`make package` writes to `dist/` a zip that the AWS CLI deploys, its SBOM, the command line's wheel, and the checksums.

The zip needs no other tools. It holds the package that all functions share, as `sam build` makes it, and the template that
points to it. The same inputs give the same bytes, where the zlib that compresses them is the same.
"""

import hashlib
import io
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local import sbom
from local.sam import build
from local.tools import ROOT, uv

FUNCTIONS = "functions/"
# The folder that holds the project of the wheel.
CLI = ROOT / "src"
# As the build has it, for the same reason: it tells nothing.
BEGIN = (2000, 1, 1, 0, 0, 0)


class PackageError(RuntimeError):
    """What was built cannot be packaged; the message says why."""


def write(folder: Path, built: Path | None = None) -> list[Path]:
    """Write the zip of this version, its SBOM, the wheel and the checksums to `folder`; return their paths in this order.

    It is made of `built`, a folder that `sam build` has left, or of a build that it runs.
    """
    listing = sbom.write(folder)
    name = listing.name.removesuffix(sbom.SUFFIX)
    files = contents(built or build()) | {listing.name: listing.read_bytes()}
    package = folder / f"{name}.zip"
    package.write_bytes(zipped({f"{name}/{path}": data for path, data in files.items()}))
    written = [package, listing, wheel(folder)]
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
    return folder / f"rds_snap_backup-{version}-py3-none-any.whl"


def contents(built: Path) -> dict[str, bytes]:
    """Return what the zip holds besides the SBOM, by path."""
    template: dict[str, Any] = yaml.safe_load((built / "template.yaml").read_text())
    functions = {name: one for name, one in template["Resources"].items() if one["Type"] == "AWS::Serverless::Function"}
    packages = {name: files(built / one["Properties"]["CodeUri"]) for name, one in functions.items()}
    first, code = next(iter(packages.items()))
    if differing := [name for name, one in packages.items() if one != code]:
        raise PackageError(
            f"{', '.join(differing)} and {first} were not built alike, and the package has one folder for all."
        )
    return {
        "README.md": (ROOT / "docs" / "install.md").read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "template.yaml": pointed(template, functions).encode(),
        **{f"{FUNCTIONS}{path}": data for path, data in code.items()},
    }


def pointed(template: dict[str, Any], functions: Mapping[str, dict[str, Any]]) -> str:
    """Return the text of `template` with its paths as they are in the zip, and with nothing left to build."""
    # The AWS CLI would take a path in Globals for none, and upload the folder that it runs in.
    del template["Globals"]["Function"]["CodeUri"]
    for function in functions.values():
        function["Properties"]["CodeUri"] = FUNCTIONS
        del function["Metadata"]["BuildMethod"]
    template["Metadata"]["AWS::ServerlessRepo::Application"] |= {"LicenseUrl": "LICENSE", "ReadmeUrl": "README.md"}
    text: str = yaml.safe_dump(template, sort_keys=False, width=120)
    return text


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
