"""`schedule`: backs up a target on a schedule of EventBridge Scheduler.

It makes the schedule, or changes the one that it made before: one for each target of a stack.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rds_snap_backup.triggers import ALL
from rds_snap_backup.untrusted import NotJson, read_json
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.expressions import expression_problem, next_run, skip_warning, timezone_problem
from rds_snap_backup_cli.program import Call, Target, command
from rds_snap_backup_cli.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import GetScheduleOutputTypeDef, RetryPolicyTypeDef, TargetTypeDef

DEFAULT_TIMEZONE = "UTC"
# As EventBridge's rules retry: 185 times in a day.
RETRY: "RetryPolicyTypeDef" = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
# Of an existing schedule; an update sets what it does not mention to its default.
KEPT = ("ScheduleExpressionTimezone", "State", "Description", "StartDate", "EndDate", "KmsKeyArn", "FlexibleTimeWindow")

Expression = Annotated[str, typer.Option(help="cron(…), rate(…) or at(…), as EventBridge Scheduler reads them.")]
Timezone = Annotated[str, typer.Option(help="Such as Europe/Berlin. Default: the schedule's, else UTC.")]


@command("schedule prod orders --expression 'cron(0 3 * * ? *)' --timezone Europe/Berlin")
def schedule(call: Call, target: Target, expression: Expression, timezone: Timezone = "") -> Exit:
    """Back up a target on a schedule: make it, or change it."""
    for problem in (expression_problem(expression), timezone_problem(timezone) if timezone else None):
        if problem:
            raise CannotRun(f"{problem} Nothing was scheduled.")
    stack = call.stack()
    stack.require_target(target)
    client: EventBridgeSchedulerClient = stack.session.client("scheduler")
    name, group = schedule_name(target), stack.output("ScheduleGroupName")
    existing = find(client, name, group)
    if existing:
        require_ours(existing, name, stack.output("BackupFunctionArn"), target)
    wanted = definition(stack, target, expression, existing or {})
    if timezone:
        wanted["ScheduleExpressionTimezone"] = timezone
    put, done = (client.update_schedule, "changed") if existing else (client.create_schedule, "made")
    call.did(f"The schedule {name} may have been {done}.")
    put(**wanted)
    if warning := skip_warning(expression, wanted["ScheduleExpressionTimezone"]):
        call.say(f"Warning: {warning}")
    state = f" {next_run(expression, wanted['ScheduleExpressionTimezone'], datetime.now(UTC))}"
    if wanted.get("State") == "DISABLED":
        state = " It is disabled, as it was."
    call.conclude(f"{stack.place}: the schedule {name} of the group {group} is {done}.{state}")
    return Exit.OK


def schedule_name(target: str) -> str:
    """Return the schedule's name in the stack's group: the target's."""
    return "all" if target == ALL else target


def find(client: "EventBridgeSchedulerClient", name: str, group: str) -> "GetScheduleOutputTypeDef | None":
    """Return the schedule of that name, if there is one."""
    try:
        return client.get_schedule(Name=name, GroupName=group)
    except client.exceptions.ResourceNotFoundException:
        return None


def definition(stack: DeployedStack, target: str, expression: str, existing: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target's schedule as Scheduler takes it. An `existing` one keeps its time zone, state and description."""
    return {
        "ScheduleExpressionTimezone": DEFAULT_TIMEZONE,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        **{field: value for field, value in existing.items() if field in KEPT},
        "Name": schedule_name(target),
        "GroupName": stack.output("ScheduleGroupName"),
        "ScheduleExpression": expression,
        "Target": invocation(stack, target),
    }


def invocation(stack: DeployedStack, target: str) -> "TargetTypeDef":
    """Return what the schedule does: invoke the Backup function."""
    return {
        "Arn": stack.output("BackupFunctionArn"),
        "RoleArn": stack.output("SchedulerRoleArn"),
        "DeadLetterConfig": {"Arn": stack.output("DeadLetterQueueArn")},
        "RetryPolicy": RETRY,
        "Input": event_of(target),
    }


def event_of(target: str) -> str:
    """Return what a schedule sends to the function: placeholders that Scheduler fills in.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    event = {"target": target, "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
    return json.dumps(event)


def require_ours(existing: "GetScheduleOutputTypeDef", name: str, function: str, target: str) -> None:
    """Raise `CannotRun` if a schedule of that name does something else."""
    found = existing["Target"]
    if (found["Arn"], target_of(found.get("Input", ""))) != (function, target):
        raise CannotRun(
            f"a schedule {name} exists already, for another function or target. Delete it, or make yours with "
            "`aws scheduler create-schedule` under another name; see docs/operations.md."
        )


def target_of(event: str) -> object:
    """Return the target that a schedule's input names."""
    try:
        document = read_json(event)
    except NotJson:
        return None
    return document.get("target") if isinstance(document, dict) else None
