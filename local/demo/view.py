"""What the demo shows: lines as things happen, and, on a terminal, the table below them as it fills."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

STYLES = {
    "stack": "cyan",
    "trigger": "bold magenta",
    "Commvault": "yellow",
    "RDS": "blue",
    "SNS": "green",
    "dead letter": "red",
}


class View:
    """Prints log lines, and a live table on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the demo has run."""
        return time.monotonic() - self._began

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

    def say(self, who: str, what: str) -> None:
        """Print that something happened."""
        head = (f"{self.seconds:5.1f} s  ", "dim"), (f"{who:<12}", STYLES.get(who, ""))
        self.print(Text.assemble(*head, what))

    def show(self, below: RenderableType) -> None:
        """Show something below the lines, on a terminal."""
        if self._live:
            self._live.update(below)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say what is being done, and how long it took."""
        self.say("stack", f"{what} …")
        self.show(Spinner("dots", text=what))
        began = time.monotonic()
        yield
        self.say("stack", f"{what}: {time.monotonic() - began:.1f} s")


def picture(console: Console, title: str) -> str:
    """Return what a recording console printed as SVG, in the reader's own monospace font: no file is fetched for it."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas")
