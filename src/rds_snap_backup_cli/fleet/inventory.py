"""`inventory`: Commvault's instance groups and the databases that they select, and a fleet that is made of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from rds_snap_backup.targets import NAMES
from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.fleet.additions import Addition, additions_of, extend, files_of, reason_to_leave_out
from rds_snap_backup_cli.fleet.files import (
    HEAD,
    TARGETS,
    Fleet,
    no_fleet,
    read_fleet,
    read_regular,
    require_directory,
    require_fleet_name,
)
from rds_snap_backup_cli.fleet.writing import new_fleet, write_files
from rds_snap_backup_cli.functions import AUDIT, pages_of, unknown_answer
from rds_snap_backup_cli.output import Format, Row, counted, moment, stderr
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

COLUMNS = {
    "group": "Instance group",
    "content": "Content",
    "arn": "Database",
    "selectedBy": "Selected by",
    "restorePoint": "Restore point",
    "targets": "Targets",
}
FILE = {"file": "File"}
# Of a row of the answer: texts or null.
TEXTS = (*NAMES, "content", "arn", "engine", "selectedBy", "doubt")
UNREAD = ("account", "region", "message")

Write = Annotated[str, typer.Option(metavar="DIR", help="Add groups without a target to the fleet of this directory.")]
FleetName = Annotated[str, typer.Option(help="Of a new fleet. Default: the directory's name.", show_default=False)]
OneClient = Annotated[str, typer.Option(help="Only this client of Commvault.", show_default=False)]
OneAccount = Annotated[str, typer.Option(help="Only databases of this account.", show_default=False)]


@dataclass(frozen=True)
class Inventory:
    """The Audit function's answer, of all pages. `unread` has account, region, message and hint of what is not in it."""

    rows: Sequence[Row]
    unread: Sequence[Row]


@command("inventory prod", "inventory prod --format csv", "inventory prod --write fleet --client aws-prod", rows=True)
def inventory(
    call: Call, write: Write = "", name: FleetName = "", client: OneClient = "", account: OneAccount = ""
) -> Exit:
    """Show Commvault's instance groups and the databases that each selects.

    A row is a pair of both: by what the group selects the database, its newest restore point, and the targets of the group.
    --write adds each group without a target to a fleet's files. It changes no file that was edited.

    Exit status 1: something could not be read, or the fleet's files are not valid.
    """
    fleet = fleet_of(Path(write), name) if write else None
    if fleet and fleet.errors:
        for error in fleet.errors:
            stderr().print(str(error))
        call.conclude(
            f"{write}: {counted(len(fleet.errors), 'error')}. Nothing was written; correct the files.", "bold red"
        )
        return Exit.FINDINGS
    stack = call.stack()
    with call.progress("The Audit function takes the inventory, for up to 10 minutes"):
        found = take_inventory(stack)
    rows = sorted((row for row in found.rows if is_meant(row, client, account)), key=order)
    columns, added = COLUMNS, ""
    if fleet:
        meant = {names_in(row) for row in rows}
        additions = [item for item in additions_of(found.rows) if item.association.names in meant]
        added = add(Path(write), fleet, list(storable(call, fleet, additions)))
        files = files_of(read_fleet(Path(write)) if Path(write).exists() else fleet)
        rows = [{**row, "file": files.get(names_in(row))} for row in rows]
        columns = COLUMNS | FILE
    if call.is_table:
        columns = {key: heading for key, heading in columns.items() if key != "content"}
    shown = rows if call.format is Format.JSON else in_words(rows, call.format)
    call.show(columns, shown, arn=database_of, restorePoint=lambda at: moment(at) if at else "")
    for item in found.unread:
        place = f"{item['account']}/{item['region']}: " if item["account"] else ""
        call.say(clean_text(f"Not read: {place}{item['message']} {item.get('hint', '')}"))
    call.conclude(f"{stack.place}: {summary(rows)}{', not all was read' if found.unread else ''}.{added}")
    return Exit.FINDINGS if found.unread else Exit.OK


def take_inventory(stack: DeployedStack) -> Inventory:
    """Return the answer's rows of all pages, each once."""
    rows: dict[tuple[Any, ...], Row] = {}
    unread: dict[tuple[Any, ...], Row] = {}
    for page in pages_of(stack, {"inventory": True}):
        match page:
            case {"inventory": [*found], "unread": [*others]} if all(map(is_row, found)) and are_texts(others, UNREAD):
                rows |= {(*names_in(row), row["arn"]): row for row in found}
                unread |= {tuple(item[name] for name in UNREAD): item for item in others}
            case answer:
                raise unknown_answer(stack, AUDIT, answer)
    return Inventory(list(rows.values()), list(unread.values()))


