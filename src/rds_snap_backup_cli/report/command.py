"""`report`: audits the stack, and shows which of its databases have a recent backup."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from rds_snap_backup.untrusted import whole_number
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import Format, Row, rows_to_table, stdout, write_json, write_rows, write_text
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.report.content import Content
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.stack import DeployedStack

DATABASES = {
    "name": "Database",
    "account": "Account",
    "region": "Region",
    "subclient": "Subclient",
    "evidence": "Last completed (UTC)",
    "verdict": "Verdict",
    "reason": "Reason",
}
FINDINGS = {
    "code": "Finding",
    "account": "Account",
    "region": "Region",
    "about": "About",
    "message": "What was found",
    "hint": "What to do",
}
CSV = (
    *("row", "account", "region", "database", "verdict", "subclient", "jobId", "startedAt", "by", "reason", "arn"),
    *("target", "code", "message", "hint"),
)
S3 = "s3://"


class Form(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


CONTENT_TYPES = {
    Form.TABLE: "text/plain; charset=utf-8",
    Form.JSON: "application/json",
    Form.CSV: "text/csv; charset=utf-8",
    Form.HTML: "text/html; charset=utf-8",
}

AsForm = Annotated[Form, typer.Option("--format", help="html is one page for auditors, csv has the findings too.")]
Out = Annotated[str, typer.Option(metavar="FILE", help="A file or s3://BUCKET/KEY. Default: standard output.")]


@command(
    "report prod",
    "report prod --format html --out report.html",
    "report prod --format csv --out s3://audits/rds/today.csv",
)
def report(call: Call, form: AsForm = Form.TABLE, out: Out = "") -> Exit:
    """Audit the stack: every database, its last completed backup, and what is wrong. Submits nothing.

    Exit status 1: there are findings.
    """
    require_place(out)
    stack = call.stack()
    with call.progress("The Audit function runs, for up to 10 minutes"):
        answer = audit(stack)
    content = Content.read(answer)
    if out:
        text = StringIO(newline="")
        with redirect_stdout(text):
            print_report(form, stack, content, answer)
        write(stack, out, text.getvalue().encode(), CONTENT_TYPES[form])
        call.conclude(f"{stack.place}: {content.verdict}. The report is in {out}.")
    else:
        print_report(form, stack, content, answer)
    for omission in content.omissions if form is Form.CSV else ():  # which has no place for it
        call.say(omission)
    return Exit.OK if content.is_ok else Exit.FINDINGS


def audit(stack: DeployedStack) -> Mapping[str, Any]:
    """Return the audit's answer with the databases of all its pages. Each page is an audit, so each database counts once."""
    answer: dict[str, Any] = {}
    databases: dict[str, Any] = {}
    page = pages = 1
    while page <= pages:
        part = invoke(stack, AUDIT, {"audit": True} | ({"page": page} if page > 1 else {}))
        match part:
            case {"status": "audit", "databases": [*rows]} if all(isinstance(row, dict) for row in rows):
                databases |= {str(row.get("arn")): row for row in rows}
            case _:
                raise unknown_answer(stack, AUDIT, part)
        answer = answer or part
        pages = whole_number(part.pop("pages", 1), 1) or 1
        page += 1
    return {**answer, "databases": list(databases.values())}


def require_place(out: str) -> None:
    """Raise `CannotRun` if `out` names no file that can be written."""
    if out.startswith(S3):
        bucket, _, key = out.removeprefix(S3).partition("/")
        if not bucket or not key or key.endswith("/"):
            raise CannotRun(f"{out} names no object. Write s3://BUCKET/KEY.")
    elif out and not Path(out).absolute().parent.is_dir():
        parent = Path(out).parent
        raise CannotRun(f"{out} cannot be written: there is no folder {parent}. Create it, or name another file.")


def write(stack: DeployedStack, out: str, body: bytes, content_type: str) -> None:
    """Write the report to a file or, with the operator's own rights, to a bucket."""
    if out.startswith(S3):
        bucket, _, key = out.removeprefix(S3).partition("/")
        stack.session.client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
    else:
        Path(out).write_bytes(body)


def print_report(form: Form, stack: DeployedStack, content: Content, answer: Any) -> None:
    """Write the report to standard output."""
    match form:
        case Form.JSON:
            write_json(answer)
        case Form.CSV:
            rows = [csv_row("database", database) for database in content.databases]
            rows += [csv_row("finding", finding) for finding in content.findings]
            write_rows(Format.CSV, dict.fromkeys(CSV, ""), rows, {})
        case Form.HTML:
            write_text(html_of(stack, content))
        case Form.TABLE:
            print_tables(stack, content)


def print_tables(stack: DeployedStack, content: Content) -> None:
    """Print a summary, a row for each database, and the findings with what to do."""
    console = stdout()
    console.print(f"{stack.place}: {content.summary}.", soft_wrap=True)
    console.print(content.since, soft_wrap=True)
    if content.databases:
        console.print(rows_to_table(DATABASES, map(table_row, content.databases), {}))
    if content.findings:
        console.print(rows_to_table(FINDINGS, content.findings, {}))
    for omission in content.omissions:
        console.print(omission, style="yellow", soft_wrap=True)
    console.print(f"{stack.place}: {content.verdict}.", style="green" if content.is_ok else "bold red", soft_wrap=True)


def table_row(one: Row) -> Row:
    """Return a database's row of the table."""
    name = f"{one['database']} (cluster)" if one["isCluster"] else one["database"]
    evidence = ", ".join(filter(None, (one["started"], one["job"]))) or "none"
    return {**one, "name": name, "subclient": one["subclient"] or "none", "evidence": evidence}


def csv_row(kind: str, one: Row) -> Row:
    """Return a row of the CSV: a database or a finding, as the column `row` says."""
    return {**dict.fromkeys(CSV, ""), **one, "row": kind}
