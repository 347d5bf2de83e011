"""What can go wrong, in words for the engineer on call: a code, what happened, and what to do."""

from dataclasses import asdict, dataclass

MAX_TEXT = 500


def one_line(text: str) -> str:
    """Return a text from outside as one line of at most 500 characters.

    Control characters, lone surrogates and what changes the direction of a terminal's text become blanks.
    """
    # A little more than is kept, so that blanks that are dropped leave enough, and a huge text costs nothing.
    printable = "".join(one if one.isprintable() else " " for one in text.strip()[: 4 * MAX_TEXT])
    return " ".join(printable.split())[:MAX_TEXT].rstrip()


@dataclass(frozen=True)
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
