"""`export`: the files of a fleet from what a stack holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import field_name, parse_target
from rds_snap_backup.triggers import TARGET_NAME, invalid_name
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.fleet.files import HEAD, TARGETS, require_fleet_name, wrong_in_target
from rds_snap_backup_cli.fleet.stored import Stored, StoredTarget, read_stored
from rds_snap_backup_cli.fleet.writing import to_yaml, write_files
from rds_snap_backup_cli.output import counted
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

# Its document and its schedule belong to CloudFormation.
DEFAULT_TARGET = "default"

Directory = Annotated[str, typer.Argument(metavar="DIR", help="A new or empty directory.", show_default=False)]
FleetName = Annotated[str, typer.Option(help="Of the fleet. Default: the documents' fleet, else the stack's name.")]


@command("export prod fleet", "export prod fleet --name sales")
def export(call: Call, directory: Directory, name: FleetName = "") -> Exit:
    """Write a fleet's files from the targets and schedules that the stack holds. `plan` then finds no difference.

    Targets of other fleets are left out. Exit status 1: a document is not valid, and was left out.
    """
    stack = call.stack()
    with call.progress("Reading targets and schedules"):
        stored = read_stored(stack)
    fleet = fleet_name(stored, name, stack.name)
    targets = {target.name: target for target in stored.targets.values() if target.fleet in {None, fleet}}
    others = len(stored.targets) - len(targets)
    if has_default(stack) and DEFAULT_TARGET in targets:
        del targets[DEFAULT_TARGET]
        call.say(f"Left out: the target {DEFAULT_TARGET}, which the stack's parameters make.")
    reasons = {target.name: reason for target in targets.values() if (reason := problem(target, fleet))}
    files = {HEAD: to_yaml({"name": fleet})}
    files |= {
        f"{TARGETS}/{target.name}.yaml": to_yaml(file_document(target))
        for target in sorted(targets.values(), key=lambda target: target.name)
        if target.name not in reasons
    }
    require_empty(Path(directory), files)
    write_files(Path(directory), files)
    for target, reason in reasons.items():
        call.say(f"Left out: the target {target}. {reason}")
    if others:
        call.say(f"Left out: {counted(others, 'target')} of other fleets.")
    for schedule in stored.schedules.values():
        if schedule.target not in {None, DEFAULT_TARGET}:
            call.say(f"Left out: the schedule {schedule.name} of {schedule.target}, which `schedule` did not make.")
    call.conclude(f"{stack.place}: {counted(len(files) - 1, 'target')} of the fleet {fleet} written to {directory}.")
    return Exit.FINDINGS if reasons else Exit.OK


def has_default(stack: DeployedStack) -> bool:
    """Tell whether the stack's template makes the target `default`."""
    given = {item["ParameterKey"]: item["ParameterValue"] for item in stack.description.get("Parameters", [])}
    return bool(given.get("ClientName"))


def fleet_name(stored: Stored, name: str, default: str) -> str:
    """Return the fleet to export. Raises `CannotRun` if there are several, or the name is none."""
    fleets = sorted({target.fleet for target in stored.targets.values() if target.fleet})
    if not name and len(fleets) > 1:
        raise CannotRun(f"the stack has the fleets {', '.join(fleets)}. Name one with --name.")
    return require_fleet_name(name or next(iter(fleets), default))


def file_document(target: StoredTarget) -> dict[str, Any]:
    """Return what a target's file says: its document without the fleet's mark, and its schedule."""
    document = dict(target.content) if isinstance(target.content, Mapping) else {}
    document.pop("fleet", None)
    return document | ({"schedule": dict(target.schedule.content)} if target.schedule else {})


def problem(target: StoredTarget, fleet: str) -> str | None:
    """Return why a target's document is not valid, or its file would not be."""
    if not TARGET_NAME.fullmatch(target.name):
        return invalid_name(target.name).problem.message
    try:
        parse_target(target.name, target.name, target.text)
    except InvalidInput as invalid:
        return invalid.problem.message
    wrong = wrong_in_target(file_document(target), fleet)
    return next((f"{field_name(path)}: {reason}." for path, reason in wrong), None)


def require_empty(directory: Path, files: Mapping[str, str]) -> None:
    """Raise `CannotRun` if a directory has other files than these. Hidden ones do not count."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        if path.read_text(encoding="utf-8", errors="replace") != files.get(name.as_posix()):
            raise CannotRun(f"{directory} is not empty: {name} differs. Name an empty directory; nothing was written.")
