"""`inventory`: Commvault's subclients next to RDS's databases, and the groups of a fleet that are made of them."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from rds_snap_backup.targets import Association
from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.fleet.files import (
    HEAD,
    REFERENCE,
    TARGETS,
    Fleet,
    no_fleet,
    read_fleet,
    read_regular,
    require_fleet_name,
)
from rds_snap_backup_cli.fleet.grouping import Covered, exact_associations, extend, is_storable, missing_rows
from rds_snap_backup_cli.fleet.writing import new_fleet, write_files
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import Row, counted, stderr
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

COLUMNS = {
    "match": "Match",
    "clientName": "Client",
    "instanceName": "Instance",
    "subclientName": "Subclient",
    "arn": "Database",
    "engine": "Engine",
}
FILE = {"file": "File"}
UNREAD = ("account", "region", "message")

Write = Annotated[str, typer.Option(metavar="DIR", help="Add what is exact to the fleet of this directory.")]
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
    """Show Commvault's clients, instances and subclients next to the databases of RDS.

    Each row is exact, ambiguous, commvault-only or rds-only. --write adds exact pairs to a fleet's files and changes no file
    that was edited. It also shows missing pairs: a file has them, but Commvault or RDS no longer does.

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
    rows = [row for row in found.rows if is_meant(row, client, account)]
    counts = Counter("excluded" if row.get("excluded") else row["match"] for row in rows)
    columns, added = COLUMNS, ""
    if fleet:
        covered = Covered(fleet, stack.account)
        missing = missing_rows(covered.associations, found.rows, found.unread)
        exact = exact_associations(rows)
        for association in exact:
            if not is_storable(association):
                call.say(
                    clean_text(f"Left out: {' / '.join(association.names)}. A document must not have {REFERENCE}.")
                )
        added = add(Path(write), fleet, covered, list(filter(is_storable, exact)))
        covered = Covered(read_fleet(Path(write)), stack.account)
        rows = [{**row, "file": covered.file_of_row(row)} for row in rows]
        missing = [row for row in missing if is_meant(row, client, account)]
        rows, added = [*rows, *missing], f"{added}{f' {len(missing)} missing.' if missing else ''}"
        columns = COLUMNS | FILE
    call.show(columns, rows, arn=database_of)
    for item in found.unread:
        place = f"{item['account']}/{item['region']}: " if item["account"] else ""
        call.say(clean_text(f"Not read: {place}{item['message']} {item.get('hint', '')}"))
    summary = [f"{counts[name]} {name}" for name in ("exact", "ambiguous", "commvault-only", "rds-only", "excluded")]
    call.conclude(f"{stack.place}: {', '.join(summary)}{', not all was read' if found.unread else ''}.{added}")
    return Exit.FINDINGS if found.unread else Exit.OK


def take_inventory(stack: DeployedStack) -> Inventory:
    """Return the answer's rows of all pages. Each page is an inventory, so each row counts once."""
    rows: dict[tuple[Any, ...], Row] = {}
    unread: dict[tuple[Any, ...], Row] = {}
    page = pages = 1
    while page <= pages:
        match invoke(stack, AUDIT, {"inventory": True} | ({"page": page} if page > 1 else {})):
            case {"inventory": [*found], "unread": [*others], **rest} if are_rows(found, COLUMNS) and are_rows(
                others, UNREAD
            ):
                rows |= {tuple(row[name] for name in list(COLUMNS)[1:]): row for row in found}
                unread |= {tuple(item[name] for name in UNREAD): item for item in others}
                pages = whole_number(rest.get("pages", 1), 1) or 1
            case answer:
                raise unknown_answer(stack, AUDIT, answer)
        page += 1
    return Inventory(list(rows.values()), list(unread.values()))


def are_rows(values: Iterable[Any], fields: Iterable[str]) -> bool:
    """Tell whether these are objects with these fields, each a text or null."""
    return all(
        isinstance(value, dict) and all(isinstance(value.get(name, 0), str | None) for name in fields)
        for value in values
    )


def is_meant(row: Row, client: str, account: str) -> bool:
    """Tell whether a row is of this client and this account, where they are given."""
    return client in {"", row["clientName"]} and (not account or str(row["arn"]).split(":")[4:5] == [account])


def fleet_of(directory: Path, name: str) -> Fleet:
    """Return the fleet of a directory; a new one if it has no files. Raises `CannotRun` if its name is another one."""
    if any(os.path.lexists(path) for path in (directory / HEAD, directory / TARGETS)) or directory.is_symlink():
        fleet = read_fleet(directory)
        if name and not fleet.errors and name != fleet.name:
            raise CannotRun(f"the fleet in {directory} is {fleet.name}. Leave out --name, or name another directory.")
        return fleet
    return no_fleet(directory, require_fleet_name(name or directory.resolve().name))


def add(directory: Path, fleet: Fleet, covered: Covered, exact: Sequence[Association]) -> str:
    """Add associations that the fleet does not have to its files, and return a sentence about it."""
    texts = {entry.file: read_regular(Path(entry.file)).decode() for entry in fleet.entries.values()}
    extension = extend(fleet, covered, texts, exact)
    if not extension.files:
        return f" {directory} has all that is exact."
    files = dict(extension.files)
    if not (directory / HEAD).exists():
        files = {HEAD: new_fleet(fleet.name), **files}
    write_files(directory, files)
    return f" {counted(extension.added, 'association')} added to {directory}: {', '.join(files)}."


def database_of(arn: str | None) -> str:
    """Return a database's name and place."""
    if not arn:
        return ""
    _, _, _, region, account, kind, name = [*arn.split(":", 6), *[""] * 6][:7]
    return f"{name}{' (cluster)' if kind == 'cluster' else ''} {account}/{region}"
