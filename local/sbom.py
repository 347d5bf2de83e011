"""What the package consists of, as a CycloneDX SBOM; `make package` writes it to `dist/`.

CycloneDX's own tool describes an environment that holds what ships; the hashes are those of the lock. The same inputs give
the same bytes.
"""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from local.locks import SHIPPED, Package, packages
from local.tools import ROOT, command, environment

SUFFIX = ".cdx.json"


def write(folder: Path) -> Path:
    """Write the SBOM of this version to `folder`; return its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    path = folder / f"{project['name']}-{project['version']}{SUFFIX}"
    folder.mkdir(exist_ok=True)
    path.write_text(sbom())
    return path


def sbom(lock: Path = SHIPPED) -> str:
    """Return the SBOM of the project with the packages of `lock`."""
    described = ["environment", str(environment(lock)), "--pyproject", str(ROOT / "pyproject.toml")]
    # Validating takes five times as long as writing; a test validates what is written here.
    form = ["--mc-type", "application", "--sv", "1.6", "--output-reproducible", "--no-validate"]
    done = subprocess.run(command("cyclonedx-py", *described, *form), stdout=subprocess.PIPE, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    locked = {package.purl: package for package in packages(lock)}
    for component in document["components"]:
        component.setdefault("externalReferences", []).append(distribution(locked[component["purl"]]))
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def distribution(package: Package) -> dict[str, Any]:
    """Return where the package comes from, and the hashes of the files that the build accepts."""
    hashes = [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")} for digest in package.hashes]
    return {
        "type": "distribution",
        "url": f"https://pypi.org/project/{package.name}/{package.version}/",
        "hashes": hashes,
    }
