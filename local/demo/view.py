"""What the demo shows: each step as soon as it is over and, on a terminal, the state of all steps below."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from local.demo.facts import Facts, groups, remark
from local.demo.report import Report
from local.demo.steps import STEPS, Step

STYLES = {
    "Scheduler": "magenta",
    "invoke": "magenta",
    "RDS": "magenta",
    "answer": "cyan",
    "Commvault": "yellow",
    "SNS": "green",
    "dead letter": "red",
}


class View:
    """Prints steps, and a live table on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._began = time.time()

    @property
    def seconds(self) -> float:
        """How long the demo has run."""
        return time.time() - self._began

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def print(self, what: RenderableType) -> None:
        """Print something; a line in a log is not broken."""
        is_log = not (self.console.is_terminal or self.console.record)
        self.console.print(what, soft_wrap=is_log and not isinstance(what, Table))

    def show(self, below: RenderableType) -> None:
        """Show something below the lines, on a terminal."""
        if self._live:
            self._live.update(below, refresh=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say what is being done, and how long it took."""
        self.show(Spinner("dots", text=what))
        began = time.monotonic()
        yield
        self.print(f"{what}: {time.monotonic() - began:.1f} s")

    def print_step(self, number: int, step: Step, facts: Facts) -> None:
        """Print everything that happened in a step, and what of it is as it must be."""
        self.print(Text(f"\n{number}. {step.title}", "bold"))
        for line in facts.lines(step.target):
            head = (f"{line.at - self._began:8.1f} s  ", "dim"), (f"{line.who:<12}", STYLES[line.who])
            self.print(Text.assemble(*head, line.what))
        self._print_checks(step.checks(facts))

    def print_report(self, number: int, report: Report) -> None:
        """Print the audit's verdict on each database, and whether it is as it must be."""
        self.print(Text(f"\n{number}. The audit asks which databases can be restored", "bold"))
        table = Table(box=None, padding=(0, 2, 0, 3))
        for heading in ("database", "verdict", "why"):
            table.add_column(heading, no_wrap=heading != "why")
        for row in report.rows:
            style = "" if row.verdict == "protected" else "bold red"
            table.add_row(row.database, Text(row.verdict, style), row.why)
        self.print(table)
        self._print_checks(report.checks())

    def _print_checks(self, checks: Sequence[tuple[str, bool]]) -> None:
        marks = [Text.assemble(_mark(holds), f" {what}  ") for what, holds in checks]
        self.print(Text.assemble("   ", *marks))

    def show_progress(self, facts: Facts) -> None:
        """Show the latest line of each step."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for number, step in enumerate(STEPS, 1):
            lines = facts.lines(step.target)
            latest = f"{lines[-1].who}: {lines[-1].what}" if lines else ""
            state = _mark(holds=True) if step.is_done(facts) else Text("…")
            table.add_row(state, f"{number}. {step.title}", Text(latest, "dim", overflow="ellipsis", no_wrap=True))
        self.show(Group("", table))

    def print_messages(self, facts: Facts) -> None:
        """Print the table of all notifications."""
        table = Table(title="\nWhat a subscriber received")
        for heading in ("s", "target", "status", "groups", "jobs", ""):
            table.add_column(heading, justify="right" if heading == "s" else "left")
        for at, body in sorted(facts.messages, key=lambda message: message[0]):
            what = body["target"], body["status"], groups(body), ", ".join(body["jobIds"])
            table.add_row(f"{at - self._began:.1f}", *what, remark(body))
        self.print(table)


def _mark(holds: bool) -> Text:
    return Text("✓", "bold green") if holds else Text("✗", "bold red")


def picture(console: Console, title: str) -> str:
    """Return what a recording console printed as SVG, in the reader's own monospace font: no file is fetched for it."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas")
