"""`validate`: checks the files of a fleet, without AWS. What it accepts, no function refuses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import read_fleet
from rds_snap_backup_cli.fleet.schema import SCHEMAS, FileKind
from rds_snap_backup_cli.fleet.warnings import warnings_of
from rds_snap_backup_cli.output import Format, counted, stdout, write_json
from rds_snap_backup_cli.program import Call, command

COLUMNS = {"kind": "Kind", "file": "File", "line": "Line", "field": "Field", "reason": "Reason"}

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The fleet's directory.")]
PrintedSchema = Annotated[
    FileKind | None, typer.Option("--schema", help="Print the JSON Schema of a kind of file instead.")
]


@command("validate fleet", "validate fleet --format json", "validate --schema target", rows=True, is_offline=True)
def validate(call: Call, directory: Directory = ".", schema: PrintedSchema = None) -> Exit:
    """Check the files of a fleet, without AWS: all errors at once, as file:line: field: reason.

    Exit status 1: there are errors. Warnings change nothing.
    """
    if schema:
        write_json(SCHEMAS[schema]())
        return Exit.OK
    fleet = read_fleet(Path(directory))
    warnings = warnings_of(fleet, datetime.now(UTC))
    remarks = [("error", error) for error in fleet.errors] + [("warning", warning) for warning in warnings]
    if call.format is not Format.TABLE:
        call.show(COLUMNS, [{"kind": kind, **vars(remark)} for kind, remark in remarks])
    for kind, remark in remarks if call.format is Format.TABLE else ():
        stdout().print(f"{remark}{' (warning)' if kind == 'warning' else ''}", soft_wrap=True)
    found = f"{counted(len(fleet.errors), 'error')}, {counted(len(warnings), 'warning')}"
    valid = counted(len(fleet.entries), "valid target")
    call.conclude(f"{directory}: {found}, {valid}.", "bold red" if fleet.errors else "")
    return Exit.FINDINGS if fleet.errors else Exit.OK
