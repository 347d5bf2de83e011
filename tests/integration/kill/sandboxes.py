"""Sandboxes of the built functions, whose logs a test that fails shows, and which start one at a time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from local.runtime import Runtime

# Held from the making of a world until its run is where it is to be killed; what follows is waiting. If all started at
# once, their simulators, which share this process, could be too slow for the 5 s in which the functions connect.
ONE_STARTS = Lock()


def wait_for(condition: Callable[[], object], within: float = 60) -> None:
    """Wait until a run is somewhere, or fail."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def sandbox(package: Path, handler: str, environment: dict[str, str], *, timeout: int = 50) -> Iterator[Runtime]:
    """Run a function, and print its log at the end: pytest shows what was printed where a test fails."""
    with Runtime(package, handler, environment, timeout=timeout) as function:
        try:
            yield function
        finally:
            sys.stdout.write(function.output)
