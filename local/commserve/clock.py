"""The simulator's clock: Unix seconds that can be moved forward, sped up, frozen or given from outside.

It is not the machine's clock, and nothing here sleeps: what depends on time is computed from `now()`.
"""

import time
from collections.abc import Callable
from email.utils import formatdate
from threading import Lock


class Clock:
    """Seconds since 1970 as Commvault sees them; `offset` skews only what is shown to clients."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._lock = Lock()
        self._origin = self._base = source()
        self._speed = 1.0
        self._frozen = False
        self.offset = 0.0

    def now(self) -> float:
        """Return the simulated time, without the offset."""
        with self._lock:
            return self._now()

    def shown(self, at: float | None = None) -> float:
        """Return `at` (default: now) as it is shown to clients."""
        return (self.now() if at is None else at) + self.offset

    def date(self) -> str:
        """Return the value of the `Date` header."""
        return formatdate(self.shown(), usegmt=True)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._base += seconds

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        with self._lock:
            self._rebase()
            self._speed = value

    @property
    def frozen(self) -> bool:
        """Whether it is stopped."""
        return self._frozen

    def freeze(self) -> None:
        """Stop the clock; `advance` still moves it."""
        with self._lock:
            self._rebase()
            self._frozen = True

    def thaw(self) -> None:
        """Start a frozen clock again."""
        with self._lock:
            self._rebase()
            self._frozen = False

    def _now(self) -> float:
        return self._base if self._frozen else self._base + (self._source() - self._origin) * self._speed

    def _rebase(self) -> None:
        self._base, self._origin = self._now(), self._source()
