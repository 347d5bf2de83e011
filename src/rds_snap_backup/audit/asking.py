"""Asking AWS within the time of one run: an answer, or the problem that there is none. It raises nothing of AWS's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rds_snap_backup.audit.report import AWS
from rds_snap_backup.bootstrap import AWS_FAILURES
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

# What an AWS call may take at most, its tries included.
AWS_SECONDS = 20.0


@dataclass(frozen=True)
class Asking:
    """Asks while there is time for a call; `seconds_left` counts down to the end of asking."""

    seconds_left: Callable[[], float]

    def one[T](self, call: Callable[[], T]) -> T | Problem:
        """Return what a call returns."""
        if self.seconds_left() < AWS_SECONDS:
            return OUT_OF_TIME
        try:
            return call()
        except AWS_FAILURES as failure:
            logger.warning("AWS could not be asked", exc_info=True)
            return Problem("AWS_FAILURE", clean_text(str(failure)), AWS)

    def all[T](self, rows: Callable[[], Iterable[T]]) -> list[T] | Problem:
        """Return all rows of a listing whose pages are read one by one; a part of them is not an answer."""

        def read() -> list[T] | Problem:
            found: list[T] = []
            for row in rows():
                if self.seconds_left() < AWS_SECONDS:
                    return OUT_OF_TIME
                found.append(row)
            return found

        return self.one(read)
