"""The questions of a first deployment, and the file that they become, as the real SAM CLI reads it."""

import io
import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.tools import ROOT, command
from ops import answers
from ops.command import Exit
from tests.unit.template import TEMPLATE

GROUPS = {
    one["Label"]["default"]: one["Parameters"]
    for one in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
}
REQUIRED = {name for name, one in TEMPLATE["Parameters"].items() if "Default" not in one}
VALUES = {
    "stack_name": "prod",
    "region": "eu-west-1",
    "CommvaultApiUrl": "https://commvault.example.com/commandcenter/api",
    "ClientName": "AWS prod's = 'client'",
    "InstanceName": "orders",
    "SubclientName": "default",
    "ScheduleExpression": "cron(0 3 * * ? *)",
    "NotificationEmail": "",
}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A shell without a region; return the file to write."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return tmp_path / "samconfig.local.toml"


def typed(monkeypatch: pytest.MonkeyPatch, **entries: str) -> None:
    """Enter these answers, and nothing at what else is asked; several tries are separated by line breaks."""
    names = ["stack_name", "region", *GROUPS[answers.ESSENTIAL]]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{entries.get(name, '')}\n" for name in names)))


def parameters(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text())["default"]["deploy"]["parameters"]
    return found


def test_what_has_no_default_is_asked() -> None:
    assert set(GROUPS[answers.ESSENTIAL]) >= REQUIRED


def test_without_a_client_nothing_else_is_asked_of_the_default_target(
    monkeypatch: pytest.MonkeyPatch, shell: Path
) -> None:
    asked = ["stack_name", "region", *GROUPS[answers.ESSENTIAL]]
    names = [name for name in asked if name not in answers.USED_WITH_CLIENT]
    entries = VALUES | {"ClientName": "", "NotificationEmail": "off"}
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{entries.get(name, '')}\n" for name in names)))
    assert answers.main([str(shell)]) == Exit.OK
    overrides = parameters(shell)["parameter_overrides"]
    assert [overrides[name] for name in ("ClientName", "InstanceName", "SubclientName")] == [""] * 3
    assert overrides["NotificationEmail"] == "off"


def test_the_answers_are_written_beside_the_projects_defaults(monkeypatch: pytest.MonkeyPatch, shell: Path) -> None:
    typed(monkeypatch, **VALUES)
    assert answers.main([str(shell)]) == Exit.OK
    written, project = parameters(shell), parameters(ROOT / "samconfig.toml")
    overrides = written.pop("parameter_overrides")
    assert written == project | {"stack_name": "prod", "region": "eu-west-1"}
    assert set(overrides) == set(GROUPS[answers.ESSENTIAL])
    assert overrides["ClientName"] == VALUES["ClientName"]
    defaults = {name: TEMPLATE["Parameters"][name].get("Default") for name in set(overrides) - set(VALUES)}
    assert {name: overrides[name] for name in defaults} == defaults
    assert tomllib.loads(shell.read_text())["version"] == 0.1


def test_an_answer_that_the_template_would_refuse_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, shell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = {
        "CommvaultApiUrl": f"http://commvault.example.com\n\n{VALUES['CommvaultApiUrl']}",
        "ClientName": '"\nprod',
        "InstanceName": "\norders",
        "region": "\nnowhere\neu-west-1",
        "stack_name": "my stack\nprod",
    }
    typed(monkeypatch, **VALUES | tries)
    assert answers.main([str(shell)]) == Exit.OK
    printed = " ".join(capsys.readouterr().out.split())
    for name in ("CommvaultApiUrl", "ClientName"):
        assert f"{name} {TEMPLATE['Parameters'][name]['ConstraintDescription']}" in printed
    assert "InstanceName must not be empty, and must" in printed
    assert printed.count("region must be a region's name") == 2
    assert "stack_name must be" in printed
    assert parameters(shell)["parameter_overrides"]["ClientName"] == "prod"


def test_the_sdks_own_region_is_offered(
    monkeypatch: pytest.MonkeyPatch, shell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    typed(monkeypatch, **VALUES | {"region": ""})
    assert answers.main([str(shell)]) == Exit.OK
    assert parameters(shell)["region"] == "eu-central-1"
    assert "(eu-central-1)" in capsys.readouterr().out


def test_what_is_not_answered_to_its_end_is_not_written(
    monkeypatch: pytest.MonkeyPatch, shell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("prod\n"))
    assert answers.main([str(shell)]) == Exit.COULD_NOT_RUN
    assert "nothing was written" in capsys.readouterr().err
    assert not shell.exists()


def test_sam_deploys_what_was_answered(monkeypatch: pytest.MonkeyPatch, aws: Emulator, shell: Path) -> None:
    """On a template that only shows the values of the essential parameters."""
    typed(monkeypatch, **VALUES | {"stack_name": "answered", "region": "us-east-1"})
    assert answers.main([str(shell)]) == Exit.OK
    names = GROUPS[answers.ESSENTIAL]
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {name: {"Type": "String"} for name in names},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": {"Ref": name}} for name in names},
    }
    (shell.parent / "template.json").write_text(json.dumps(template))
    subprocess.run(
        command("sam", "deploy", "--template-file", "template.json", "--config-file", shell.name),
        cwd=shell.parent,
        env=os.environ | {"AWS_ENDPOINT_URL": aws.endpoint_url, "SAM_CLI_TELEMETRY": "0"},
        input=b"y\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="answered")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert outputs == parameters(shell)["parameter_overrides"]
