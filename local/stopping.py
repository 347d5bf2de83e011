"""Ctrl-C and other signals unwind a program, so that everything that it started is stopped."""

import signal
from types import FrameType
from typing import Never

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def stop_on_signals() -> None:
    """Raise `Stopped` at the first signal; further ones are ignored."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> Never:
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    raise Stopped(number)
