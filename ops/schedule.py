"""`python -m ops.schedule STACK --target NAME --expression 'cron(0 3 * * ? *)' [--timezone ZONE]`: schedule a target.

It makes the schedule with EventBridge Scheduler, or changes the one that it made before: one for each target of a stack.
"""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops.command import Exit, execute, parser
from ops.stack import CannotRun, DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import GetScheduleOutputTypeDef, RetryPolicyTypeDef, TargetTypeDef

ALL = "*"
TARGET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
MAX_NAME = 64
HASH_DIGITS = 8
DEFAULT_GROUP = "default"
DEFAULT_TIMEZONE = "UTC"
# What EventBridge's rules do: 185 times in a day.
RETRY: "RetryPolicyTypeDef" = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
# Of a schedule that exists already; an update sets what it does not mention to its default.
KEPT = ("ScheduleExpressionTimezone", "State", "Description", "StartDate", "EndDate", "KmsKeyArn")


def main(arguments: Sequence[str]) -> Exit:
    """Schedule a target of the stack that is named; return the exit status."""
    understood = parser("schedule", "Back up a target of a deployed stack on a schedule of EventBridge Scheduler.")
    understood.add_argument("--target", required=True, help='"*" for all targets')
    understood.add_argument("--expression", required=True, help="cron(...), rate(...) or at(...)")
    understood.add_argument(
        "--timezone", help=f"such as Europe/Berlin; default: the schedule's, else {DEFAULT_TIMEZONE}"
    )
    options = understood.parse_args(arguments)
    return execute(lambda stack: schedule(stack, options.target, options.expression, options.timezone), options)


def schedule(stack: DeployedStack, target: str, expression: str, timezone: str | None) -> Exit:
    """Make the schedule of a target, or change it."""
    require_target(stack, target)
    client: EventBridgeSchedulerClient = stack.session.client("scheduler")
    name, group = schedule_name(stack.name, target), stack.outputs.get("ScheduleGroupName", DEFAULT_GROUP)
    wanted = invocation(stack, target)
    kept: dict[str, Any] = {"ScheduleExpressionTimezone": DEFAULT_TIMEZONE}
    put, done = client.create_schedule, "made"
    if existing := find(client, name, group):
        require_ours(existing, name, wanted)
        kept |= {field: value for field, value in existing.items() if field in KEPT}
        put, done = client.update_schedule, "changed"
    if timezone:
        kept["ScheduleExpressionTimezone"] = timezone
    put(
        **kept,
        Name=name,
        GroupName=group,
        ScheduleExpression=expression,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=wanted,
    )
    state = " It is disabled, as it was." if kept.get("State") == "DISABLED" else ""
    print(f"{stack.name}: the schedule {name} of the group {group} is {done}.{state}")
    return Exit.OK


def require_target(stack: DeployedStack, target: str) -> None:
    """Raise `CannotRun` unless the stack has such a target."""
    if target == ALL:
        return
    if not TARGET_NAME.fullmatch(target):
        raise CannotRun(f'{target!r} is not a target name: 1 to 64 letters, digits, "_", "." or "-"; or "*" for all.')
    parameter = stack.output("TargetsPath") + target
    ssm = stack.session.client("ssm")
    try:
        ssm.get_parameter(Name=parameter)
    except ssm.exceptions.ParameterNotFound:
        raise CannotRun(
            f"there is no target {target}: the SSM parameter {parameter} is missing. Store its document there first; "
            'see "Targets and schedules" in docs/operations.md.'
        ) from None


def schedule_name(stack: str, target: str) -> str:
    """Return the schedule's name; where it is too long, its end is replaced by a hash, so that it stays one target's."""
    name = f"{stack}-{'all' if target == ALL else target}"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]
    return f"{name[: MAX_NAME - HASH_DIGITS - 1]}-{digest}"


def find(client: "EventBridgeSchedulerClient", name: str, group: str) -> "GetScheduleOutputTypeDef | None":
    """Return the schedule of that name, if there is one."""
    try:
        return client.get_schedule(Name=name, GroupName=group)
    except client.exceptions.ResourceNotFoundException:
        return None


def invocation(stack: DeployedStack, target: str) -> "TargetTypeDef":
    """Return what the schedule does: invoke the Backup function, with placeholders that Scheduler fills in."""
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    event = {"target": target, "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
    return {
        "Arn": stack.output("BackupFunctionArn"),
        "RoleArn": stack.output("SchedulerRoleArn"),
        "DeadLetterConfig": {"Arn": stack.output("DeadLetterQueueArn")},
        "RetryPolicy": RETRY,
        "Input": json.dumps(event),
    }


def require_ours(existing: "GetScheduleOutputTypeDef", name: str, wanted: "TargetTypeDef") -> None:
    """Raise `CannotRun` where a schedule of that name does something else: names of stacks and targets may coincide."""
    found = existing["Target"]
    if (found["Arn"], _target(found.get("Input"))) != (wanted["Arn"], _target(wanted.get("Input"))):
        raise CannotRun(
            f"there is a schedule {name} already, for another function or target. Delete it, or make yours with "
            '`aws scheduler create-schedule` under another name; see "Targets and schedules" in docs/operations.md.'
        )


def _target(event: str | None) -> object:
    """Return the target that a schedule's input names."""
    try:
        document = json.loads(event or "null")
    except ValueError:
        return None
    return document.get("target") if isinstance(document, dict) else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
