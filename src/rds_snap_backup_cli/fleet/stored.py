"""What a stack holds: the targets' documents in SSM and the schedules in the stack's group, with the marks of their fleets."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from botocore.config import Config

from rds_snap_backup.untrusted import NotJson, read_json
from rds_snap_backup_cli.schedule import group_of, schedule_name, target_of
from rds_snap_backup_cli.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_ssm import SSMClient

# ListSchedules leaves the expressions out, so each schedule is read by its own call.
READERS = 8
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10}, max_pool_connections=READERS)
# The most that DescribeParameters returns in a page.
PAGE = 50
DIGITS = 16
MARK = re.compile(r"fleet=([A-Za-z0-9_.-]{1,64}) sha256=([0-9a-f]{16})")


@dataclass(frozen=True)
class Mark:
    """The description of what `apply` wrote: its fleet, and the digest of the content that it wrote."""

    fleet: str
    digest: str

    def __str__(self) -> str:
        return f"fleet={self.fleet} sha256={self.digest}"

    @classmethod
    def read(cls, description: str) -> Self | None:
        """Return the mark in a description, None if there is none."""
        found = MARK.fullmatch(description)
        return cls(*found.groups()) if found else None


def digest(content: Mapping[str, Any] | str) -> str:
    """Return the digest of a document or schedule. Blanks and the order of its fields do not change it."""
    # As Terraform's jsonencode, so that examples/terraform/ writes the same marks.
    compact = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    text = content if isinstance(content, str) else compact
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


@dataclass(frozen=True)
class StoredSchedule:
    """A schedule of the stack's group. `target` is what it backs up, `*` for all; None if it does something else."""

    name: str
    target: str | None
    expression: str
    timezone: str
    is_enabled: bool
    description: str
    answer: Mapping[str, Any] = field(repr=False)  # of GetSchedule

    @classmethod
    def of(cls, answer: Mapping[str, Any], function: str) -> Self:
        """Read the answer of GetSchedule; `function` is the ARN of the Backup function."""
        invoked = answer["Target"]
        found = target_of(invoked.get("Input", "")) if invoked["Arn"] == function else None
        return cls(
            name=answer["Name"],
            target=found if isinstance(found, str) else None,
            expression=answer["ScheduleExpression"],
            timezone=answer.get("ScheduleExpressionTimezone", "UTC"),
            is_enabled=answer.get("State") != "DISABLED",
            description=answer.get("Description", ""),
            answer={name: value for name, value in answer.items() if name != "ResponseMetadata"},
        )

    @property
    def content(self) -> Mapping[str, str]:
        """When it is due, as a fleet's file says it."""
        return {"expression": self.expression, "timezone": self.timezone}

    @property
    def mark(self) -> Mark | None:
        """The mark of the fleet that owns it."""
        return Mark.read(self.description)


@dataclass(frozen=True)
class StoredTarget:
    """A target's parameter. `schedule` is the one that `schedule` and `apply` make for it."""

    name: str
    text: str
    version: int
    description: str
    tier: str
    changed_by: str
    schedule: StoredSchedule | None

    @cached_property
    def content(self) -> Mapping[str, Any] | str:
        """The document; the text if it is no JSON object."""
        try:
            document = read_json(self.text)
        except NotJson:
            return self.text
        return document if isinstance(document, dict) else self.text

    @property
    def fleet(self) -> str | None:
        """The fleet that owns the document, as it says itself."""
        found = None if isinstance(self.content, str) else self.content.get("fleet")
        return found if isinstance(found, str) else None

    @property
    def mark(self) -> Mark | None:
        """What `apply` wrote last."""
        return Mark.read(self.description)


@dataclass(frozen=True)
class Stored:
    """All targets by name, and the schedules of the group, by name, that are no target's own."""

    targets: Mapping[str, StoredTarget]
    schedules: Mapping[str, StoredSchedule]

    @cached_property
    def all_schedules(self) -> Mapping[str, StoredSchedule]:
        """Every schedule of the group by name."""
        own = (target.schedule for target in self.targets.values())
        return {**self.schedules, **{schedule.name: schedule for schedule in own if schedule}}


def read_stored(stack: DeployedStack) -> Stored:
    """Return what the stack holds, with the operator's own rights."""
    ssm: SSMClient = stack.session.client("ssm", config=PATIENT)
    scheduler: EventBridgeSchedulerClient = stack.session.client("scheduler", config=PATIENT)
    path = stack.output("TargetsPath")
    schedules = read_schedules(scheduler, group_of(stack), stack.output("BackupFunctionArn"))
    described = describe(ssm, path)
    targets = {}
    for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=path):
        for row in page["Parameters"]:
            name = row["Name"].removeprefix(path)
            more = described.get(row["Name"], {})
            own = schedules.get(schedule_name(stack.name, name))
            targets[name] = StoredTarget(
                name=name,
                text=row["Value"],
                version=row["Version"],
                description=more.get("Description", ""),
                tier=more.get("Tier", "Standard"),
                changed_by=more.get("LastModifiedUser", ""),
                schedule=own if own and own.target == name else None,
            )
    taken = {target.schedule.name for target in targets.values() if target.schedule}
    return Stored(targets, {name: one for name, one in schedules.items() if name not in taken})


def describe(ssm: "SSMClient", path: str) -> Mapping[str, Mapping[str, Any]]:
    """Return description, tier and last writer of the parameters below a path, by name."""
    below: Any = [{"Key": "Path", "Option": "OneLevel", "Values": [path.rstrip("/")]}]
    pages = ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=below, PaginationConfig={"PageSize": PAGE}
    )
    return {row["Name"]: row for page in pages for row in page["Parameters"]}


def read_schedules(scheduler: "EventBridgeSchedulerClient", group: str, function: str) -> Mapping[str, StoredSchedule]:
    """Return the group's schedules by name; one that is deleted meanwhile is left out."""
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName=group)
    names = [row["Name"] for page in pages for row in page["Schedules"]]

    def read(name: str) -> Iterable[StoredSchedule]:
        try:
            yield StoredSchedule.of(scheduler.get_schedule(Name=name, GroupName=group), function)
        except scheduler.exceptions.ResourceNotFoundException:
            return

    with ThreadPoolExecutor(READERS) as pool:
        return {
            schedule.name: schedule for found in pool.map(lambda name: list(read(name)), names) for schedule in found
        }
