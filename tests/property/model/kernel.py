"""A model of time and of runs: every call at the wire is an effect, and at every effect a run can be cut off.

It knows no service. What goes wrong, and when runs hand over to each other, the test says.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import EndpointConnectionError

START = 1_790_000_000.0
TIMEOUT_SECONDS = 50.0
CALL_SECONDS = 0.02
SLOW_SECONDS = 26.0

# What can befall a call of AWS. Whether a read was made before it failed is all one, and a run that dies at a read leaves
# what it leaves when it dies after the write before it.
AWS_FAULTS = ("die before", "die after", "fail before", "fail after", "slow", "twice")
READ_FAULTS = ("fail before", "slow")
# The SDK repeats a transaction with the same token, and then it takes effect once.
ONCE_FAULTS = AWS_FAULTS[:-1]


class Killed(BaseException):
    """The sandbox is gone, and with it everything that the run knew."""


class Broken(AssertionError):
    """A promise was broken while runs were under way."""


@dataclass(slots=True, eq=False)
class Run:
    """One invocation. `out`: the submission and the attempt that it saved last; `is_queued`: messages started it."""

    work: Callable[[], None] = lambda: None
    is_queued: bool = False
    started: float = 0.0
    out: tuple[str, int] = ("", 0)
    wakes_at: float = 0.0
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@dataclass(slots=True)
class Kernel:
    """Time, the runs under way, and the faults. One run goes on at a time: the one that holds the baton.

    `made` are the effects so far, each with what can befall it. `faults` are what befalls the next ones of a kind, in
    order, `cut` the number of one effect and what befalls that, `hand_over` the number of one at which another run goes on.
    """

    faults: dict[str, list[str]] = field(default_factory=dict)
    cut: tuple[int, str] = (0, "")
    hand_over: int = 0
    made: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    # The function's metrics.
    counted: Counter[str] = field(default_factory=Counter)
    now: float = START
    current: Run | None = None
    broken: Broken | None = None
    _ready: list[Run] = field(default_factory=list)
    _main: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def time(self) -> float:
        return self.now

    monotonic = time

    def seconds_left(self) -> float:
        """Return how long the run that goes on has until it is cut off."""
        assert self.current
        return self.current.started + TIMEOUT_SECONDS - self.now

    def sleep(self, seconds: float) -> None:
        """Let the other runs go on meanwhile, as far as they do not sleep too."""
        me = self.current
        if me is None or len(self._ready) < 2:
            self.now += seconds
            return
        me.wakes_at = self.now + seconds
        while me.wakes_at > self.now:
            run = min(self._ready, key=lambda ready: (max(ready.wakes_at, self.now), ready is me))
            self.now = max(self.now, run.wakes_at)
            if run is not me:
                self._wait_for(run)

    def fault(self, kind: str, names: Sequence[str]) -> str:
        """Return what befalls this effect, if anything does; those outside of runs are not counted."""
        coming = self.faults.get(kind)
        name = coming.pop(0) if coming else ""
        if self.current:
            self.made.append((kind, names))
            name = self.cut[1] if self.cut[0] == len(self.made) else name
        assert not name or name in names, f"{name} does not befall {kind}"
        return name

    def effect[T](self, kind: str, act: Callable[[], T], names: Sequence[str] = AWS_FAULTS) -> T:
        """Make a call of an AWS service, with whatever befalls it."""
        self.begin_effect()
        match self.fault(kind, names):
            case "die before":
                raise Killed
            case "die after":
                act()
                raise Killed
            case "fail before":
                raise EndpointConnectionError(endpoint_url=kind)
            case "fail after":
                act()
                raise EndpointConnectionError(endpoint_url=kind)
            case "twice":
                act()  # The answer was lost, and the SDK makes the call again by itself.
            case "slow":
                self.now += SLOW_SECONDS
        return act()

    def begin_effect(self) -> None:
        """Let another run go on, and time pass; end a run whose time is over."""
        if self.hand_over and len(self.made) >= self.hand_over and len(self._ready) > 1:
            self.hand_over = 0
            self._wait_for(next(run for run in self._ready if run is not self.current))
        self.now += CALL_SECONDS
        if self.broken or (self.current and self.seconds_left() <= 0):
            raise Killed

    def fail(self, message: str) -> None:
        """A promise was broken: say so once the runs have ended."""
        self.broken = self.broken or Broken(message)
        raise Killed

    def go(self, runs: list[Run]) -> None:
        """Let runs go on until all have ended; one alone needs no thread."""
        for run in runs:
            run.started = self.now
        if len(runs) == 1:
            self.current = runs[0]
            runs[0].work()
        else:
            self._ready = list(runs)
            for run in runs:
                threading.Thread(target=self._work, args=(run,), daemon=True).start()
            self._hand_to(runs[0])
            self._main.acquire()
        self.current = None
        if self.broken:
            raise self.broken

    def _work(self, run: Run) -> None:
        run.baton.acquire()
        try:
            run.work()
        except BaseException as error:  # noqa: BLE001 - an error of the test itself ends it, not the thread
            self.broken = self.broken or Broken(f"{type(error).__name__}: {error}")
        self._ready.remove(run)
        if self._ready:
            self._hand_to(self._ready[0])
        else:
            self._main.release()

    def _wait_for(self, run: Run) -> None:
        """Let another run go on, until the baton is handed over again."""
        me = self.current
        assert me
        self._hand_to(run)
        me.baton.acquire()
        self.current = me

    def _hand_to(self, run: Run) -> None:
        self.current = run
        run.baton.release()
