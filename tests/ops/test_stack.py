"""The account and region in which a stack is found."""

from pathlib import Path

import pytest

from ops import stack
from ops.stack import CannotRun, DeployedStack, SavedRegion, saved_region
from tests.ops.wire import AwsWire

SAVED = '[default.deploy.parameters]\nstack_name = "prod"\nregion = "eu-west-1"\n'


def region_of(wire: AwsWire) -> str:
    """Return the region that the call was signed for."""
    ((_, _, authorization),) = wire.calls
    return authorization.split("/")[2]


@pytest.fixture
def samconfigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The paths of two configuration files, of which there is none."""
    paths = (tmp_path / "samconfig.local.toml", tmp_path / "samconfig.toml")
    monkeypatch.setattr(stack, "SAMCONFIGS", paths)
    return paths


@pytest.fixture
def local(wire: AwsWire, tmp_path: Path, samconfigs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell without a region, two profiles that have one, and the configuration of a stack in another."""
    wire.stack(Version="1")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    keys = "aws_access_key_id = other\naws_secret_access_key = other\n"
    config.write_text(f"[default]\nregion = ap-northeast-1\n{keys}[profile frankfurt]\nregion = eu-central-1\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    samconfigs[0].write_text(SAVED)
    return samconfigs[0]


@pytest.mark.parametrize(
    ("variables", "arguments", "region"),
    [
        ({"AWS_REGION": "us-west-2"}, ("prod", "ap-south-1", "frankfurt"), "ap-south-1"),
        ({"AWS_REGION": "us-west-2"}, ("prod", None, "frankfurt"), "us-west-2"),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, ("prod", None, "frankfurt"), "us-west-2"),
        ({}, ("prod", None, "frankfurt"), "eu-west-1"),
        ({}, ("other", None, "frankfurt"), "eu-central-1"),
        ({}, ("other", None, None), "ap-northeast-1"),
    ],
)
@pytest.mark.usefixtures("local")
def test_the_region_is_the_first_of(  # the one given, the environment's, the deployment's, the profile's
    wire: AwsWire,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: tuple[str, str | None, str | None],
    region: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert DeployedStack.find(*arguments).outputs == {"Version": "1"}
    assert region_of(wire) == region


def test_a_stack_that_is_not_there_names_the_file_that_the_region_is_from(wire: AwsWire, local: Path) -> None:
    wire.no_stack(400, "ValidationError", "Stack with id prod does not exist")
    with pytest.raises(CannotRun, match=r"no such stack in eu-west-1 \(the region in samconfig\.local\.toml\)\. Check"):
        DeployedStack.find("prod")


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ('[default.global.parameters]\nregion = "eu-west-2"\nstack_name = "prod"', "eu-west-2"),
        ('[default.global.parameters]\nregion = "a"\nstack_name = "b"\n' + SAVED, "eu-west-1"),
        ('[default.deploy.parameters]\nregion = "eu-west-3"', "eu-west-3"),
        ('[default.deploy.parameters]\nregion = "eu-west-3"\n' + SAVED.replace("default", "other"), "eu-west-1"),
        (
            SAVED.replace("prod", "test") + SAVED.replace("default", "other").replace("eu-west-1", "sa-east-1"),
            "sa-east-1",
        ),
        (SAVED.replace("prod", "test"), None),
        ('[default.deploy.parameters]\nstack_name = "prod"', None),
        (SAVED.replace("eu-west-1", ""), None),
        ("version = 0.1\n[default]\ndeploy = 1\n[other]\nglobal = []", None),
        ("", None),
    ],
)
def test_the_region_of_each_environment_is_that_of_its_stack(
    samconfigs: tuple[Path, Path], text: str, region: str | None
) -> None:
    samconfigs[1].write_text(text)
    assert saved_region("prod") == (SavedRegion(region, "samconfig.toml") if region else None)


def test_what_a_deployment_has_saved_comes_before_the_projects_defaults(samconfigs: tuple[Path, Path]) -> None:
    samconfigs[1].write_text(SAVED)
    samconfigs[0].write_text(SAVED.replace("eu-west-1", "eu-west-2"))
    assert saved_region("prod") == SavedRegion("eu-west-2", "samconfig.local.toml")


def test_a_stack_in_several_regions_is_not_guessed(samconfigs: tuple[Path, Path]) -> None:
    samconfigs[0].write_text(SAVED + SAVED.replace("default", "us").replace("eu-west-1", "us-east-1"))
    with pytest.raises(
        CannotRun, match=r"samconfig\.local\.toml has it in eu-west-1 and us-east-1\. Name one: --region"
    ):
        saved_region("prod")


def test_a_saved_configuration_that_cannot_be_read_is_named(samconfigs: tuple[Path, Path]) -> None:
    samconfigs[0].write_text("region = ")
    with pytest.raises(CannotRun, match=r"samconfig\.local\.toml is not TOML: .*name the region"):
        saved_region("prod")
