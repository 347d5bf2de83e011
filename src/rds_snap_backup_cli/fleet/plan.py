"""`plan`: what `apply` would change in a stack, and what that means for the databases and for Commvault."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.targets import NAMES, Target
from rds_snap_backup.triggers import ALL
from rds_snap_backup_cli.errors import CannotRun, Exit, in_one_line
from rds_snap_backup_cli.fleet.capacity import Hour, hours_of, overlaps
from rds_snap_backup_cli.fleet.changes import Change, Changes, State, Wish, compare
from rds_snap_backup_cli.fleet.files import Fleet, read_fleet
from rds_snap_backup_cli.fleet.inventory import Inventory, take_inventory
from rds_snap_backup_cli.fleet.stored import Stored, read_stored
from rds_snap_backup_cli.output import Format, counted, stderr, write_json
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

COLUMNS = {"action": "", "target": "Target", "field": "Field", "stored": "Stored", "wanted": "Wanted"}
CSV = {**COLUMNS, "kind": "Kind", "reason": "Reason"}
NOT_PRUNED = "no longer in the files (--prune removes)"

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The fleet's directory.", show_default=False)]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over what is edited by hand or owned by no fleet.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove what the fleet owns and its files no longer have.")]
Out = Annotated[str, typer.Option(metavar="FILE", help="Write the plan to a file, for `apply --plan`.")]


@dataclass(frozen=True)
class Plan:
    """What `apply` would do with these options, and what to know before."""

    stack: DeployedStack
    fleet: Fleet
    wish: Wish
    found: Changes

    @property
    def has_differences(self) -> bool:
        """Tell whether there are changes; `-` is none if nothing is pruned."""
        return any(change.action != "-" or self.wish.prune for change in self.found.changes)

    def to_json(self) -> dict[str, Any]:
        """Return what a plan's file holds: `apply` refuses it if a new plan differs."""
        return {
            "version": "2",
            "stack": str(self.stack.description["StackId"]),
            "fleet": self.fleet.name,
            "adopt": self.wish.adopt,
            "prune": self.wish.prune,
            "changes": [change.to_json() for change in self.found.changes],
        }

    def summary(self, verbs: Mapping[str, str]) -> str:
        """Return the numbers of targets by what happens to them."""
        targets = Counter[str](
            action for action, _ in {(change.action, change.target) for change in self.found.changes}
        )
        return ", ".join(f"{targets[action]} {verb}" for action, verb in verbs.items() if targets[action])


