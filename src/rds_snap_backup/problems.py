"""What can go wrong, in words for the engineer on call: a code, what happened, and what to do."""

from dataclasses import asdict, dataclass


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
