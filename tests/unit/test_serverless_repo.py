"""The metadata for the AWS Serverless Application Repository, held against what AWS documents.

AWS SAM Developer Guide, "AWS SAM template Metadata section properties"; AWS Serverless Application Repository Developer
Guide, "Acknowledging application capabilities". Which resource types it takes today is documented nowhere that a test
could ask; `docs/operations.md` says so.
"""

import re
import tomllib
from typing import Any

import pytest

from local.tools import ROOT
from tests.unit.documents import read, section
from tests.unit.template import TEMPLATE

METADATA: dict[str, Any] = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
PROPERTIES = {
    *("Name", "Description", "Author", "SpdxLicenseId", "LicenseUrl", "ReadmeUrl", "Labels", "HomePageUrl"),
    *("SemanticVersion", "SourceCodeUrl"),
}
LARGEST = 5 * 1024 * 1024
# Where the repository hides an application from its default search, and asks for a capability.
IAM = {"AWS::IAM::Group", "AWS::IAM::InstanceProfile", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}


def test_its_version_is_the_projects() -> None:
    assert METADATA["SemanticVersion"] == PROJECT["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", METADATA["SemanticVersion"])


def test_it_says_what_the_project_says() -> None:
    assert METADATA["Name"] == PROJECT["name"]
    assert METADATA["Description"] == PROJECT["description"]
    assert METADATA["SpdxLicenseId"] == PROJECT["license"]
    assert METADATA["LicenseUrl"] in PROJECT["license-files"]
    assert METADATA["ReadmeUrl"] == PROJECT["readme"]


def test_it_has_known_properties_of_plain_text() -> None:
    """Intrinsic functions are not evaluated there."""
    assert METADATA.keys() <= PROPERTIES
    assert all(isinstance(one, str) for name, one in METADATA.items() if name != "Labels")
    assert all(isinstance(label, str) for label in METADATA["Labels"])


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Name", r"[a-zA-Z0-9\-]{1,140}"),
        ("Description", r".{1,256}"),
        ("Author", r"(?=.{1,127}$)[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?"),
    ],
)
def test_a_required_property_has_the_form_that_is_asked_for(name: str, pattern: str) -> None:
    assert re.fullmatch(pattern, METADATA[name])


def test_the_labels_have_the_form_that_is_asked_for() -> None:
    assert 0 < len(METADATA["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in METADATA["Labels"])


@pytest.mark.parametrize("name", ["LicenseUrl", "ReadmeUrl"])
def test_a_file_is_there_and_not_too_large(name: str) -> None:
    assert 0 < (ROOT / METADATA[name]).stat().st_size <= LARGEST


def test_the_capabilities_are_those_that_the_documents_name() -> None:
    """Roles without names of their own need `CAPABILITY_IAM`, and nothing here needs more to be deployed."""
    of_iam = {name: one for name, one in TEMPLATE["Resources"].items() if one["Type"] in IAM}
    assert of_iam
    named = {"RoleName", "ManagedPolicyName", "GroupName", "InstanceProfileName"}
    assert [name for name, one in of_iam.items() if named & one["Properties"].keys()] == []
    assert TEMPLATE["Transform"] == "AWS::Serverless-2016-10-31"
    assert not [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::Serverless::Application"]
    assert 'capabilities = "CAPABILITY_IAM"' in read("samconfig.toml")
    assert "--capabilities CAPABILITY_IAM --parameter-overrides" in read("docs/install.md")
    published = section("docs/operations.md", "The Serverless Application Repository")
    assert "CAPABILITY_IAM" in published
    assert "CAPABILITY_RESOURCE_POLICY" in published
