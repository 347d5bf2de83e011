"""The SBOM: CycloneDX's own schema accepts it, and it names what ships, no more and no less."""

import json
import subprocess
from typing import Any

import pytest

from local.locks import SHIPPED, packages
from local.sbom import sbom
from local.tools import LOCKS, environment

pytestmark = pytest.mark.xdist_group("sbom")  # one process, so that it is written once for all

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
print([validator.validate_str(line) is None for line in sys.stdin])
"""


@pytest.fixture(scope="module")
def text() -> str:
    return sbom()


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_it_is_valid(document: dict[str, Any]) -> None:
    python = environment(LOCKS / "cyclonedx-py.txt") / "bin" / "python"
    broken = document | {"components": [{"name": "without a type"}]}
    lines = f"{json.dumps(document)}\n{json.dumps(broken)}\n"
    done = subprocess.run([python, "-c", VALIDATE], input=lines, capture_output=True, text=True, check=False)
    assert done.stdout == "[True, False]\n", done.stderr
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_it_names_what_ships(document: dict[str, Any]) -> None:
    shipped = packages(SHIPPED)
    components = {component["purl"]: component for component in document["components"]}
    assert components.keys() == {package.purl for package in shipped}
    assert len(document["components"]) == len(shipped)
    for package in shipped:
        component = components[package.purl]
        assert component["version"] == package.version
        assert component["licenses"]
        (source,) = (reference for reference in component["externalReferences"] if reference["type"] == "distribution")
        assert {f"sha256:{digest['content']}" for digest in source["hashes"]} == set(package.hashes)
