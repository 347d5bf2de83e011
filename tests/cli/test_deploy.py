"""Deploying a checkout: what is asked, what is refused, what SAM gets, and what it makes of the file."""

import io
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.tools import ROOT
from rds_snap_backup_cli import deploy, questions
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli, Done
from tests.cli.wire import AwsWire
from tests.unit.template import TEMPLATE

GROUPS = {
    group["Label"]["default"]: group["Parameters"]
    for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
}
NAMES = GROUPS[questions.ESSENTIAL]
VALUES = {
    "CommvaultApiUrl": "https://commvault.example.com/commandcenter/api",
    "ClientName": "AWS prod's = 'client'",
    "InstanceName": "orders",
    "SubclientName": "default",
    "NotificationEmail": "me@example.com",
}
IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)
# SAM as the checkout pins it: keeps its arguments, and ends as the file `fails` says.
TOOLS = """
import pathlib, sys
with open("calls", "a") as file: print(*sys.argv[1:], file=file)
print("much output of SAM\\n" * 300)
sys.exit(sys.argv[2] in pathlib.Path("fails").read_text())
"""
# Deploys a template that shows the values of the essential parameters, by the real SAM.
REAL_TOOLS = """
import subprocess, sys
sys.path.insert(1, {root!r})
if sys.argv[2] == "deploy":
    line = [{sam!r}, *sys.argv[2:], "--template-file", "template.json"]
    sys.exit(subprocess.call(line, stdout=sys.stderr))
"""


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, wire: AwsWire, tmp_path: Path) -> Path:
    """A checkout whose SAM does nothing, and credentials of an account."""
    for name in ("samconfig.toml", "template.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "tools.py").write_text(TOOLS)
    (tmp_path / "fails").touch()
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    wire.answers["GetCallerIdentity"] = lambda _: (200, IDENTITY.format("111122223333"))
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, entries: dict[str, str], *skipped: str) -> None:
    """Enter these answers, and nothing at what else is asked; several tries are separated by line breaks."""
    asked = [name for name in NAMES if name not in skipped]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{entries.get(name, '')}\n" for name in asked)))


def written(folder: Path, config: str = "local") -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / f"samconfig.{config}.toml").read_text())
    return found


def parameters(folder: Path, config: str = "local") -> dict[str, Any]:
    found: dict[str, Any] = written(folder, config)["default"]["deploy"]["parameters"]
    return found


def calls(folder: Path) -> list[str]:
    file = folder / "calls"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def deployed(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """A stack that was deployed once, as `--config prod`."""
    typed(monkeypatch, VALUES)
    return cli("deploy", "prod", "--config", "prod", "--region", "eu-west-1")


def test_the_first_deployment_asks_builds_and_deploys(checkout: Path, deployed: Done) -> None:
    assert deployed.status == Exit.OK
    line, *_ = deployed.err.splitlines()
    assert line == "Account 111122223333, region eu-west-1, stack prod (samconfig.prod.toml)"
    assert "much output" not in deployed.out.partition("Deployed")[0]
    assert deployed.out.endswith(
        "Next: rds-snap-backup token prod --region eu-west-1, then rds-snap-backup check prod --region eu-west-1\n"
    )
    assert calls(checkout) == ["sam build", "sam deploy --config-file samconfig.prod.toml --region eu-west-1"]
    found, project = parameters(checkout, "prod"), tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = found.pop("parameter_overrides")
    assert found == project["default"]["deploy"]["parameters"] | {"stack_name": "prod", "region": "eu-west-1"}
    assert written(checkout, "prod")["account"] == "111122223333"
    defaults = {name: TEMPLATE["Parameters"][name].get("Default") for name in set(NAMES) - set(VALUES)}
    assert overrides == defaults | VALUES


def test_the_next_deployment_does_not_ask(
    cli: Cli, checkout: Path, deployed: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = written(checkout, "prod")
    assert cli("deploy", "--config", "prod").status == Exit.OK
    assert written(checkout, "prod") == before
    assert calls(checkout)[2:] == ["sam build", "sam deploy --config-file samconfig.prod.toml --region eu-west-1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("other",), "deploys with the stack prod, and other was given. Keep another stack in a file of another name"),
        (("--region", "eu-west-2"), "deploys with the region eu-west-1, and eu-west-2 was given."),
    ],
)
def test_another_stack_or_region_than_the_files_is_refused(
    cli: Cli, checkout: Path, deployed: Done, arguments: tuple[str, ...], said: str
) -> None:
    done = cli("deploy", *arguments, "--config", "prod")
    assert (done.status, said in done.line) == (Exit.COULD_NOT_RUN, True), done.line
    assert len(calls(checkout)) == 2


def test_credentials_of_another_account_are_refused(cli: Cli, checkout: Path, wire: AwsWire, deployed: Done) -> None:
    wire.answers["GetCallerIdentity"] = lambda _: (200, IDENTITY.format("444455556666"))
    line = cli("deploy", "--config", "prod").line
    assert "deploys to account 111122223333, and these credentials are of 444455556666." in line
    wire.answers["GetCallerIdentity"] = lambda _: (
        403,
        "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>",
    )
    assert "Sign in again" in cli("deploy", "--config", "prod").line
    assert len(calls(checkout)) == 2


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("--config", "../x"), "", "is not a valid name of a configuration"),
        (("my_stack",), None, "is not a valid name of a stack"),
        ((), "region = ", "is not as this command writes it"),
        ((), "[default]\n", "is not as this command writes it"),
        (
            (),
            "[default.deploy.parameters.parameter_overrides]\nScheduleTimezone = 'Mars'\n",
            "'Mars' is not a time zone",
        ),
        (
            (),
            "[default.deploy.parameters.parameter_overrides]\nScheduleExpression = 'cron(0 25 * * ? *)'\n",
            "'25' is not valid for hours",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    cli: Cli, checkout: Path, arguments: tuple[str, ...], text: str | None, said: str
) -> None:
    if text is not None:
        (checkout / "samconfig.local.toml").write_text(text)
    done = cli("deploy", *arguments)
    assert (done.status, said in done.line) == (Exit.COULD_NOT_RUN, True), done.line
    assert calls(checkout) == []


