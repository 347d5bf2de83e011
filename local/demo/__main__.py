"""`python -m local.demo`: start everything, show it, and stop everything, also when interrupted or terminated.

With `--svg FILE` what it printed is also written as a picture, such as the README's.
"""

import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Never

from rich.console import Console

from local.demo.acts import perform
from local.demo.machine import running
from local.demo.report import Report
from local.demo.view import View, picture
from local.emulator import EmulatorError
from local.stack import DeployError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_WIDTH = 140
PICTURE_WIDTH = 120
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
    parser = ArgumentParser(prog="python -m local.demo", description=PROMISE)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also write what is printed to this file, as SVG")
    svg: Path | None = parser.parse_args().svg
    for one in SIGNALS:
        signal.signal(one, stop)
    view = View(_console(is_recorded=svg is not None))
    view.print(PROMISE)
    try:
        with view, running(view) as machine:
            summary = perform(machine, view)
            report = Report.make(machine, view)
    except Stopped as stopped:
        view.print(f"Stopped by {stopped}; everything that was started has ended.")
        return 128 + stopped.number
    except (DeployError, EmulatorError) as error:
        view.print(str(error))
        return 1
    view.print(summary.table(is_final=True))
    view.print(report.shown)
    view.print(summary.verdict(view.seconds, report))
    if svg:
        svg.write_text(picture(view.console, "make demo"))
    return 0 if summary.is_complete and report.is_as_expected else 1


def _console(*, is_recorded: bool) -> Console:
    if is_recorded:
        return Console(highlight=False, markup=False, record=True, width=PICTURE_WIDTH)
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=LOG_WIDTH)


if __name__ == "__main__":
    sys.exit(main())
