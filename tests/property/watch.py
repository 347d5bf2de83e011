"""Ends a process whose example hangs, and shows where it was. How long all examples take is the machine's business."""

import faulthandler
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.evidence import FAILURES

# An example takes a twentieth of a second, so one that takes this long never ends.
HUNG_SECONDS = 240


@contextmanager
def watched(name: str) -> Iterator[Callable[[], None]]:
    """Yield what is called before each example; where the process ended, `build/failures/hung-NAME.txt` has its stacks."""
    FAILURES.mkdir(parents=True, exist_ok=True)
    path = FAILURES / f"hung-{name}.txt"
    with path.open("w") as stacks:
        try:
            yield lambda: faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True, file=stacks)
        finally:
            faulthandler.cancel_dump_traceback_later()
            path.unlink()
