"""Scheduling a target, at the wire."""

import json
import os
import re
import subprocess
from itertools import batched
from typing import Any

import pytest

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


# An AWS CLI that knows the outputs, and prints the arguments of any other call.
AWS_CLI = r"""aws() {
  [ "$2" = describe-stacks ] || { printf '%s\0' "$@"; return; }
  [[ "$*" =~ OutputKey==.([A-Za-z]+) ]] && printenv "${BASH_REMATCH[1]}"
}
"""


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
    own = TEMPLATE["Resources"]["DefaultSchedule"]["Properties"]["Target"]
    target = made["Target"] | {"Input": json.loads(made["Target"]["Input"])}
    assert target["Input"] == json.loads(own["Input"]) | {"target": "orders"}
    assert (target["RetryPolicy"], made["FlexibleTimeWindow"]) == (own["RetryPolicy"], {"Mode": "OFF"})
    assert scheduler.asked("GetParameter") == [{"Name": "/rds-snap-backup/prod/targets/orders"}]
    said = re.escape(f"{PLACE}: the schedule orders of the group backups is made. ")
    assert re.fullmatch(said + r"Next run: \d{4}-\d\d-\d\d 03:00 Europe/Berlin \(0[12]:00 UTC\)\.\n", done.out)
    assert done.status == Exit.OK
    # The command of the documents makes the same.
    (script,) = re.findall(r"```bash\n(output\(\).*?)```", read("docs/operations.md"), re.DOTALL)
    line = ["bash", "-euc", AWS_CLI + script]
    shown = subprocess.run(line, env=os.environ | OUTPUTS, capture_output=True, text=True, check=True)
    given = dict(batched(shown.stdout.split("\0")[2:-1], 2, strict=True))
    documented = json.loads(given["--target"])
    assert documented | {"Input": json.loads(documented["Input"])} == target
    names = {"--name": "Name", "--group-name": "GroupName", "--schedule-expression": "ScheduleExpression"}
    names["--schedule-expression-timezone"] = "ScheduleExpressionTimezone"
    assert [given[option] for option in names] == [made[name] for name in names.values()]


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
