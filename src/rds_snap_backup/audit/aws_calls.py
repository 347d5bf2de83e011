"""Calls to AWS within the run's time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rds_snap_backup.audit.checks import AWS
from rds_snap_backup.bootstrap import AWS_FAILURES
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

# The most that an AWS call takes, its tries included.
CALL_SECONDS = 25.0


@dataclass(frozen=True)
class AwsCalls:
    """Makes calls while there is time for one. Returns the result or a `Problem`; never raises AWS errors."""

    seconds_left: Callable[[], float]

    def result[T](self, call: Callable[[], T]) -> T | Problem:
        """Return what a call returns."""
        if self.seconds_left() < CALL_SECONDS:
            return OUT_OF_TIME
        try:
            return call()
        except AWS_FAILURES as failure:
            logger.warning("A call to AWS failed", exc_info=True)
            return Problem("AWS_FAILURE", clean_text(str(failure)), AWS)

    def rows[T](self, listing: Callable[[], Iterable[T]]) -> list[T] | Problem:
        """Return all rows of a listing that is read page by page; never a part of them."""

        def read() -> list[T] | Problem:
            found: list[T] = []
            for row in listing():
                if self.seconds_left() < CALL_SECONDS:
                    return OUT_OF_TIME
                found.append(row)
            return found

        return self.result(read)
