"""Values of JSON from outside, read strictly: a value of another type raises `TypeError` or `ValueError`."""

from datetime import UTC, datetime


def text(value: object) -> str:
    r"""Return a text with all that does not print made visible: controls, and marks that reorder what follows (`\u202e`)."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in value)


def optional_text(value: object) -> str:
    """Return a text; null is empty."""
    return "" if value is None else text(value)


def number(value: object) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def flag(value: object) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not a boolean")
    return value


def time(value: object) -> datetime:
    """Return a time such as `2026-01-31T02:00:04Z`, in UTC."""
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return found.astimezone(UTC)


def optional_time(value: object) -> datetime | None:
    """Return a time; null is None."""
    return None if value is None else time(value)


def minute(at: datetime | None) -> str:
    """Return a time as a person reads it; None is empty."""
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
