"""What can go wrong, in words for the engineer on call: a code, what happened, and what to do."""

import re
from dataclasses import asdict, dataclass

MAX_TEXT = 500
# Control characters, line and paragraph separators, and what changes the direction of a terminal's text.
UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]+")


def one_line(text: str) -> str:
    """Return a text from outside as one line of at most 500 characters, without control characters."""
    return UNPRINTABLE.sub(" ", text[: MAX_TEXT * 4]).encode("utf-8", "replace").decode().strip()[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class Problem:
    """The `error` object of notifications, answers and dead letters."""

    code: str
    message: str
    hint: str

    def to_json(self) -> dict[str, str]:
        """Return `{"code", "message", "hint"}`."""
        return asdict(self)


class InvalidInput(Exception):
    """An event or a target that is not valid: it starts nothing and goes to the dead-letter queue."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, hint)
