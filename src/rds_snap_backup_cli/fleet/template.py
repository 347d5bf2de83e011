"""The CloudFormation template of a fleet: the same bytes for the same files. Pure.

It imports what a schedule needs from the stack's exports, so AWS refuses to delete or change what a fleet uses.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rds_snap_backup_cli.fleet.files import Entry, Fleet, stored_text
from rds_snap_backup_cli.schedule import RETRY, event_of, schedule_name

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_RESOURCES = 500
MAX_BYTES = 1_000_000
# A larger template needs a bucket.
MAX_INLINE_BYTES = 51_200
# SSM takes three writes a second, and repeats what CloudFormation sends too fast.
LANES = 5
# SSM takes 40 reads a second, and many targets of a fleet have the same time. The trigger's time stays the schedule's own.
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-flexible-time-windows.html
WINDOW = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
STACK = "BackupStack"
ESCAPED = re.compile("[\x7f-\uffff]")
# A logical ID has letters and digits only; Z begins what stands for another character.
ESCAPES = {"Z": "ZZ", "-": "Zd", ".": "Zp", "_": "Zu"}
# The defaults. CloudFormation imports an existing parameter only where its template says what a removal does.
POLICIES = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
UNCHECKED = {"cfn-lint": {"config": {"ignore_checks": ["E1029"]}}}
PARAMETER = {
    "Type": "String",
    "Description": "Name of the stack of rds-snap-backup in this account and region",
    "AllowedPattern": "^[A-Za-z][A-Za-z0-9-]{0,127}$",
    "ConstraintDescription": "must be the name of a stack",
}


def template_text(fleet: Fleet) -> str:
    """Return the template's text: JSON that is YAML, too.

    Letters such as ü are escaped, as some tools read a file in the machine's encoding. What lies beyond has two escapes in
    JSON, which readers of YAML refuse.
    """
    text = json.dumps(template_of(fleet), indent=1, ensure_ascii=False)
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def template_of(fleet: Fleet) -> dict[str, Any]:
    """Return the template: a parameter for each target, and a schedule for each target that has one."""
    entries = [fleet.entries[name] for name in sorted(fleet.entries)]
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Targets and schedules of the fleet {fleet.name} of rds-snap-backup",
        "Parameters": {STACK: PARAMETER},
        "Resources": dict([*parameters_of(entries), *schedules_of(entries)]),
    }


def parameters_of(entries: Sequence[Entry]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the SSM parameters, of which CloudFormation writes as many at a time as there are lanes."""
    for number, entry in enumerate(entries):
        before = {"DependsOn": logical_id("Target", entries[number - LANES].name)} if number >= LANES else {}
        text = stored_text(entry.document)
        # CloudFormation leaves it as it is outside Fn::Sub; cfn-lint takes it for a mistake.
        checks = {"Metadata": UNCHECKED} if "${" in text else {}
        properties = {
            "Name": {"Fn::Sub": f"/rds-snap-backup/${{{STACK}}}/targets/{entry.name}"},
            "Type": "String",
            "Tier": "Intelligent-Tiering",
            "Value": text,
        }
        resource = {"Type": "AWS::SSM::Parameter", **checks, **POLICIES, **before, "Properties": properties}
        yield logical_id("Target", entry.name), resource


def schedules_of(entries: Sequence[Entry]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the schedules, each after its target's parameter."""
    for entry in entries:
        if not entry.schedule:
            continue
        properties = {
            "Name": schedule_name(entry.name),
            "GroupName": imported("ScheduleGroupName"),
            "ScheduleExpression": entry.schedule.expression,
            "ScheduleExpressionTimezone": entry.schedule.timezone,
            "FlexibleTimeWindow": WINDOW,
            "Target": {
                "Arn": imported("BackupFunctionArn"),
                "RoleArn": imported("SchedulerRoleArn"),
                "Input": event_of(entry.name),
                "RetryPolicy": dict(RETRY),
                "DeadLetterConfig": {"Arn": imported("DeadLetterQueueArn")},
            },
        }
        yield (
            logical_id("Schedule", entry.name),
            {
                "Type": "AWS::Scheduler::Schedule",
                "DependsOn": logical_id("Target", entry.name),
                "Properties": properties,
            },
        )


def imported(output: str) -> dict[str, Any]:
    """Return the import of an output of the stack."""
    return {"Fn::ImportValue": {"Fn::Sub": f"${{{STACK}}}-{output}"}}


def logical_id(kind: str, name: str) -> str:
    """Return the logical ID of a target's resource; no two names have the same."""
    return kind + "".join(ESCAPES.get(character, character) for character in name)
