"""The metadata for the AWS Serverless Application Repository, in the form that AWS documents.

AWS SAM Developer Guide, "AWS SAM template Metadata section properties". Which resource types the repository takes is
documented nowhere that a test could read.
"""

import re
import tomllib
from typing import Any

import pytest

from local.tools import ROOT
from tests.unit.documents import read
from tests.unit.template import TEMPLATE

METADATA: dict[str, Any] = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
IAM = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")


def test_it_agrees_with_the_project() -> None:
    """PEP 440's `2.0.0.dev0` is `2.0.0-dev` in the form of semantic versions."""
    assert METADATA["SemanticVersion"] == re.sub(r"\.dev\d+$", "-dev", PROJECT["version"])
    assert METADATA["Name"] == PROJECT["name"]
    assert METADATA["Description"] == PROJECT["description"]
    assert METADATA["SpdxLicenseId"] == PROJECT["license"]
    assert METADATA["LicenseUrl"] in PROJECT["license-files"]
    assert METADATA["ReadmeUrl"] == PROJECT["readme"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Name", r"[a-zA-Z0-9\-]{1,140}"),
        ("Description", r".{1,256}"),
        ("Author", r"(?=.{1,127}$)[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?"),
        ("SemanticVersion", r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?"),
    ],
)
def test_a_property_has_the_documented_form(name: str, pattern: str) -> None:
    assert re.fullmatch(pattern, METADATA[name])


def test_values_are_plain_text() -> None:
    """Intrinsic functions are not evaluated there."""
    assert all(isinstance(value, str) for name, value in METADATA.items() if name != "Labels")
    assert 0 < len(METADATA["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in METADATA["Labels"])


@pytest.mark.parametrize("name", ["LicenseUrl", "ReadmeUrl"])
def test_a_file_is_within_the_size_limit(name: str) -> None:
    assert 0 < (ROOT / METADATA[name]).stat().st_size <= 5 * 1024 * 1024


def test_a_deployment_needs_one_capability() -> None:
    """Roles and policies without names need `CAPABILITY_IAM` only."""
    of_iam = [resource["Properties"] for resource in TEMPLATE["Resources"].values() if resource["Type"] in IAM]
    assert not [properties for properties in of_iam if {"RoleName", "ManagedPolicyName"} & properties.keys()]
    assert 'capabilities = "CAPABILITY_IAM"' in read("samconfig.toml")
