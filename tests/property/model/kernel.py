"""A model of time and of sandboxes: every call at the wire is an effect, and at every effect a run can be cut off.

It knows no service. What may go wrong, and when runs hand over to each other, is a schedule that the test chooses.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import EndpointConnectionError

START = 1_790_000_000.0
TIMEOUT_SECONDS = 50.0
CALL_SECONDS = 0.02
SLOW_SECONDS = 26.0

RENEWAL = {"renew", "secret write", "secret label"}
AWS_FAULTS = ("die before", "die after", "fail before", "fail after", "twice", "slow")


class Killed(BaseException):
    """The sandbox is gone, and with it everything that the run knew."""


class Broken(AssertionError):
    """A promise was broken while runs were under way."""


@dataclass(slots=True)
class Sandbox:
    """One of the function's sandboxes; its clock is off by `skew` seconds. `services` is None while it is cold."""

    number: int
    skew: float
    services: Any = None


@dataclass(slots=True, eq=False)
class Run:
    """One invocation.

    `out` is the submission and the number of the attempt that it saved last and is sending; `is_queued` tells whether
    messages of the queue started it, `befallen` what went wrong.
    """

    sandbox: Sandbox
    is_queued: bool = False
    work: Callable[[], None] = lambda: None
    started: float = 0.0
    effects: int = 0
    out: tuple[str, int] = ("", 0)
    wakes_at: float = 0.0
    befallen: list[str] = field(default_factory=list)
    worker: "Worker | None" = None

    def remaining_seconds(self, now: float) -> float:
        return self.started + TIMEOUT_SECONDS - now


class Worker(threading.Thread):
    """Runs what it is given while it holds the baton."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.baton = threading.Semaphore(0)
        self.job: Callable[[], None] = lambda: None
        self.start()

    def run(self) -> None:
        while True:
            self.baton.acquire()
            self.job()


WORKERS: list[Worker] = []


@dataclass(slots=True)
class Schedule:
    """Pairs of a number of chances to let pass and a choice for the next one; after the last there is none."""

    pairs: Sequence[tuple[int, int]]
    position: int = 0
    passed: int = 0

    def next(self) -> int | None:
        if self.position >= len(self.pairs):
            return None
        gap, choice = self.pairs[self.position]
        if self.passed < gap:
            self.passed += 1
            return None
        self.position, self.passed = self.position + 1, 0
        return choice


@dataclass(slots=True)
class Kernel:
    """Time, the runs under way, and the faults. One run goes on at a time: the one that holds the baton."""

    faults: dict[str, Schedule]
    switches: Schedule
    # The calls of runs at one time come one after the other here: where there are many, each takes a part of its time.
    call_seconds: float = CALL_SECONDS
    seen: Counter[str] = field(default_factory=Counter)
    now: float = START
    current: Run | None = None
    broken: Broken | None = None
    choice: int = 0
    # Something that lasts: so many runs are killed, each at this effect of it.
    doomed: int = 0
    doomed_at: int = 0
    _ready: list[Run] = field(default_factory=list)
    _main: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def time(self) -> float:
        return self.now + (self.current.sandbox.skew if self.current else 0.0)

    def monotonic(self) -> float:
        return self.now

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
        """Return what goes wrong at this effect, if anything does."""
        choice = self._schedule(kind).next()
        if choice is None:
            return ""
        self.choice = choice
        name = names[choice % len(names)]
        self.seen[f"{kind}: {name}"] += 1
        if self.current:
            self.current.befallen.append(f"{kind}: {name}")
        return name

    def _schedule(self, kind: str) -> Schedule:
        """Requests to Commvault and renewals are few among all effects, and have schedules of their own."""
        if kind in RENEWAL:
            return self.faults.get(kind, self.faults.get("renewal", self.faults["aws"]))
        return self.faults.get(kind, self.faults["aws"])

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
        """Let other runs go on, and time pass; end a run whose time is over."""
        self._switch()
        self.now += self.call_seconds
        if self.broken:
            raise Killed
        run = self.current
        if run is None:
            return
        run.effects += 1
        if run.remaining_seconds(self.now) <= 0:
            self._kill("killed by the timeout")
        if self.doomed and run.effects == self.doomed_at:
            self.doomed -= 1
            self._kill("killed by what lasts")

    def _kill(self, why: str) -> None:
        self.seen[why] += 1
        if self.current:
            self.current.befallen.append(why)
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
            WORKERS.extend(Worker() for _ in range(len(runs) - len(WORKERS)))
            for run, worker in zip(runs, WORKERS, strict=False):
                run.worker, worker.job = worker, partial(self._work, run)
            self._ready = list(runs)
            self._hand_over(runs[0])
            self._main.acquire()
        self.current = None
        if self.broken:
            raise self.broken

    def _work(self, run: Run) -> None:
        try:
            run.work()
        except BaseException as error:  # noqa: BLE001 - an error of the test itself ends the example, not the thread
            self.broken = self.broken or Broken(f"{type(error).__name__}: {error}")
        self._ready.remove(run)
        if self._ready:
            self._hand_over(self._ready[(self.switches.next() or 0) % len(self._ready)])
        else:
            self._main.release()

    def _switch(self) -> None:
        if len(self._ready) < 2 or (choice := self.switches.next()) is None:
            return
        me = self.current
        others = [run for run in self._ready if run is not me]
        self.seen["hand-overs between two runs"] += 1
        self._wait_for(others[choice % len(others)])

    def _wait_for(self, run: Run) -> None:
        """Let another run go on, until the baton is handed over again."""
        me = self.current
        assert me is not None
        assert me.worker is not None
        self._hand_over(run)
        me.worker.baton.acquire()
        self.current = me

    def _hand_over(self, run: Run) -> None:
        assert run.worker is not None
        self.current = run
        run.worker.baton.release()
