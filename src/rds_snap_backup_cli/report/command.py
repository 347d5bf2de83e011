"""`report`: audits the stack, or reads a stored report, and shows which databases have a recent restore point."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any

import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.functions import AUDIT, pages_of, unknown_answer
from rds_snap_backup_cli.output import (
    Format,
    Row,
    findings_to_text,
    rows_to_table,
    stdout,
    write_json,
    write_rows,
    write_text,
)
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.report.content import MEANINGS, Content, Verdict
from rds_snap_backup_cli.report.form import AsForm, Form, Out, form_of, read, require_place, write
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.stack import DeployedStack

DATABASES = {
    "name": "Database",
    "verdict": "Verdict",
    "created": "Restore point (UTC)",
    "run": "Job, from and to (UTC)",
    "reason": "Reason",
}
CSV = (
    *("row", "account", "region", "database", "verdict", "groups", "restorePoint", "createdAt", "snapshot"),
    *("jobId", "startedAt", "endedAt", "by", "reason", "lastRead", "arn", "target", "code", "message", "hint"),
)

# A report does not fail because nobody can tell who asks for it.
QUICK = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})

From = Annotated[
    str, typer.Option("--from", metavar="FILE", help="A stored report, a file or s3://BUCKET/KEY. Needs no stack.")
]
Verdicts = Annotated[
    list[Verdict] | None, typer.Option("--verdict", help="Only databases of this verdict; can be repeated.")
]
MaxAge = Annotated[
    float | None,
    typer.Option("--max-age", metavar="HOURS", min=0, help="Only databases without a restore point in these hours."),
]


@command(
    "report prod",
    "report prod --verdict stale --verdict uncovered",
    "report prod --out report.html",
    "report --from report.json --format csv",
    needs_stack=False,
)
def report(  # noqa: PLR0913, PLR0917 # each is an option
    call: Call,
    form: AsForm = None,
    out: Out = "",
    source: From = "",
    verdicts: Verdicts = None,
    max_age: MaxAge = None,
) -> Exit:
    """Audit the stack: every database, its newest restore point, and what is wrong. Submits nothing.

    Problems come first. Exit status 1: there are findings.
    """
    require_place(out)
    form = form_of(form, out)
    if source:
        answer = read(call.session, source)
    else:
        stack = call.stack()
        with call.progress("The Audit function runs, for up to 10 minutes"):
            answer = {**audit(stack), "askedBy": f"{caller(stack)}, by hand"}
    content = Content.read(answer).narrowed(verdicts or (), max_age)
    show = partial(print_report, form, content, answer)
    if out:
        write(call.session, out, form, show)
        call.conclude(f"{content.place}: {content.verdict}. The report is in {out}.")
    else:
        show()
    for omission in content.omissions if form in {Form.CSV, Form.JSON} else ():  # which have no place for it
        call.say(omission)
    return Exit.OK if content.is_ok else Exit.FINDINGS


def caller(stack: DeployedStack) -> str:
    """Return who asks, as AWS knows them."""
    try:
        return str(stack.session.client("sts", config=QUICK).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError):
        return "an unknown caller"


def audit(stack: DeployedStack) -> dict[str, Any]:
    """Return the audit's answer with the databases of all its pages, each once."""
    answer: dict[str, Any] = {}
    databases: dict[str, Any] = {}
    for page in pages_of(stack, {"audit": True}):
        match page:
            case {"status": "audit", "databases": [*rows]} if all(isinstance(row, dict) for row in rows):
                databases |= {str(row.get("arn")): row for row in rows}
            case _:
                raise unknown_answer(stack, AUDIT, page)
        answer = answer or page
    return {**answer, "databases": list(databases.values())}


def print_report(form: Form, content: Content, answer: Mapping[str, Any]) -> None:
    """Write the report to standard output."""
    match form:
        case Form.JSON:
            by_arn = {row.get("arn"): row for row in answer["databases"]}
            databases = [by_arn[row["arn"]] for row in content.databases if row["arn"] in by_arn]
            write_json({**answer, "databases": databases, "verdicts": MEANINGS})
        case Form.CSV:
            write_rows(Format.CSV, dict.fromkeys(CSV, ""), csv_rows(content), {})
        case Form.HTML:
            write_text(html_of(content))
        case Form.TABLE:
            print_tables(content)


def csv_rows(content: Content) -> list[Row]:
    """Return the rows of the CSV: what it is of, findings, databases and what verdicts mean, as the column `row` says."""
    facts: list[Row] = [{"code": title, "message": fact} for title, fact in content.facts.items() if fact]
    facts += [{"code": "Digest", "message": line} for line in content.digest]
    facts += [{"code": "Outage", "message": content.outage}] if content.outage else []
    kinds: dict[str, list[Row]] = {
        "audit": facts,
        "account": [{**row, "message": f"{row['databases'] or 'unread'} databases"} for row in content.accounts],
        "finding": content.findings,
        "database": content.databases,
        "verdict": [{"verdict": name, "message": meaning} for name, meaning in MEANINGS.items()],
    }
    nothing = dict.fromkeys(CSV, "")
    return [
        {**nothing, **{name: cell for name, cell in row.items() if name in nothing}, "row": kind}
        for kind, rows in kinds.items()
        for row in rows
    ]


def print_tables(content: Content) -> None:
    """Print what the report is of, the findings with what to do, and a row for each database, problems first."""
    console = stdout()
    console.say(f"{content.place}: {content.summary}.")
    for title in ("Audited (UTC)", "Asked by", "Commvault", "Maximum age", "Report"):
        if fact := content.facts[title]:
            console.say(f"{title}: {fact}")
    first, *lines = content.digest
    console.say(f"{first} {'; '.join(lines)}.")
    if content.outage:
        console.say(content.outage, "bold red")
    has_one_place = content.counts["places"] == 1
    if content.findings:
        findings = [{**row, "where": where(row, has_one_place=has_one_place)} for row in content.findings]
        console.print(
            findings_to_text((f"{row['code']}: {row['where']}", row["message"], row["hint"]) for row in findings)
        )
    if content.databases:
        found = {row["message"] for row in content.findings}
        rows = [table_row(row, found, has_one_place=has_one_place) for row in content.databases]
        console.print(rows_to_table(DATABASES, rows, {}))
    for omission in content.omissions:
        console.say(omission, "yellow")
    console.say(f"{content.place}: {content.verdict}.", "green" if content.is_ok else "bold red")


def where(row: Row, *, has_one_place: bool) -> str:
    """Return what a finding is about; account and region only where there are several."""
    place = "" if has_one_place else " ".join(filter(None, (row["account"], row["region"])))
    return ", ".join(filter(None, (row["about"], place))) or "the stack"


def table_row(one: Row, found: Collection[str], *, has_one_place: bool) -> Row:
    """Return a database's row of the table. A reason that stands in a finding, of these texts, is not repeated."""
    name = f"{one['database']} (cluster)" if one["isCluster"] else one["database"]
    place = "" if has_one_place else f", {one['account']} {one['region']}"
    day = one["started"][: len("2026-01-31 ")]
    span = " to ".join(filter(None, (one["started"], one["ended"].removeprefix(day))))
    run = ": ".join(filter(None, (one["job"], span))) or "none"
    reason = "" if any(one["reason"] in message for message in found) else one["reason"]
    return {**one, "name": f"{name}{place}", "created": one["created"] or "none", "run": run, "reason": reason}
