"""Scheduling a target, at the wire."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.tools import command as tool
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import PLACE, AwsWire
from tests.unit.documents import read
from tests.unit.template import TEMPLATE

OUTPUTS = {
    "BackupFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:prod-backup",
    "SchedulerRoleArn": "arn:aws:iam::000000000000:role/prod-scheduler",
    "DeadLetterQueueArn": "arn:aws:sqs:us-east-1:000000000000:prod-dead-letters",
    "ScheduleGroupName": "backups",
    "TargetsPath": "/rds-snap-backup/prod/targets/",
}
ORDERS = ("schedule", "prod", "orders", "--expression", "cron(0 3 * * ? *)")
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


def existing(wire: AwsWire, function: str = OUTPUTS["BackupFunctionArn"], event: str = "", **more: Any) -> None:
    target = {"Arn": function, "RoleArn": OUTPUTS["SchedulerRoleArn"], "Input": event or json.dumps(INPUT)}
    wire.answer("GetSchedule", {"Name": "orders", "GroupName": "backups", "Target": target} | more)


def test_a_schedule_has_all_that_the_stacks_own_has(cli: Cli, scheduler: AwsWire) -> None:
    done = cli(*ORDERS, "--timezone", "Europe/Berlin")
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
            "Arn": OUTPUTS["BackupFunctionArn"],
            "RoleArn": OUTPUTS["SchedulerRoleArn"],
            "DeadLetterConfig": {"Arn": OUTPUTS["DeadLetterQueueArn"]},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        },
    }
    own = TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]["Target"]
    assert event == json.loads(own["Input"]) | {"target": "orders"} == INPUT
    assert made["Target"]["RetryPolicy"] == own["RetryPolicy"]
    assert scheduler.asked("GetParameter") == [{"Name": "/rds-snap-backup/prod/targets/orders"}]
    said = re.escape(f"{PLACE}: the schedule orders of the group backups is made. ")
    assert re.fullmatch(said + r"Next run: \d{4}-\d\d-\d\d 03:00 Europe/Berlin \(0[12]:00 UTC\)\.\n", done.out)
    assert done.status == Exit.OK


def test_one_that_exists_is_changed_and_the_rest_of_it_is_kept(cli: Cli, scheduler: AwsWire) -> None:
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    own: dict[str, Any] = {"State": "DISABLED", "Description": "nightly", "FlexibleTimeWindow": window}
    existing(scheduler, **own, ScheduleExpressionTimezone="Asia/Tokyo", Arn="arn")
    done = cli(*ORDERS)
    assert (done.status, "is changed. It is disabled, as it was." in done.out) == (Exit.OK, True)
    cli(*ORDERS, "--timezone", "UTC")
    assert not scheduler.asked("CreateSchedule")
    kept, moved = scheduler.asked("UpdateSchedule")
    expected = own | {"ScheduleExpressionTimezone": "Asia/Tokyo", "ScheduleExpression": "cron(0 3 * * ? *)"}
    assert expected.items() <= kept.items()
    assert moved["ScheduleExpressionTimezone"] == "UTC"


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("arn:aws:lambda:us-east-1:000000000000:function:other", json.dumps(INPUT)),
        (OUTPUTS["BackupFunctionArn"], json.dumps(INPUT | {"target": "b-orders"})),
        (OUTPUTS["BackupFunctionArn"], "not JSON"),
        (OUTPUTS["BackupFunctionArn"], "[]"),
    ],
)
def test_a_schedule_of_another_stack_or_target_is_left_alone(
    cli: Cli, scheduler: AwsWire, function: str, event: str
) -> None:
    existing(scheduler, function, event)
    cli(*ORDERS).could_not_run("a schedule orders exists already, for another function or target.")
    assert not scheduler.asked("UpdateSchedule")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--expression", "cron(0 3 * * *)"), "has 5 fields; cron needs 6"),
        (("--expression", "rate(1 day)", "--timezone", "Europe/Nowhere"), "is not a time zone"),
    ],
)
def test_an_invalid_schedule_is_not_sent(cli: Cli, scheduler: AwsWire, options: tuple[str, ...], said: str) -> None:
    cli("schedule", "prod", "orders", *options).could_not_run(said)
    assert not scheduler.calls


def test_the_documents_command_makes_the_same_schedule(cli: Cli, scheduler: AwsWire) -> None:
    cli(*ORDERS, "--timezone", "Europe/Berlin")
    (script,) = re.findall(r"```bash\n(output\(\).*?)```", read("docs/operations.md"), re.DOTALL)
    path = os.pathsep.join([str(Path(*tool("aws")).parent), os.environ["PATH"]])
    subprocess.run(["bash", "-euc", script], env=os.environ | {"PATH": path, "AWS_PAGER": ""}, check=True)
    ours, documented = scheduler.asked("CreateSchedule")
    for made in (ours, documented):
        made["Target"]["Input"] = json.loads(made["Target"]["Input"])
    assert documented | {"ClientToken": ""} == ours | {"ClientToken": ""}
