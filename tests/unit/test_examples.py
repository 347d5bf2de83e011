"""The examples: key policies, endpoints, sizes and deployments are what template, code and prices say."""

import ast
import json
import math
import re
from typing import Any

import pytest

from local.package import CODE
from rds_snap_backup.audit.digest import WRITES_AN_HOUR
from rds_snap_backup.core.backups import Backup, Tried
from rds_snap_backup.core.phases import Ended, JobRef
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.messaging.notifications import ALL, FIELDS, JOB_ENDS, PROBLEMS, render
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.iam import decide
from tests.unit.documents import read, rows, section
from tests.unit.template import CHAT, EVENTS_OUT, PSEUDO, TEMPLATE, Resolved

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
AT = 1769824804.0
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def examples() -> list[dict[str, Any]]:
    """Return the key policies of the runbook: the stack's key, then the secret's."""
    text = section("docs/operations.md", "Key policies")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def test_the_example_of_a_key_policy_admits_who_uses_the_key() -> None:
    stack, _ = examples()
    description = TEMPLATE["Parameters"]["KmsKeyArn"]["Description"]
    named = set(re.findall(r"[a-z]+\.amazonaws\.com", description))
    assert named == {"cloudwatch.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"}
    services = [statement for statement in stack["Statement"] if "Service" in statement["Principal"]]
    for service in named:
        context = {"aws:SourceAccount": ACCOUNT}
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            assert decide(services, action, KEY, context, service) == "Allow"
    # The calls of EventBridge and SNS bear no source; those of alarms do.
    for service in ("events.amazonaws.com", "sns.amazonaws.com"):
        assert decide(services, "kms:Decrypt", KEY, {}, service) == "Allow"
    assert decide(services, "kms:Decrypt", KEY, {"aws:SourceAccount": "9"}, "cloudwatch.amazonaws.com") == "Nothing"
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:rds-snap-backup-BackupLogs-0A1B2C"
    context = {"kms:EncryptionContext:aws:logs:arn": group}
    for action in ("Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKey", "DescribeKey"):
        assert decide(services, f"kms:{action}", KEY, context, f"logs.{REGION}.amazonaws.com") == "Allow"


def test_the_endpoints_of_a_closed_vpc_are_the_services_that_the_code_calls() -> None:
    called = set(re.findall(r'^    "([a-z0-9]+)": \{', read("src/trim.py"), re.MULTILINE))
    text = section("docs/operations.md", "A closed VPC")
    endpoints = set(re.findall(r"`com\.amazonaws\.REGION\.([a-z0-9]+)`", text))
    assert {"cloudwatch" if name == "monitoring" else name for name in endpoints} == called


@pytest.mark.parametrize("row", rows("docs/reference.md", "Sizes"), ids=" ".join)
def test_the_sizes_are_computed(row: list[str]) -> None:
    databases, in_each, *computed = map(float, row)
    requests = math.ceil(databases / in_each)
    standing, backup = re.findall(r"\$(6\.\d+|0\.0+\d+)", section("docs/reference.md", "Sizes"))
    minutes = (requests - 1) // WRITES_AN_HOUR * 60
    assert computed == [requests, minutes, round(float(standing) + databases * 30 * float(backup), 2)]


# ---- Terraform and CDK

TERRAFORM = (
    read("examples/terraform/main.tf") + read("examples/terraform/fleet.tf") + read("examples/terraform/outputs.tf")
)
(CDK,) = re.findall(r"```python\n(.*?)```", section("docs/infrastructure-as-code.md", "CDK"), re.DOTALL)


def passed_by_terraform() -> set[str]:
    (block,) = re.findall(r"parameters = merge\(var\.parameters, \{\n(.*?)\}\)", TERRAFORM, re.DOTALL)
    return set(re.findall(r"^ +(\w+) +=", block, re.MULTILINE))


def passed_by_cdk() -> set[str]:
    (given,) = [
        node.value for node in ast.walk(ast.parse(CDK)) if isinstance(node, ast.keyword) and node.arg == "parameters"
    ]
    assert isinstance(given, ast.Dict)
    return {key.value for key in given.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


@pytest.mark.parametrize("passed", [passed_by_terraform(), passed_by_cdk()], ids=["terraform", "cdk"])
def test_an_example_passes_the_required_parameters_and_no_unknown_ones(passed: set[str]) -> None:
    parameters = TEMPLATE["Parameters"] | CODE
    assert {name for name, parameter in parameters.items() if "Default" not in parameter} <= passed <= parameters.keys()


def test_the_examples_read_outputs_of_the_stack() -> None:
    terraform, cdk = re.findall(r'outputs\["(\w+)"\]', TERRAFORM), re.findall(r'get_output\("(\w+)"\)', CDK)
    assert terraform
    assert cdk
    assert {*terraform, *cdk} <= TEMPLATE["Outputs"].keys()
    path = TEMPLATE["Outputs"]["TargetsPath"]["Value"]["Fn::Sub"].replace("AWS::StackName", "var.stack_name")
    assert f'"{path}${{each.key}}"' in TERRAFORM


# ---- Events out, and chat


def test_the_shown_event_is_a_notification() -> None:
    blocks = re.findall(r"```json\n(.*?)```", read("examples/events-out/README.md"), re.DOTALL)
    event, pattern = map(json.loads, blocks)
    failed = Problem("JOB_FAILED", "…", "…")
    association, ended = (
        Association("aws-prod", "RDS", "nightly", "aws-prod"),
        Ended("failed", JobRef("1354", "FULL", AT)),
    )
    backup = Backup(association, AT, ended, Tried(AT))
    trigger = Trigger("schedule", "…", "2026-01-31T02:00:00Z")
    facts: dict[str, Any] = {"job_ids": ("1354",), "error": failed, "started": AT + 1, "ended": AT + 841}
    notice = Notice("failed", AT, (0,), 1, "FULL", reason="The snapshot quota is reached.", submitted_at=AT, **facts)
    detail = render(Submission(trigger, "orders", AT, AT, backups=(backup,)), notice)
    assert event["detail"] == detail, "the example in examples/events-out/README.md"
    assert all(event[name] in pattern[name] for name in ("source", "detail-type"))
    pipe = Resolved({"EventBusName": "bus"}, EVENTS_OUT).resources["Pipe"]["Properties"]["TargetParameters"]
    put = pipe["EventBridgeEventBusParameters"]
    assert (put["Source"], put["DetailType"], pipe["InputTemplate"]) == (
        event["source"],
        event["detail-type"],
        "<$.body>",
    )


def test_the_shown_message_has_every_field() -> None:
    shown = json.loads(re.findall(r"```json\n(.*?)```", section("docs/reference.md", "Notifications"), re.DOTALL)[0])
    expected = {name for name, field in FIELDS.items() if field.presence is ALL}
    assert shown.keys() == expected, "the example in docs/reference.md, Notifications"


def test_chat_shows_every_status_of_a_problem_once() -> None:
    rules = Resolved({}, CHAT).of_type("AWS::Events::Rule")
    shown = {name: set(rule["EventPattern"]["detail"]["status"]) for name, rule in rules.items()}
    assert shown == {"JobProblems": PROBLEMS & JOB_ENDS, "Others": PROBLEMS - JOB_ENDS | {"audit"}}
