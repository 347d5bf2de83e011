"""What the demo shows: lines as things happen, and, on a terminal, the table below them as it fills."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

STYLES = {"stack": "cyan", "trigger": "bold magenta", "Commvault": "yellow", "SNS": "green", "dead letter": "red"}


class View:
    """Prints log lines, and a live table on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
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

    def say(self, who: str, what: str) -> None:
        """Print that something happened."""
        head = (f"{self.seconds:5.1f} s  ", "dim"), (f"{who:<12}", STYLES.get(who, ""))
        line = Text.assemble(*head, what)
        self._console.print(line, soft_wrap=not self._console.is_terminal)

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