@command("plan prod fleet", "plan prod fleet --prune --out plan.json", "plan prod fleet --format json", rows=True)
def plan(call: Call, directory: Directory, adopt: Adopt = False, prune: Prune = False, out: Out = "") -> Exit:
    """Show what `apply` would change. Changes nothing.

    + is made, ~ is changed, - is removed (with --prune only), ! is a conflict: edited by hand, or owned by another fleet or
    by none. Exit status 1: there are differences, or the files are not valid.
    """
    stack = call.stack()
    fleet = valid_fleet(directory)
    if not fleet:
        return Exit.FINDINGS
    with call.progress("Reading targets and schedules"):
        stored = read_stored(stack)
    wish = Wish(stack.name, stack.account, adopt, prune)
    planned = Plan(stack, fleet, wish, compare(fleet, stored, wish))
    document = planned.to_json()
    if out:
        Path(out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    after = planned.found.after
    with call.progress("The Audit function takes the inventory, for up to 10 minutes"):
        unknown = list(
            commvault_remarks(stack, [after.targets[name] for name in fleet.entries if name in after.targets])
        )
    hours = hours_of(after, datetime.now(UTC).date())
    warnings = [
        *map(str, fleet.warnings),
        *unknown,
        *schedule_remarks(fleet, stored),
        *dangling_remarks(after),
        *overlaps(after, fleet.entries),
        *unmarked_remarks(planned.found.unmarked),
    ]
    if call.format is Format.JSON:
        write_json(document | {"requests": [vars(hour) for hour in hours], "warnings": warnings})
    else:
        columns = COLUMNS if call.format is Format.TABLE else CSV
        call.show(columns, [row for change in planned.found.changes for row in rows_of(change)])
    for line in lines_of(planned):
        call.conclude(line, "bold red")
    for hour in shown_hours(hours):
        call.conclude(str(hour), "bold red" if hour.is_too_much else "")
    for warning in warnings:
        call.say(f"Warning: {warning}")
    verbs = {"+": "to make", "~": "to change", "-": "to remove" if prune else NOT_PRUNED, "!": "in conflict"}
    call.conclude(f"{stack.place}: {planned.summary(verbs) or 'no differences'}.")
    return Exit.FINDINGS if planned.has_differences else Exit.OK


def valid_fleet(directory: str) -> Fleet | None:
    """Return the fleet of a directory, or print everything that is wrong with its files."""
    fleet = read_fleet(Path(directory))
    if not fleet.errors:
        return fleet
    for error in fleet.errors:
        stderr().print(str(error))
    stderr().print(f"{directory}: {counted(len(fleet.errors), 'error')}. Nothing was changed; correct the files.")
    return None


# ---- What is shown


def rows_of(change: Change) -> Iterator[dict[str, Any]]:
    """Yield a row for each field of a change, or one row if it has none."""
    row = {"action": change.action, "target": change.target, "kind": change.kind, "reason": change.reason}
    prefix = "schedule: " if change.kind == "schedule" else ""
    for difference in change.differences:
        yield row | {
            "field": prefix + difference.field,
            "stored": shown(difference.stored),
            "wanted": shown(difference.wanted),
        }
    if not change.differences:
        yield row | {"field": change.kind, "stored": None, "wanted": None}


def shown(value: Any) -> Any:
    """Return a field's value as files have it: `true` is not a name."""
    return json.dumps(value) if isinstance(value, bool) else value


def lines_of(planned: Plan) -> Iterator[str]:
    """Yield a line for each conflict, and for each target whose change leaves databases without protection."""
    for change in planned.found.changes:
        if change.reason:
            yield f"{change.target}: its {change.kind} is {change.reason}."
        if change.loses:
            only = " with --prune" if change.action == "-" and not planned.wish.prune else ""
            yield f"{change.target}: {', '.join(change.loses)} would lose protection{only}."


def shown_hours(hours: Sequence[Hour]) -> list[Hour]:
    """Return the hours that need more than Commvault's SaaS allows, or the busiest."""
    return [hour for hour in hours if hour.is_too_much] or sorted(hours, key=lambda hour: -hour.requests)[:1]


# ---- Remarks


def commvault_remarks(stack: DeployedStack, targets: Iterable[Target]) -> Iterator[str]:
    """Yield a remark for each target that names what Commvault does not know, or one about why it could not be asked."""
    try:
        inventory = take_inventory(stack)
    except (CannotRun, BotoCoreError, ClientError) as error:
        yield f"Commvault's inventory could not be read, so names were not compared: {in_one_line(error)}"
        return
    if problem := next((row["message"] for row in inventory.unread if not row["account"]), None):
        yield f"Commvault's inventory could not be read as a whole, so names were not compared: {problem}"
        return
    known = names_of(inventory)
    for target in targets:
        missing = [association.names for association in target.request.associations if association.names not in known]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            yield f"{target.name}: Commvault knows no subclient {' / '.join(missing[0])}{more}."


def names_of(inventory: Inventory) -> set[tuple[Any, ...]]:
    """Return the subclients that Commvault knows."""
    return {tuple(row[name] for name in NAMES) for row in inventory.rows}


def schedule_remarks(fleet: Fleet, stored: Stored) -> Iterator[str]:
    """Yield a remark for each schedule that does something else than the files say, and stays as it is."""
    for name, entry in fleet.entries.items():
        target = stored.targets.get(name)
        schedule = target.schedule if target else None
        if schedule and entry.schedule and not schedule.is_enabled:
            yield f"{name}: its schedule {schedule.name} is disabled, and stays so."
        if schedule and not entry.schedule and not schedule.mark:
            yield f"{name}: its file has no schedule, and no fleet owns the schedule {schedule.name}, which stays."


def dangling_remarks(after: State) -> Iterator[str]:
    """Yield a remark for each schedule that is not the fleet's, and whose target has no valid document afterwards."""
    for name, due in after.schedules.items():
        if due.target != ALL and due.target not in after.targets:
            yield f"{due.target}: it will have no valid document, but the schedule {name} names it. Delete the schedule."


def unmarked_remarks(unmarked: Sequence[str]) -> Iterator[str]:
    """Yield a remark about targets that are as the files say, although `apply` did not write them."""
    if unmarked:
        first = ", ".join(unmarked[:3]) + (", …" if len(unmarked) > 3 else "")
        yield (
            f"{counted(len(unmarked), 'target')} ({first}) stored as the files say, but not by `apply`. "
            "`apply --adopt` marks what is the fleet's; what has no mark is never changed."
        )
