"""`targets`: what each target backs up, what starts it, and the last job of each of its groups."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING

from rds_snap_backup.ledger.keys import subclient_key
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import Association, Target, parse_target
from rds_snap_backup.triggers import ALL
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.expressions import expression_problem, next_run
from rds_snap_backup_cli.output import Row, counted, findings_to_text, moment
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.schedule import target_of
from rds_snap_backup_cli.stack import DeployedStack
from rds_snap_backup_cli.status import MAX_READ, iso, read_items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import GetScheduleOutputTypeDef
    from mypy_boto3_ssm import SSMClient

COLUMNS = {
    "target": "Target",
    "problem": "Problem",
    "enabled": "Enabled",
    "subclient": "Group",
    "events": "Events of",
    "schedule": "Schedule",
    "nextRun": "Next run",
    "job": "Last completed job",
    "startedAt": "Started",
}
# Each problem is a paragraph below the table, and a job is shown with its start.
TABLE = {name: heading for name, heading in COLUMNS.items() if name not in {"problem", "startedAt"}}
HINT = "Correct the document, and check it with `rds-snap-backup check`."
# Of requests at a time: Scheduler shows one schedule a call.
AT_ONCE = 8
DISABLED = "DISABLED"


@dataclass(frozen=True)
class Stored:
    """A target's document; `target` is None if it is not valid, and `problem` says why."""

    name: str
    target: Target | None
    problem: str | None = None


@command("targets prod", "targets prod --format json", rows=True)
def targets(call: Call) -> Exit:
    """Show each target: its groups, what starts it, its next run, and the last completed job of each group.

    Reads documents, schedules and the ledger. A target has a row for each group. Exit status 1: a document is not valid.
    """
    stack, now = call.stack(), datetime.now(UTC)
    with call.progress("Reading targets, schedules and the ledger"):
        stored = list(stored_targets(stack))
        schedules = list(schedules_of(stack))
        associations = [item for each in stored if each.target for item in each.target.request.associations]
        jobs = last_jobs(stack, {item.key for item in associations})
    rows = [row for each in stored for row in rows_of(each, schedules, jobs, now)]
    if call.is_table:
        call.show(TABLE, [in_words(row) for row in rows if not row["problem"]])
        call.explain(
            findings_to_text((f"Not valid: {each.name}", each.problem, HINT) for each in stored if each.problem)
        )
    else:
        call.show(COLUMNS, rows)
    invalid = sum(each.target is None for each in stored)
    said = f"; {counted(invalid, 'document')} not valid" if invalid else ""
    call.conclude(f"{stack.place}: {counted(len(stored), 'target')}, {counted(len(associations), 'group')}{said}.")
    return Exit.FINDINGS if invalid else Exit.OK


def in_words(row: Row) -> Row:
    """Return a row for people."""
    job = f"{row['job']}, {moment(row['startedAt'])}" if row["job"] else ""
    return {**row, "enabled": "" if row["enabled"] else "no", "job": job}


def stored_targets(stack: DeployedStack) -> Iterator[Stored]:
    """Yield the targets by name."""
    client: SSMClient = stack.session.client("ssm")
    path = stack.output("TargetsPath")
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=path)
    documents = {row["Name"].removeprefix(path): row["Value"] for page in pages for row in page["Parameters"]}
    for name, text in sorted(documents.items()):
        try:
            yield Stored(name, parse_target(name, path + name, text))
        except InvalidInput as invalid:
            yield Stored(name, None, invalid.problem.message)


def schedules_of(stack: DeployedStack) -> "Iterator[GetScheduleOutputTypeDef]":
    """Yield the schedules of the stack's group."""
    client: EventBridgeSchedulerClient = stack.session.client("scheduler")
    group = stack.output("ScheduleGroupName")
    pages = client.get_paginator("list_schedules").paginate(GroupName=group)
    names = [row["Name"] for page in pages for row in page["Schedules"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda name: client.get_schedule(Name=name, GroupName=group), names)


def last_jobs(stack: DeployedStack, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return ID and start of the last completed job of each group that has one, by the association's key."""
    client: DynamoDBClient = stack.session.client("dynamodb")
    table, found = stack.output("LedgerTableName"), {}
    by_item = {subclient_key(key): key for key in keys}
    for batch in batched(sorted(by_item), MAX_READ):  # noqa: B911 # 3.12 has no `strict`
        for item in read_items(client, table, batch):
            if "completedId" in item:
                started = iso(float(item["completedStart"]["N"]))
                found[by_item[item["pk"]["S"]]] = item["completedId"]["S"], started
    return found


def rows_of(
    stored: Stored,
    schedules: "Sequence[GetScheduleOutputTypeDef]",
    jobs: Mapping[str, tuple[str, str]],
    now: datetime,
) -> Iterator[Row]:
    """Yield a row for each group of a target; one for a document that is not valid."""
    mine = [each for each in schedules if target_of(each["Target"].get("Input", "")) in {stored.name, ALL}]
    common = {
        "target": stored.name,
        "problem": stored.problem,
        "enabled": stored.target is None or stored.target.enabled,
        "schedule": [f"{each['ScheduleExpression']} {each.get('ScheduleExpressionTimezone', 'UTC')}" for each in mine],
        "nextRun": [due(each, now) for each in mine],
    }
    if stored.target is None:
        yield common | dict.fromkeys(("subclient", "events", "job", "startedAt"))
        return
    for association in stored.target.request.associations:
        job, started = jobs.get(association.key, (None, None))
        yield common | {
            "subclient": " / ".join(association.names),
            "events": events_of(stored.target, association),
            "job": job,
            "startedAt": started,
        }


def events_of(target: Target, association: Association) -> list[str]:
    """Return the patterns of the databases whose events start an association."""
    return list(association.databases if association.databases is not None else target.databases)


def due(schedule: "GetScheduleOutputTypeDef", now: datetime) -> str:
    """Return in words when a schedule is due next."""
    if schedule.get("State") == DISABLED:
        return "disabled"
    expression = schedule["ScheduleExpression"]
    if expression_problem(expression):
        return "unknown"
    words = next_run(expression, schedule.get("ScheduleExpressionTimezone", "UTC"), now)
    return words.removeprefix("Next run: ").removeprefix("It runs ").removeprefix("It is ").removesuffix(".")
