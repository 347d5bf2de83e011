"""Calls to AWS within a time: a result, or the problem that there is none."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text


@dataclass(frozen=True)
class Calls:
    """Makes calls while there is time for one: it takes at most `call_seconds`. Never raises AWS errors.

    `too_late` is the problem without time, `hint` that of a failure.
    """

    seconds_left: Callable[[], float]
    call_seconds: float
    too_late: Problem
    hint: str

    def result[T](self, call: Callable[[], T]) -> T | Problem:
        """Return what a call returns."""
        if self.seconds_left() < self.call_seconds:
            return self.too_late
        try:
            return call()
        except (ClientError, BotoCoreError) as failure:
            logger.warning("A call to AWS failed", exc_info=True)
            return Problem("AWS_FAILURE", clean_text(str(failure)), self.hint)

    def rows[T](self, listing: Callable[[], Iterable[T]]) -> list[T] | Problem:
        """Return all rows of a listing that is read page by page; never a part of them."""

        def read() -> list[T] | Problem:
            found: list[T] = []
            for row in listing():
                if self.seconds_left() < self.call_seconds:
                    return self.too_late
                found.append(row)
            return found

        return self.result(read)