# ---- The questions


def test_an_invalid_answer_is_asked_for_again(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = {
        "CommvaultApiUrl": f"http://commvault.example.com\n\n{VALUES['CommvaultApiUrl']}",
        "ClientName": '"\nprod',
        "InstanceName": "\norders",
        "ScheduleExpression": "cron(0 3 * * *)\ncron(0 3 * * ? *)",
        "ScheduleTimezone": "Berlin\nEurope/Berlin",
    }
    typed(monkeypatch, VALUES | tries)
    printed = " ".join(cli("deploy").err.split())
    for name in ("CommvaultApiUrl", "ClientName"):
        assert f"{name} {TEMPLATE['Parameters'][name]['ConstraintDescription']}" in printed
    assert "InstanceName must not be empty, and must" in printed
    assert "has 5 fields; cron needs 6" in printed
    assert "'Berlin' is not a time zone" in printed
    assert parameters(checkout)["parameter_overrides"]["ClientName"] == "prod"


def test_unfinished_answers_are_not_written(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{VALUES['CommvaultApiUrl']}\n"))
    done = cli("deploy")
    assert (done.status, done.err.splitlines()[-1]) == (
        Exit.COULD_NOT_RUN,
        "rds-snap-backup: not all questions were answered. Nothing was written.",
    )
    assert not (checkout / "samconfig.local.toml").exists()


def test_sam_deploys_the_answers(cli: Cli, checkout: Path, aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from local.tools import command

    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {name: {"Type": "String"} for name in NAMES},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": {"Ref": name}} for name in NAMES},
    }
    (checkout / "template.json").write_text(json.dumps(template))
    (checkout / "local" / "tools.py").write_text(REAL_TOOLS.format(root=str(ROOT), sam=command("sam")[0]))
    project = (checkout / "samconfig.toml").read_text().replace("confirm_changeset = true", "confirm_changeset = false")
    (checkout / "samconfig.toml").write_text(project)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("SAM_CLI_TELEMETRY", "0")
    typed(monkeypatch, VALUES)
    assert cli("deploy", "answered", "--region", "us-east-1").status == Exit.OK
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="answered")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs == parameters(checkout)["parameter_overrides"]


@pytest.mark.parametrize(
    ("step", "said"), [("build", "the functions were not built."), ("deploy", "SAM did not deploy")]
)
def test_a_failure_of_sam_shows_its_output(cli: Cli, checkout: Path, deployed: Done, step: str, said: str) -> None:
    (checkout / "fails").write_text(step)
    done = cli("deploy", "--config", "prod")
    assert (done.status, said in done.err) == (Exit.COULD_NOT_RUN, True), done.err
    assert ("much output of SAM" in done.err) is (step == "build")
    assert len(done.err.splitlines()) < 30


def test_a_skipped_time_and_an_empty_address_are_warnings(
    cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "NotificationEmail": "off",
        "ScheduleExpression": "cron(30 2 * * ? *)",
        "ScheduleTimezone": "Europe/Berlin",
    }
    typed(monkeypatch, VALUES | values, "NotificationLevel")
    done = cli("deploy")
    assert done.status == Exit.OK
    first, second = [line for line in done.err.splitlines() if line.startswith("Warning: ")]
    assert "nobody gets a message" in first
    assert "ScheduleExpression: daylight saving skips 02:" in second


def test_without_a_client_nothing_else_is_asked_of_the_default_target(
    cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, VALUES | {"ClientName": ""}, *questions.USED_WITH_CLIENT)
    assert cli("deploy").status == Exit.OK
    overrides = parameters(checkout)["parameter_overrides"]
    assert [overrides[name] for name in ("ClientName", "InstanceName", "SubclientName")] == [""] * 3
