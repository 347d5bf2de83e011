"""The audit on a terminal: a summary, a row for each database, and the findings with what to do."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.report.audit import Audit, Database
from ops.report.values import minute

STYLES = {"covered": "green", "uncovered": "bold red", "stale": "bold yellow", "excluded": "dim"}


def show(stack: str, audit: Audit, console: Console) -> None:
    """Print the audit."""
    console.print(Text.assemble((f"{stack}: ", "bold"), _summary(audit)))
    console.print(_databases(audit))
    if audit.findings:
        console.print(_findings(audit))
    for omission in audit.omissions:
        console.print(Text(omission, "bold yellow"))
    # As texts: square brackets in a name are not markup.
    console.print(Text(f"{stack}: {audit.verdict}.", "bold green" if audit.is_ok else "bold red"))


def _summary(audit: Audit) -> str:
    databases, covered, uncovered, excluded, targets, stale, stuck, _ = audit.counts.values()
    return (
        f"databases {databases} ({covered} covered, {uncovered} uncovered, {excluded} excluded), "
        f"targets {targets} ({stale} stale), stuck submissions {stuck}"
    )


def _databases(audit: Audit) -> Table:
    table = Table()
    for heading in (
        "Database",
        "Engine",
        "Selected by",
        "Last completed (UTC)",
        "Newest manual snapshot (UTC)",
        "Verdict",
    ):
        table.add_column(heading, overflow="fold")
    for one in audit.databases:
        name = f"{one.name} (cluster)" if one.kind == "cluster" else one.name
        cells = name, one.engine, "\n".join(one.selected_by) or "none", _completed(one), _snapshot(one)
        table.add_row(*(Text(cell) for cell in cells), Text(one.verdict, STYLES.get(one.verdict, "")))
    return table


def _completed(database: Database) -> str:
    if completed := database.last_completed:
        return f"{minute(completed.at)}\njob {', '.join(completed.jobs)} of {completed.target}"
    return "none"


def _snapshot(database: Database) -> str:
    return f"{minute(newest.at)}\n{newest.name}" if (newest := database.newest_snapshot) else "none"


def _findings(audit: Audit) -> Table:
    table = Table()
    table.add_column("Finding", no_wrap=True)
    for heading in ("About", "What was found", "What to do"):
        table.add_column(heading, overflow="fold")
    for one in audit.findings:
        table.add_row(Text(one.code, "bold red"), *(Text(cell) for cell in (one.about, one.message, one.hint)))
    return table
