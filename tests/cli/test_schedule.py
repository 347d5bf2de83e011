"""Scheduling a target, at the wire."""

import json
import os
import re
import subprocess
from itertools import batched
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import read
from tests.unit.template import TEMPLATE

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:prod-backup"
ROLE = "arn:aws:iam::000000000000:role/prod-scheduler"
LETTERS = "arn:aws:sqs:us-east-1:000000000000:prod-dead-letters"
OUTPUTS = {
    "BackupFunctionArn": FUNCTION,
    "SchedulerRoleArn": ROLE,
    "DeadLetterQueueArn": LETTERS,
    "ScheduleGroupName": "backups",
    "TargetsPath": "/rds-snap-backup/prod/targets/",
}
ORDERS = ("prod", "orders", "--expression", "cron(0 3 * * ? *)")
INPUT = {"target": "orders", "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}


@pytest.fixture
def scheduler(wire: AwsWire) -> AwsWire:
    """A stack with the target `orders`, which has no schedule."""
    wire.stack(**OUTPUTS)
    wire.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    wire.fail("GetSchedule", 404, "ResourceNotFoundException", "Schedule orders does not exist.")
    wire.answer("CreateSchedule", {"ScheduleArn": "arn"})
    wire.answer("UpdateSchedule", {"ScheduleArn": "arn"})
    return wire


def existing(wire: AwsWire, arn: str = FUNCTION, event: str = json.dumps(INPUT), **more: Any) -> None:
    target = {"Arn": arn, "RoleArn": ROLE, "Input": event}
    wire.answer("GetSchedule", {"Name": "orders", "GroupName": "backups", "Target": target} | more)


def test_a_schedule_has_all_that_the_stacks_own_has(cli: Cli, scheduler: AwsWire) -> None:
    done = cli("schedule", *ORDERS, "--timezone", "Europe/Berlin")
    assert done.status == Exit.OK
    (made,) = scheduler.asked("CreateSchedule")
    event = json.loads(made["Target"].pop("Input"))
    assert made.pop("ClientToken")
    assert made == {
        "Name": "orders",
        "GroupName": "backups",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": FUNCTION,
            "RoleArn": ROLE,
            "DeadLetterConfig": {"Arn": LETTERS},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        },
    }
    own = TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]["Target"]
    assert event == json.loads(own["Input"]) | {"target": "orders"} == INPUT
    assert made["Target"]["RetryPolicy"] == own["RetryPolicy"]
    assert scheduler.asked("GetParameter") == [{"Name": "/rds-snap-backup/prod/targets/orders"}]
    said = r"prod \(account 111122223333, eu-central-1\): the schedule orders of the group backups is made\. "
    assert re.fullmatch(said + r"Next run: \d{4}-\d\d-\d\d 03:00 Europe/Berlin \(0[12]:00 UTC\)\.\n", done.out)


def test_one_that_exists_is_changed_and_the_rest_of_it_is_kept(cli: Cli, scheduler: AwsWire) -> None:
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    own: dict[str, Any] = {"State": "DISABLED", "Description": "nightly", "FlexibleTimeWindow": window}
    existing(scheduler, **own, ScheduleExpressionTimezone="Asia/Tokyo", Arn="arn")
    done = cli("schedule", *ORDERS)
    assert done.status == Exit.OK
    assert not scheduler.asked("CreateSchedule")
    (changed,) = scheduler.asked("UpdateSchedule")
    assert {name: changed[name] for name in own} == own
    assert changed["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert changed["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert "is changed. It is disabled, as it was." in done.out
    done = cli("schedule", *ORDERS, "--timezone", "UTC")
    assert done.status == Exit.OK
    assert scheduler.asked("UpdateSchedule")[1]["ScheduleExpressionTimezone"] == "UTC"


@pytest.mark.parametrize(
    ("arn", "event"),
    [
        ("arn:aws:lambda:us-east-1:000000000000:function:other", json.dumps(INPUT)),
        (FUNCTION, json.dumps(INPUT | {"target": "b-orders"})),
        (FUNCTION, "not JSON"),
        (FUNCTION, "[]"),
    ],
)
def test_a_schedule_of_another_stack_or_target_is_left_alone(
    cli: Cli, scheduler: AwsWire, arn: str, event: str
) -> None:
    existing(scheduler, arn, event)
    done = cli("schedule", *ORDERS)
    assert done.status == Exit.COULD_NOT_RUN
    assert not scheduler.asked("UpdateSchedule")
    assert "a schedule orders exists already, for another function or target." in done.line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--expression", "cron(0 3 * * *)"), "has 5 fields; cron needs 6"),
        (("--expression", "rate(1 day)", "--timezone", "Europe/Nowhere"), "is not a time zone"),
    ],
)
def test_an_invalid_schedule_is_not_sent(cli: Cli, scheduler: AwsWire, options: tuple[str, ...], said: str) -> None:
    done = cli("schedule", "prod", "orders", *options)
    assert (done.status, said in done.line) == (Exit.COULD_NOT_RUN, True), done.line
    assert not scheduler.calls


# An AWS CLI that knows the outputs, and keeps the arguments of any other call.
AWS_CLI = """#!/usr/bin/env bash
set -eu
if [ "$2" = describe-stacks ]; then
  query="${@: -3:1}"
  name="${query#*OutputKey==\\'}"
  printenv "OUTPUT_${name%%\\'*}"
else
  printf '%s\\0' "$@" > "$ARGUMENTS"
fi
"""


def test_the_documents_command_makes_the_same_schedule(cli: Cli, scheduler: AwsWire, tmp_path: Path) -> None:
    assert cli("schedule", "rds-snap-backup", *ORDERS[1:], "--timezone", "Europe/Berlin").status == Exit.OK
    (made,) = scheduler.asked("CreateSchedule")
    sample = re.search(r"```bash\n(output\(\).*?)```", read("docs/operations.md"), re.DOTALL)
    assert sample
    (tmp_path / "aws").write_text(AWS_CLI)
    (tmp_path / "aws").chmod(0o700)
    environment = {f"OUTPUT_{name}": value for name, value in OUTPUTS.items()} | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ARGUMENTS": str(tmp_path / "arguments"),
    }
    subprocess.run(["bash", "-eu", "-c", sample[1]], env=environment, check=True)
    arguments = (tmp_path / "arguments").read_text().split("\0")[2:-1]
    given = dict(batched(arguments, 2, strict=True))
    target = json.loads(given["--target"])
    assert json.loads(target.pop("Input")) == json.loads(made["Target"].pop("Input"))
    assert target == made["Target"]
    assert (given["--name"], given["--group-name"]) == (made["Name"], made["GroupName"])
    assert given["--schedule-expression"] == made["ScheduleExpression"]
    assert given["--schedule-expression-timezone"] == made["ScheduleExpressionTimezone"]
