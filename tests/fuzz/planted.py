"""Harnesses of functions with a planted bug: each must fail, or the harnesses beside it prove nothing."""

from rds_snap_backup.problems import Problem
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET, Choices, edited, is_choices, read, text_of, written


def crash(data: bytes) -> None:
    """Take for granted that a member is a text, which a document as it should be has."""
    text = text_of(data)
    if is_choices(data):
        choices = Choices(data[1:])
        text = written(edited(choices, [{"target": "orders"}], ["target"]), choices)
    match read(text):
        case {"target": target}:
            target.strip()


def slow(data: bytes) -> None:
    """Take ten times as long for every byte that came in."""
    for _ in range(10 ** min(len(data), 12)):
        pass


def greedy(data: bytes) -> None:
    """Take ten times as much memory for every byte that came in."""
    bytearray(10 ** min(len(data), 12))


def leak(data: bytes) -> None:
    """Show what came in as it is: more than one line, or the secret."""
    shown = text_of(data)
    limits.problem(Problem("X", shown, "x"))
    limits.hidden(shown.replace("planted", SECRET), "a message")
