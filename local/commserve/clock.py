"""The simulator's clock: Unix seconds that can be moved forward, frozen or given from outside.

It is not the machine's clock, and nothing here sleeps: what depends on time is computed from `now()`.
"""

import time
from collections.abc import Callable
from email.utils import formatdate
from threading import Lock


class Clock:
    """Seconds since 1970 in the simulator. Clients see two others: the web server's, and the CommServe's in rows of jobs."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._lock = Lock()
        self._origin = self._base = source()
        self._frozen = False
        self.offset = 0.0  # of both clocks that clients see
        self.row_offset = 0.0  # of the CommServe's clock against the web server's

    def now(self) -> float:
        """Return the simulated time, without the offsets."""
        with self._lock:
            return self._now()

    def shown(self, at: float | None = None) -> float:
        """Return `at` (default: now) on the web server's clock."""
        return (self.now() if at is None else at) + self.offset

    def row(self, at: float) -> int:
        """Return `at` as a row of a job shows it: whole seconds on the CommServe's clock."""
        return int(self.shown(at) + self.row_offset)

    def date(self) -> str:
        """Return the value of the `Date` header."""
        return formatdate(self.shown(), usegmt=True)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._base += seconds

    @property
    def frozen(self) -> bool:
        """Whether it is stopped; `advance` still moves it."""
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        with self._lock:
            self._base, self._origin = self._now(), self._source()
            self._frozen = value

    def freeze(self) -> None:
        """Stop the clock."""
        self.frozen = True

    def thaw(self) -> None:
        """Start a frozen clock again."""
        self.frozen = False

    def _now(self) -> float:
        return self._base if self._frozen else self._base + self._source() - self._origin
