"""The metadata for the AWS Serverless Application Repository, in the form that AWS documents.

AWS SAM Developer Guide, "AWS SAM template Metadata section properties". Which resource types the repository takes is
documented nowhere that a test could read.
"""

import re
import tomllib
from typing import Any

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


def test_a_deployment_needs_one_capability() -> None:
    """Roles and policies without names need `CAPABILITY_IAM` only."""
    of_iam = [resource["Properties"] for resource in TEMPLATE["Resources"].values() if resource["Type"] in IAM]
    assert not [properties for properties in of_iam if {"RoleName", "ManagedPolicyName"} & properties.keys()]
    assert 'capabilities = "CAPABILITY_IAM"' in read("samconfig.toml")
