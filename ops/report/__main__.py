"""`python -m ops.report STACK`: audit a deployed stack, and show which of its databases have a recent backup.

It exits with 1 when there are findings.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ops.command import Exit, execute, parser
from ops.report.audit import Audit, ask
from ops.report.page import Facts, html_of
from ops.report.rows import csv_of
from ops.report.terminal import show
from ops.stack import CannotRun, DeployedStack

ABOUT = "Audit of a deployed stack: its databases, their last backups, and what is wrong. Nothing is submitted."
FORMATS = ("table", "json", "csv", "html")
FILE_WIDTH = 160  # characters of a table in a file

type Say = Callable[[str], None]


def main(arguments: Sequence[str]) -> Exit:
    """Show the audit of the stack that is named; return the exit status."""
    made = parser("report", ABOUT)
    made.add_argument("--format", choices=FORMATS, default="table", help="default: table")
    made.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    options = made.parse_args(arguments)
    return execute(partial(report, form=options.format, out=options.out), options)


def report(stack: DeployedStack, form: str, out: Path | None) -> Exit:
    """Ask for the audit, and show or write it."""
    if out and not out.absolute().parent.is_dir():
        raise CannotRun(f"{out} cannot be written: there is no folder {out.parent}. Create it, or name another file.")
    with progress() as say:
        say("the Audit function runs, for up to 10 minutes")
        answer = ask(stack)
        audit = Audit.read(answer)
        match form:
            case "json":
                text = json.dumps(answer, indent=2) + "\n"
            case "csv":
                text = csv_of(audit)
            case "html":
                text = html_of(Facts.of(stack, datetime.now(UTC)), audit)
            case _:
                text = table(stack, audit)
    if out:
        write(text, out)
        print(f"{stack.name}: {audit.verdict}. The report is in {out}.")
    elif form == "table":  # in colours, and as wide as the terminal
        show(stack.name, audit, Console())
    else:
        sys.stdout.write(text)
    for omission in audit.omissions if form == "csv" else ():  # which has no place for it
        print(f"{stack.name}: {omission}", file=sys.stderr)
    return Exit.OK if audit.is_ok else Exit.FINDINGS


def table(stack: DeployedStack, audit: Audit) -> str:
    """Return as a text what is shown on a terminal."""
    file = StringIO()
    show(stack.name, audit, Console(file=file, width=FILE_WIDTH, color_system=None))
    return file.getvalue()


def write(text: str, out: Path) -> None:
    """Write the report to a file, as it is."""
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise CannotRun(f"{out} cannot be written: {error.strerror}. Name another file.") from error


@contextmanager
def progress() -> Iterator[Say]:
    """Show what is being done, and for how long, on standard error where that is a terminal."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    shown = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with shown:
        task = shown.add_task("", total=None)
        yield lambda what: shown.update(task, description=what, refresh=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
