"""Deploying a checkout: what is asked, what is refused, what SAM gets, and what it makes of the file."""

import io
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.tools import ROOT, command
from rds_snap_backup_cli import deploy, questions
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli, Done
from tests.cli.wire import AwsWire
from tests.unit.template import TEMPLATE

GROUPS = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
(NAMES,) = (group["Parameters"] for group in GROUPS if group["Label"]["default"] == questions.ESSENTIAL)
VALUES = {
    "CommvaultApiUrl": "https://commvault.example.com/commandcenter/api",
    "ClientName": "AWS prod's = 'client'",
    "InstanceName": "orders",
    "SubclientName": "default",
    "NotificationEmail": "me@example.com",
}
DEPLOY = "sam deploy --config-file samconfig.prod.toml --region eu-west-1"
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
    for name in ("fails", "calls"):
        (tmp_path / name).touch()
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    wire.result("GetCallerIdentity", "<Account>111122223333</Account>")
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, entries: dict[str, str], *skipped: str) -> None:
    """Enter these answers, and nothing at what else is asked; several tries are separated by line breaks."""
    asked = [name for name in NAMES if name not in skipped]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{entries.get(name, '')}\n" for name in asked)))


def written(folder: Path, config: str = "local") -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return what is kept of a deployment: the account, SAM's settings, and the stack's parameters."""
    found = tomllib.loads((folder / f"samconfig.{config}.toml").read_text())
    settings = found["default"]["deploy"]["parameters"]
    return found["account"], settings, settings.pop("parameter_overrides")


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


@pytest.fixture
def deployed(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """A stack that was deployed once, as `--config prod`."""
    typed(monkeypatch, VALUES)
    return cli("deploy", "prod", "--config", "prod", "--region", "eu-west-1")


def test_the_first_deployment_asks_builds_and_deploys_and_the_next_does_not_ask(
    cli: Cli, checkout: Path, deployed: Done
) -> None:
    assert deployed.status == Exit.OK
    line, *_ = deployed.err.splitlines()
    assert line == "Account 111122223333, region eu-west-1, stack prod (samconfig.prod.toml)"
    assert "much output" not in deployed.out.partition("Deployed")[0]
    token, check = (f"rds-snap-backup {name} prod --region eu-west-1" for name in ("token", "check"))
    assert deployed.out.endswith(f"Next: {token}, then {check}\n")
    assert calls(checkout) == ["sam build", DEPLOY]
    account, settings, overrides = written(checkout, "prod")
    project = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert (account, settings) == ("111122223333", project | {"stack_name": "prod", "region": "eu-west-1"})
    assert overrides == {name: TEMPLATE["Parameters"][name].get("Default") for name in NAMES} | VALUES
    assert cli("deploy", "--config", "prod").status == Exit.OK  # all that was typed is read
    assert (written(checkout, "prod")[2], calls(checkout)[2:]) == (overrides, ["sam build", DEPLOY])


@pytest.mark.parametrize(
    ("arguments", "account", "said"),
    [
        (("other",), "", "deploys with the stack prod, and other was given. Keep another stack in a file of another"),
        (("--region", "eu-west-2"), "", "deploys with the region eu-west-1, and eu-west-2 was given."),
        ((), "444455556666", "deploys to account 111122223333, and these credentials are of 444455556666."),
    ],
)
def test_another_place_than_the_files_is_refused(
    cli: Cli, checkout: Path, wire: AwsWire, deployed: Done, *, arguments: tuple[str, ...], account: str, said: str
) -> None:
    if account:
        wire.result("GetCallerIdentity", f"<Account>{account}</Account>")
    cli("deploy", *arguments, "--config", "prod").could_not_run(said)
    assert len(calls(checkout)) == 2


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("--config", "../x"), "", "is not a valid name of a configuration"),
        (("my_stack",), None, "is not a valid name of a stack"),
        ((), "region = ", "is not as this command writes it"),
        ((), "[default]\n", "is not as this command writes it"),
        ((), "[default.deploy.parameters.parameter_overrides]\nScheduleTimezone = 'x'\n", "'x' is not a time zone"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    cli: Cli, checkout: Path, arguments: tuple[str, ...], text: str | None, said: str
) -> None:
    if text is not None:
        (checkout / "samconfig.local.toml").write_text(text)
    cli("deploy", *arguments).could_not_run(said)
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
    rules = [
        f"{name} {TEMPLATE['Parameters'][name]['ConstraintDescription']}" for name in ("CommvaultApiUrl", "ClientName")
    ]
    rules += ["InstanceName must not be empty, and must", "has 5 fields; cron needs 6", "'Berlin' is not a time zone"]
    assert [rule for rule in rules if rule not in printed] == []
    assert written(checkout)[2]["ClientName"] == "prod"


def test_unfinished_answers_are_not_written(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{VALUES['CommvaultApiUrl']}\n"))
    done, said = cli("deploy"), "\nrds-snap-backup: not all questions were answered. Nothing was written.\n"
    assert (done.status, done.err.endswith(said)) == (Exit.COULD_NOT_RUN, True)
    assert not (checkout / "samconfig.local.toml").exists()


def test_sam_deploys_the_answers(cli: Cli, checkout: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    monkeypatch.setenv("SAM_CLI_TELEMETRY", "0")
    typed(monkeypatch, VALUES)
    assert cli("deploy", "answered", "--region", "us-east-1").status == Exit.OK
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName="answered")["Stacks"]
    assert {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]} == written(checkout)[2]


@pytest.mark.parametrize(("step", "said"), [("build", "the functions were not built."), ("deploy", "SAM did not")])
def test_a_failure_of_sam_shows_its_output(cli: Cli, checkout: Path, deployed: Done, step: str, said: str) -> None:
    (checkout / "fails").write_text(step)
    done = cli("deploy", "--config", "prod")
    assert (done.status, said in done.err) == (Exit.COULD_NOT_RUN, True), done.err
    assert ("much output of SAM" in done.err) is (step == "build")
    assert len(done.err.splitlines()) < 30


def test_what_is_probably_not_meant_is_a_warning(cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = {"ScheduleExpression": "cron(30 2 * * ? *)", "ScheduleTimezone": "Europe/Berlin"}
    typed(monkeypatch, VALUES | skipped | {"NotificationEmail": "off"}, "NotificationLevel")
    first, second = [line for line in cli("deploy").err.splitlines() if line.startswith("Warning: ")]
    assert "nobody gets a message" in first
    assert "ScheduleExpression: daylight saving skips 02:" in second


def test_without_a_client_no_default_target_is_asked_for(
    cli: Cli, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, VALUES | {"ClientName": ""}, *questions.USED_WITH_CLIENT)
    assert cli("deploy").status == Exit.OK
    assert {written(checkout)[2][name] for name in ("ClientName", "InstanceName", "SubclientName")} == {""}
