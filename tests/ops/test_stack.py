"""The account and region in which a stack is found."""

from pathlib import Path

import pytest

from ops import stack
from ops.stack import CannotRun, DeployedStack, saved_region
from tests.ops.wire import AwsWire


def region_of(wire: AwsWire) -> str:
    """Return the region that the call was signed for."""
    ((_, _, authorization),) = wire.calls
    return authorization.split("/")[2]


@pytest.fixture
def config(wire: AwsWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell without a region, a profile that has one, and the samconfig.toml of another."""
    wire.stack(Version="1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    config, samconfig = tmp_path / "config", tmp_path / "samconfig.toml"
    config.write_text(
        "[profile frankfurt]\nregion = eu-central-1\naws_access_key_id = other\naws_secret_access_key = other\n"
    )
    samconfig.write_text('[default.deploy.parameters]\nregion = "eu-west-1"\n')
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setattr(stack, "SAMCONFIG", samconfig)
    return samconfig


def test_the_region_that_is_named_comes_first(wire: AwsWire, config: Path) -> None:
    assert DeployedStack.find("prod", "ap-south-1", "frankfurt").outputs == {"Version": "1"}
    assert region_of(wire) == "ap-south-1"


def test_then_the_shells_and_the_profiles(wire: AwsWire, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DeployedStack.find("prod", None, "frankfurt")
    assert region_of(wire) == "eu-central-1"
    assert "Credential=other/" in wire.calls.pop()[2]
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    DeployedStack.find("prod")
    assert region_of(wire) == "us-west-2"


def test_then_the_one_that_sam_saved(wire: AwsWire, config: Path) -> None:
    DeployedStack.find("prod")
    assert region_of(wire) == "eu-west-1"


def test_a_saved_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "samconfig.toml").write_text("region = ")
    with pytest.raises(CannotRun, match=r"samconfig\.toml is not TOML: .*name the region"):
        saved_region(tmp_path / "samconfig.toml")


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ('[default.global.parameters]\nregion = "eu-west-2"', "eu-west-2"),
        ('[default.global.parameters]\nregion = "a"\n[default.deploy.parameters]\nregion = "eu-west-3"', "eu-west-3"),
        ('[default.deploy.parameters]\nstack_name = "prod"', None),
        ("", None),
    ],
)
def test_sam_saves_a_region_for_deploy_or_for_all_commands(tmp_path: Path, text: str, region: str | None) -> None:
    assert saved_region(tmp_path / "missing.toml") is None
    (tmp_path / "samconfig.toml").write_text(text)
    assert saved_region(tmp_path / "samconfig.toml") == region
