"""`history`: the daily reports of a stack's bucket, as databases by days, and whether a report is missing or was changed."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from typing import Annotated, Any

import typer

from rds_snap_backup.ledger.keys import AUDIT
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.output import Format, counted, rows_to_table, stdout, write_json, write_rows, write_text
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.report.content import MEANINGS, Verdict
from rds_snap_backup_cli.report.days import History, Line, Link, Stored, history_of, last_days, link_of
from rds_snap_backup_cli.report.form import AsForm, Form, Out, form_of, require_place, write
from rds_snap_backup_cli.report.picture import page_of
from rds_snap_backup_cli.stack import DeployedStack

# One sign for each verdict in a terminal; nothing for a day without it.
SIGNS = {
    Verdict.UNCOVERED: "U",
    Verdict.STALE: "S",
    Verdict.UNPROVEN: "P",
    Verdict.AMBIGUOUS: "A",
    Verdict.UNREADABLE: "?",
    Verdict.NEW: "N",
    Verdict.PROTECTED: "+",
    Verdict.EXCLUDED: "-",
}
COLUMNS = {"name": "Database", "days": "Days", "share": "Protected", "gap": "Longest gap", "change": "Change"}
WORKERS = 8

Days = Annotated[int, typer.Option("--days", min=1, max=366, help="How many days, today included.")]
Name = Annotated[str, typer.Option("--database", metavar="NAME", help="Only databases of this name or ARN.")]


@command("history prod", "history prod --days 90 --out history.html", "history prod --database orders --format csv")
def history(call: Call, days: Days = 30, database: Name = "", form: AsForm = None, out: Out = "") -> Exit:
    """Show each database's verdict on each day, from the reports in the stack's bucket, and check their chain.

    Exit status 1: a report is missing, was changed or is not linked.
    """
    require_place(out)
    form = form_of(form, out)
    stack = call.stack()
    bucket = bucket_of(stack)
    wanted = last_days(datetime.now(UTC).date(), days)
    with call.progress(f"Reading the reports of {days} days"):
        stored = stored_reports(stack, bucket, f"{wanted[0]:%Y/%m/%d}")
        found = history_of(stack.place, stored, last_link(stack), wanted, database)
    show = partial(print_history, form, found)
    if out:
        write(call.session, out, form, show)
    else:
        show()
    for problem in found.problems if out or form is not Form.TABLE else ():
        call.say(problem)
    where = f" The history is in {out}." if out else ""
    say = call.conclude if out or form is Form.TABLE else call.say
    say(f"{stack.place}: {counted(len(stored), 'report')}, {chain(found)}.{where}")
    return Exit.OK if found.is_ok else Exit.FINDINGS


def bucket_of(stack: DeployedStack) -> str:
    """Return the name of the bucket. Raises `CannotRun` if the stack has none."""
    given = {item["ParameterKey"]: item["ParameterValue"] for item in stack.description.get("Parameters", [])}
    bucket = str(given.get("ReportBucketName", ""))
    if bucket in {"", "off"}:
        raise CannotRun("the stack keeps no reports. Deploy it with ReportBucketName.")
    return bucket


def stored_reports(stack: DeployedStack, bucket: str, first_day: str) -> list[Stored]:
    """Read all reports since a day, `YYYY/MM/DD`."""
    s3 = stack.session.client("s3")
    prefix = f"rds-snap-backup/{stack.account}/{stack.region}/{stack.name}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=prefix + first_day)
    keys = [row["Key"] for page in pages for row in page.get("Contents", []) if row["Key"].endswith(".json")]

    def read(key: str) -> Stored:
        return Stored(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(read, keys))


def last_link(stack: DeployedStack) -> Link | None:
    """Return the last report that the ledger names."""
    client: Any = stack.session.client("dynamodb")
    item = client.get_item(TableName=stack.output("LedgerTableName"), Key={"pk": {"S": AUDIT}}, ConsistentRead=True)
    record = item.get("Item", {}).get("record", {}).get("S", "{}")
    return link_of(json.loads(record).get("report"))


def print_history(form: Form, found: History) -> None:
    """Write the history to standard output."""
    match form:
        case Form.JSON:
            write_json(document(found))
        case Form.CSV:
            days = [day.isoformat() for day in found.days]
            rows = [{**found.row(line), **dict(zip(days, line.verdicts, strict=True))} for line in found.lines]
            columns = ("arn", "protectedDays", "askedDays", "longestGapHours", "change", *days)
            write_rows(Format.CSV, dict.fromkeys(columns, ""), rows, {})
        case Form.HTML:
            write_text(page_of(found))
        case Form.TABLE:
            print_table(found)


def document(found: History) -> dict[str, Any]:
    """Return the history as JSON; a day without a verdict is null."""
    days = [day.isoformat() for day in found.days]
    return {
        "stack": found.stack,
        "reports": {day.isoformat(): key for day, key in found.reports.items()},
        "withoutReport": [day.isoformat() for day in found.without_report],
        "problems": list(found.problems),
        "databases": [
            {
                **found.row(line),
                "days": {day: verdict or None for day, verdict in zip(days, line.verdicts, strict=True)},
            }
            for line in found.lines
        ],
        "verdicts": MEANINGS,
    }


def print_table(found: History) -> None:
    """Print a row for each database with a sign for each day, and what is wrong with the chain."""
    console = stdout()
    several = len({line.place for line in found.lines}) > 1
    rows = [row_of(found, line, several=several) for line in found.lines]
    if rows:
        console.print(rows_to_table(COLUMNS, rows, {}))
        legend = ", ".join(f"{sign}={verdict}" for verdict, sign in SIGNS.items())
        console.say(f"Each sign is a day, in tens, from {found.days[0]} to {found.days[-1]}: {legend}, .=nothing")
    if found.without_report:
        console.say(f"Days without a report: {', '.join(map(str, found.without_report))}")
    for problem in found.problems:
        console.say(problem, "bold red")


def row_of(found: History, line: Line, *, several: bool) -> dict[str, str]:
    """Return a database's row of the table."""
    gap = line.longest_gap
    signs = (SIGNS[Verdict(verdict)] if verdict else "." for verdict in line.verdicts)
    return {
        "name": f"{line.name}, {line.place}" if several else line.name,
        # A line breaks after ten days.
        "days": " ".join(map("".join, batched(signs, 10))),  # noqa: B911 # 3.12 has no `strict`
        "share": f"{line.protected} of {counted(line.asked, 'day')}",
        "gap": "no restore point known" if gap is None else f"{gap:.0f} h",
        "change": found.change(line),
    }


def chain(found: History) -> str:
    """Return in words whether the chain holds."""
    return f"{counted(len(found.problems), 'problem')} in their chain" if found.problems else "and their chain holds"
