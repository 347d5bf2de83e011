"""Texts that come from outside, as they may be printed."""

MAX_TEXT = 300


def one_line(text: str, length: int = MAX_TEXT) -> str:
    """Return a text on one line, without control characters, and cut to `length` characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
