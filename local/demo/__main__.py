"""`python -m local.demo`: start everything, show it, and stop everything, also when interrupted or terminated."""

import signal
import sys
from types import FrameType
from typing import Never

from rich.console import Console

from local.demo.acts import perform
from local.demo.machine import running
from local.demo.view import View
from local.emulator import EmulatorError
from local.stack import DeployError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PROMISE = (
    "This deploys the real template to an emulated AWS and a simulated CommServe, both on 127.0.0.1, and lets backups "
    "happen; apart from the first run's downloads of pinned tools, nothing leaves this machine."
)


class Stopped(BaseException):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def stop(number: int, _frame: FrameType | None) -> Never:
    """Unwind, so that everything that was started is stopped; further signals are ignored."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise Stopped(number)


def main() -> int:
    """Run the demo and return its exit status."""
    for one in SIGNALS:
        signal.signal(one, stop)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    console.print(PROMISE, soft_wrap=not console.is_terminal)
    try:
        with View(console) as view, running(view) as machine:
            summary = perform(machine, view)
    except Stopped as stopped:
        console.print(f"Stopped by {stopped}; everything that was started has ended.")
        return 128 + stopped.number
    except (DeployError, EmulatorError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    console.print(summary.table(is_final=True))
    console.print(summary.verdict(view.seconds), soft_wrap=True)
    return 0 if summary.is_complete else 1


if __name__ == "__main__":
    sys.exit(main())
