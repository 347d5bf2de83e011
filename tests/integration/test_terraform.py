"""`examples/terraform/`, run by Terraform on mocks of AWS: what it makes is what the template of `build` has.

Skipped where Terraform or its AWS provider cannot be had.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.tools import ROOT
from rds_snap_backup_cli.fleet.files import read_fleet
from rds_snap_backup_cli.fleet.template import template_of
from tests.unit.template import Resolved

pytestmark = pytest.mark.xdist_group("terraform")

EXAMPLE = ROOT / "examples" / "terraform"
# Where some machines keep providers; elsewhere they come from the registry.
MIRROR = Path("/opt/tf-plugins")
ONE_TRY = {"TF_REGISTRY_DISCOVERY_RETRY": "0", "TF_REGISTRY_CLIENT_TIMEOUT": "5", "CHECKPOINT_DISABLE": "1"}
ARN = "arn:aws:{}:eu-west-1:111122223333:{}".format
OUTPUTS = {
    "BackupFunctionArn": ARN("lambda", "function:backup"),
    "SchedulerRoleArn": "arn:aws:iam::111122223333:role/scheduler",
    "DeadLetterQueueArn": ARN("sqs", "dead-letters"),
    "ScheduleGroupName": "schedules",
    "SetTokenCommand": "aws secretsmanager put-secret-value",
}
STACK = "rds-snap-backup"
ASSOCIATION = {"clientName": "aws <prod> & Größe", "instanceName": "RDS", "subclientName": "orders-db"}
TARGETS = {
    "orders.yaml": {"associations": [{**ASSOCIATION, "databases": ["orders-*"]}], "accounts": ["012345670123"]},
    "own-schedule.yaml": {"associations": [ASSOCIATION], "schedule": {"expression": "rate(1 day)"}},
    "unscheduled.json": {"associations": [ASSOCIATION], "gatherMinutes": 5, "enabled": False, "schedule": None},
}
UNQUOTED = json.dumps(TARGETS["orders.yaml"]).replace('"012345670123"', "012345670123")
RUNS = f"""
mock_provider "aws" {{
  override_resource {{
    target = aws_cloudformation_stack.product
    values = {{ outputs = {json.dumps(OUTPUTS)} }}
  }}
}}

variables {{
  release           = "./release"
  commvault_api_url = "https://commvault.example.com/commandcenter/api"
  parameters        = {{ LogLevel = "DEBUG" }}
}}

run "fleet" {{
  variables {{ fleet = "./fleet" }}
}}

run "unquoted" {{
  command         = plan
  expect_failures = [aws_ssm_parameter.target]
  variables {{ fleet = "./unquoted" }}
}}
"""


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform, or skip the test where it is not installed."""
    program = shutil.which("terraform") or pytest.skip("Terraform is not installed")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    line = [program, f"-chdir={folder}", *arguments]
    return subprocess.run(line, env=inherited | ONE_TRY, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example, its provider, and the example of a fleet with more targets."""
    folder = tmp_path_factory.mktemp("terraform")
    shutil.copytree(ROOT / "examples" / "fleet", folder / "fleet")
    files = {
        **{f"fleet/targets/{name}": json.dumps(document) for name, document in TARGETS.items()},
        "unquoted/fleet.yaml": "name: prod",
        "unquoted/targets/orders.yaml": UNQUOTED,
        **{f"release/rds-snap-backup-2.0.0-{name}": name for name in ("plain.yaml", "functions.zip")},
        "runs.tftest.hcl": RUNS,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for path in EXAMPLE.glob("*.tf"):
        shutil.copy(path, folder)
    mirror = [f"-plugin-dir={MIRROR}"] if MIRROR.is_dir() else []
    if (done := terraform(folder, "init", "-backend=false", "-no-color", *mirror)).returncode:
        pytest.skip(f"Terraform's AWS provider cannot be had here: {done.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def written(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the values of the resources that Terraform makes, by address; it validates the example first."""
    done = terraform(folder, "test", "-json", "-verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    (state,) = [
        message["test_state"] for message in map(json.loads, done.stdout.splitlines()) if "test_state" in message
    ]
    return {resource["address"]: resource["values"] for resource in state["root_module"]["resources"]}


def test_it_is_formatted() -> None:
    done = terraform(EXAMPLE, "fmt", "-check", "-diff", "-recursive")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stack_reads_template_and_functions_by_their_content(written: dict[str, dict[str, Any]]) -> None:
    stack = written["aws_cloudformation_stack.product"]
    template, functions = (written[f"aws_s3_object.{name}"]["key"] for name in ("template", "functions"))
    assert template == f"{hashlib.sha256(b'plain.yaml').hexdigest()}.yaml"
    assert functions == f"{hashlib.sha256(b'functions.zip').hexdigest()}.zip"
    assert stack["template_url"].endswith(f"/{template}")
    assert stack["parameters"] == {
        "CommvaultApiUrl": "https://commvault.example.com/commandcenter/api",
        "NotificationEmail": "",
        "LogLevel": "DEBUG",
        "CodeBucket": written["aws_s3_bucket.release"]["id"],
        "CodeKey": functions,
    }


def test_targets_and_schedules_are_those_of_the_template(folder: Path, written: dict[str, dict[str, Any]]) -> None:
    fleet = read_fleet(folder / "fleet")
    assert fleet.errors == ()
    template = Resolved({"BackupStack": STACK}, template_of(fleet) | {"Conditions": {}, "Outputs": {}})
    made: dict[str, Any] = {}
    for address, values in written.items():
        match address.partition(".")[0]:
            case "aws_ssm_parameter":
                made[values["name"]] = json.loads(values["insecure_value"])
            case "aws_scheduler_schedule":
                (target,) = values["target"]
                (letters,) = target["dead_letter_config"]
                own = [values[name] for name in ("group_name", "schedule_expression", "schedule_expression_timezone")]
                made[values["name"]] = [*own, target["arn"], target["role_arn"], target["input"], letters["arn"]]
    wanted = {part["Name"]: json.loads(part["Value"]) for part in template.of_type("AWS::SSM::Parameter").values()}
    for part in template.of_type("AWS::Scheduler::Schedule").values():
        own = [part[name] for name in ("GroupName", "ScheduleExpression", "ScheduleExpressionTimezone")]
        started = [part["Target"][name] for name in ("Arn", "RoleArn", "Input")]
        wanted[part["Name"]] = [*own, *started, part["Target"]["DeadLetterConfig"]["Arn"]]
    imported = re.sub(
        rf'{{"Fn::ImportValue": "{STACK}-(\w+)"}}', lambda found: json.dumps(OUTPUTS[found[1]]), json.dumps(wanted)
    )
    assert made == json.loads(imported)