def are_texts(values: Iterable[Any], fields: Iterable[str]) -> bool:
    """Tell whether these are objects with these fields, each a text or null."""
    return all(
        isinstance(value, dict) and all(isinstance(value.get(name, 0), str | None) for name in fields)
        for value in values
    )


def is_row(value: Any) -> bool:
    """Tell whether this is a row of the inventory."""
    match value:
        case {"targets": None | [*_] as targets, "restorePoint": None | {"createdAt": str()}, "excluded": bool()}:
            return are_texts([value], TEXTS) and all(isinstance(name, str) for name in targets or ())
        case _:
            return False


def is_meant(row: Row, client: str, account: str) -> bool:
    """Tell whether a row is of this client and this account, where they are given."""
    return client in {"", row["clientName"]} and (not account or str(row["arn"]).split(":")[4:5] == [account])


def names_in(row: Row) -> tuple[Any, Any, Any]:
    """Return the names of a row's group, None each if it has none."""
    return row["clientName"], row["instanceName"], row["subclientName"]


def order(row: Row) -> tuple[Any, ...]:
    """Return what rows are sorted by: their groups, and databases that no group selects last."""
    return not row["clientName"], *map(str, names_in(row)), str(row["arn"])


def in_words(rows: Iterable[Row], form: Format) -> list[Row]:
    """Return rows for people. A table shows a group's content once, behind its name."""
    shown: list[Row] = []
    before = None
    for row in rows:
        names = names_in(row)
        content = f": {row['content']}" if form is Format.TABLE and names != before and row["content"] else ""
        before = names
        by = row["selectedBy"] or (f"perhaps: {row['doubt']}" if row["doubt"] else None)
        shown.append(
            {
                **row,
                "group": f"{' / '.join(names)}{content}" if row["clientName"] else None,
                "selectedBy": "excluded by its tag" if row["excluded"] and not by else by,
                "restorePoint": row["restorePoint"]["createdAt"] if row["restorePoint"] else None,
            }
        )
    return shown


def summary(rows: Sequence[Row]) -> str:
    """Return the numbers of groups and databases in words."""
    targets = {names_in(row): row["targets"] for row in rows if row["clientName"]}
    databases = {row["arn"]: row["excluded"] for row in rows if row["arn"]}
    selected = {row["arn"] for row in rows if row["arn"] and row["clientName"]}
    alone = counted(sum(found == [] for found in targets.values()), "group")
    missed = counted(sum(not excluded for arn, excluded in databases.items() if arn not in selected), "database")
    begin = f"{counted(len(targets), 'instance group')}, {counted(len(databases), 'database')}"
    return f"{begin}; {alone} without a target, {missed} without a group"


def fleet_of(directory: Path, name: str) -> Fleet:
    """Return the fleet of a directory; a new one if it has no files. Raises `CannotRun` if its name is another one."""
    if any(os.path.lexists(path) for path in (directory / HEAD, directory / TARGETS)) or directory.is_symlink():
        fleet = read_fleet(directory)
        if name and not fleet.errors and name != fleet.name:
            raise CannotRun(f"the fleet in {directory} is {fleet.name}. Leave out --name, or name another directory.")
        return fleet
    if directory.exists():
        require_directory(directory)
    return no_fleet(directory, require_fleet_name(name or directory.resolve().name))


def storable(call: Call, fleet: Fleet, additions: Iterable[Addition]) -> Iterator[Addition]:
    """Yield the additions that no file has and that can be written; say which cannot."""
    known = files_of(fleet)
    for addition in additions:
        if addition.association.names in known:
            continue
        if reason := reason_to_leave_out(addition):
            call.say(clean_text(f"Left out: {' / '.join(addition.association.names)}. {reason}"))
        else:
            yield addition


def add(directory: Path, fleet: Fleet, additions: Sequence[Addition]) -> str:
    """Add additions to a fleet's files, and return a sentence about it."""
    if not additions:
        return f" {directory} has all groups without a target."
    texts = {entry.file: read_regular(Path(entry.file)).decode() for entry in fleet.entries.values()}
    files = extend(fleet, texts, additions)
    if not (directory / HEAD).exists():
        files = {HEAD: new_fleet(fleet.name), **files}
    write_files(directory, files)
    return f" {counted(len(additions), 'association')} added to {directory}: {', '.join(files)}."


def database_of(arn: str | None) -> str:
    """Return a database's name and place."""
    if not arn:
        return ""
    _, _, _, region, account, kind, name = [*arn.split(":", 6), *[""] * 6][:7]
    return f"{name}{' (cluster)' if kind == 'cluster' else ''} {account}/{region}"
