"""`report`: audits the stack, and shows which of its databases have a recent backup."""

from contextlib import redirect_stdout
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import Format, Row, rows_to_table, stdout, write_json, write_rows
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.report.content import Content
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.stack import DeployedStack

DATABASES = {
    "name": "Database",
    "place": "Account and region",
    "subclient": "Subclient",
    "last": "Last completed (UTC)",
    "verdict": "Verdict",
    "reason": "Reason",
}
FINDINGS = {"code": "Finding", "about": "About", "message": "What was found", "hint": "What to do"}
CSV = {
    name: name
    for name in ("arn", "verdict", "subclient", "last_completed_job", "last_completed_utc", "started_by", "reason")
}


class Form(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


AsForm = Annotated[Form, typer.Option("--format", help="html is one page for auditors, without scripts.")]
Out = Annotated[Path | None, typer.Option(help="The file to write. Default: standard output.")]


@command("report prod", "report prod --format html --out report.html", "report prod --format csv")
def report(call: Call, form: AsForm = Form.TABLE, out: Out = None) -> Exit:
    """Audit the stack: every database, its last completed backup, and what is wrong. Submits nothing.

    Exit status 1: there are findings.
    """
    if out and not out.absolute().parent.is_dir():
        raise CannotRun(f"{out} cannot be written: there is no folder {out.parent}. Create it, or name another file.")
    stack = call.stack()
    with call.progress("The Audit function runs, for up to 10 minutes"):
        answer = invoke(stack, AUDIT, {"audit": True})
    if not isinstance(answer, dict) or answer.get("status") != "audit":
        raise unknown_answer(stack, AUDIT, answer)
    content = Content.read(answer)
    if out:
        text = StringIO(newline="")
        with redirect_stdout(text):
            print_report(form, stack, content, answer)
        out.write_text(text.getvalue(), encoding="utf-8", newline="")
        call.conclude(f"{stack.place}: {content.verdict}. The report is in {out}.")
    else:
        print_report(form, stack, content, answer)
    for omission in content.omissions if form is Form.CSV else ():  # which has no place for it
        call.say(omission)
    return Exit.OK if content.is_ok else Exit.FINDINGS


def print_report(form: Form, stack: DeployedStack, content: Content, answer: Any) -> None:
    """Write the report to standard output."""
    match form:
        case Form.JSON:
            write_json(answer)
        case Form.CSV:
            write_rows(Format.CSV, CSV, list(map(csv_row, content.databases)), {})
        case Form.HTML:
            stdout().file.write(html_of(stack, content))
        case Form.TABLE:
            print_tables(stack, content)


def print_tables(stack: DeployedStack, content: Content) -> None:
    """Print a summary, a row for each database, and the findings with what to do."""
    console = stdout()
    console.print(f"{stack.place}: {content.summary}.", soft_wrap=True)
    if content.databases:
        console.print(rows_to_table(DATABASES, map(table_row, content.databases), {}))
    if content.findings:
        console.print(rows_to_table(FINDINGS, content.findings, {}))
    for omission in content.omissions:
        console.print(omission, style="yellow", soft_wrap=True)
    console.print(f"{stack.place}: {content.verdict}.", style="green" if content.is_ok else "bold red", soft_wrap=True)


def table_row(one: Row) -> Row:
    """Return a database's row of the table."""
    last = f"{one['started']}, job {one['jobId']} ({one['by']})" if one["started"] else "none"
    name = f"{one['name']} (cluster)" if one["isCluster"] else one["name"]
    return {**one, "name": name, "subclient": one["subclient"] or "none", "last": last}


def csv_row(one: Row) -> Row:
    """Return a database's row of the CSV."""
    last = {"last_completed_job": one["jobId"], "last_completed_utc": one["started"], "started_by": one["by"]}
    return {**one, **last}
