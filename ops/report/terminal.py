"""The audit on a terminal: a summary, a row for each database, and the findings with what to do."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.report.audit import Audit
from ops.report.values import minute

STYLES = {"protected": "green", "uncovered": "bold red", "unreadable": "bold red", "stale": "bold yellow"}


def show(stack: str, audit: Audit, console: Console) -> None:
    """Print the audit."""
    # Everything is a text: square brackets in a name are not markup.
    console.print(Text.assemble((f"{stack}: ", "bold"), audit.summary))
    databases = _table("Database", "Account and region", "Subclient", "Last completed (UTC)", "Verdict", "Reason")
    for one in audit.databases:
        name = f"{one.name} (cluster)" if one.is_cluster else one.name
        last = f"{minute(one.started)}\njob {one.job} ({one.by})" if one.started else "none"
        cells = [Text(cell) for cell in (name, one.place, one.subclient or "none", last)]
        databases.add_row(*cells, Text(one.verdict, STYLES.get(one.verdict, "")), Text(one.reason))
    console.print(databases)
    if audit.findings:
        findings = _table("Finding", "About", "What was found", "What to do")
        for found in audit.findings:
            findings.add_row(Text(found.code, "bold red"), *map(Text, (found.about, found.message, found.hint)))
        console.print(findings)
    for omission in audit.omissions:
        console.print(Text(omission, "bold yellow"))
    console.print(Text(f"{stack}: {audit.verdict}.", "bold green" if audit.is_ok else "bold red"))


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
