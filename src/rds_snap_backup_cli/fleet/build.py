"""`build`: a fleet's files as a CloudFormation template, without AWS."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import Fleet, read_fleet
from rds_snap_backup_cli.fleet.template import MAX_BYTES, MAX_INLINE_BYTES, MAX_RESOURCES, template_text
from rds_snap_backup_cli.fleet.warnings import warnings_of
from rds_snap_backup_cli.fleet.writing import write_file
from rds_snap_backup_cli.output import counted, stderr
from rds_snap_backup_cli.program import Call, command

SPLIT = "Move some targets to a second directory with another name, and deploy it as another stack"

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The fleet's directory.", show_default=False)]
Out = Annotated[str, typer.Option("--out", metavar="FILE", help="The template's file.", show_default=False)]


@command("build fleet --out fleet.json", is_offline=True)
def build(call: Call, directory: Directory, out: Out) -> Exit:
    """Write a fleet's files as a CloudFormation template, without AWS. The same files give the same bytes.

    Deploy it with `aws cloudformation deploy` and the parameter BackupStack, the name of the stack that backs up. Exit status
    1: the files are not valid, and no template was written.
    """
    fleet = read_fleet(Path(directory))
    text = "" if fleet.errors else template_text(fleet)
    problems = [*map(str, fleet.errors), *([] if fleet.errors else limits(fleet, directory, text))]
    if problems:
        for problem in problems:
            stderr().print(problem)
        stderr().print(f"{directory}: {counted(len(problems), 'error')}. No template was written; correct the files.")
        return Exit.FINDINGS
    for warning in warnings_of(fleet, datetime.now(UTC)):
        call.say(f"{warning} (warning)")
    write_file(Path(out), text)
    schedules = sum(entry.schedule is not None for entry in fleet.entries.values())
    size = len(text.encode())
    bucket = " --s3-bucket BUCKET" if size > MAX_INLINE_BYTES else ""
    call.conclude(
        f"{out}: {counted(len(fleet.entries), 'target')}, {counted(schedules, 'schedule')}, {size:,} bytes. "
        f"Next: aws cloudformation deploy --template-file {out} --stack-name {fleet.name}{bucket} "
        "--parameter-overrides BackupStack=STACK"
    )
    return Exit.OK


def limits(fleet: Fleet, directory: str, text: str) -> list[str]:
    """Return why CloudFormation would refuse a template of valid files."""
    number = len(fleet.entries) + sum(entry.schedule is not None for entry in fleet.entries.values())
    if not fleet.entries:
        return [f"{directory}: there is no target, and a template needs one. Add targets/NAME.yaml."]
    if number > MAX_RESOURCES:
        return [f"{directory}: {number} targets and schedules, and a stack has {MAX_RESOURCES} resources. {SPLIT}."]
    if (size := len(text.encode())) > MAX_BYTES:
        return [f"{directory}: the template has {size:,} bytes, and CloudFormation takes {MAX_BYTES:,}. {SPLIT}."]
    return []
