"""Reads what comes from outside: a text, a number, a JSON document, each with bounds.

Everything that an event, a server, a queue, a parameter or the secret says is read by these functions at the place where
it arrives, so that no later place has to expect a text of a megabyte, a number of a thousand digits or a control character.
"""

import json
import re
from typing import Any, TypeIs

from rds_snap_backup.redaction import redact

MAX_TEXT = 500
# Commvault's names, and everything that is compared with them.
MAX_NAME = 500
# Blanks of other scripts and widths, which stand in names, and which Python does not call printable.
SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# DynamoDB keeps numbers of 38 digits; none of Commvault's or AWS's numbers has more than 20.
MAX_NUMBER = 10**20 - 1
# The largest payload that Lambda takes.
MAX_JSON = 6_291_456
# Deeper than anything that AWS or Commvault sends, and far from where Python's own recursion ends.
MAX_DEPTH = 50
# Objects and lists take many times the memory of their text; a full answer of a list has far fewer.
MAX_CONTAINERS = 250_000
# What Python writes before the system's words for an error.
ERRNO = re.compile(r"\[Errno -?\d+\] ?")
# The last second that Python's datetime knows; and a number above this one is in milliseconds, not seconds.
MAX_TIME = 253402300799
MAX_SECONDS = 10**11


class NotJson(ValueError):
    """A text is not JSON that can be read; `str` completes "must be JSON" or "is not JSON", and shows none of it."""


def clean_text(text: str, most: int = MAX_TEXT) -> str:
    """Return a text as one line of at most 500 characters, or fewer, without secrets and numbers of system errors.

    Control characters, lone surrogates and what changes the direction of a terminal's text become blanks.
    """
    # A little more than is kept, so that blanks that are dropped leave enough, and a huge text costs nothing.
    masked = redact(ERRNO.sub("", text.strip()[: 4 * MAX_TEXT]))
    line = " ".join("".join(item if item.isprintable() else " " for item in masked).split())
    # A secret may have blanks: one that stood behind other characters before is one now.
    return (line if line == masked else redact(line))[:most].rstrip()


def is_name(value: object) -> TypeIs[str]:
    """Tell whether this is a text that can stand in a message as it is: 1 to 500 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and is_printable(value)


def is_printable(text: str) -> bool:
    """Tell whether a text has no line break, control character or lone surrogate, and nothing that reverses its direction."""
    return SPACES.sub(" ", text).isprintable()


def whole_number(value: object, least: int = -MAX_NUMBER, most: int = MAX_NUMBER) -> int | None:
    """Return an int, or a text of at most 20 digits as an int, between two bounds; a boolean is not a number."""
    match value:
        case bool():
            return None
        case int():
            number = value
        case str() if re.fullmatch(r"-?[0-9]{1,20}", value):
            number = int(value)
        case _:
            return None
    return number if least <= number <= most else None


def unix_time(value: object) -> int:
    """Return a time in Unix seconds, from seconds or milliseconds; 0 if it is none."""
    number = whole_number(value, 0) or 0
    seconds = number // 1000 if number > MAX_SECONDS else number
    return seconds if seconds <= MAX_TIME else 0


def read_json(text: str | bytes) -> Any:
    """Return a JSON document; raise `NotJson` where it is not one, or larger or deeper than any that is expected."""
    if len(text) > MAX_JSON:
        raise NotJson(f"it is longer than {MAX_JSON} bytes")
    containers = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if containers > MAX_CONTAINERS:
        raise NotJson(f"it has more than {MAX_CONTAINERS} objects and lists")
    try:
        document = json.loads(text)
    except RecursionError:
        raise NotJson(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        # The parser quotes what it found only in messages about bytes of another encoding.
        raise NotJson(error.msg if isinstance(error, json.JSONDecodeError) else "its encoding is unknown") from None
    if is_deep(document):
        raise NotJson(f"it is nested deeper than {MAX_DEPTH} levels")
    return document


def list_in(document: Any, name: str) -> list[Any]:
    """Return the list in an object's member; an empty one where there is no list."""
    listed = document.get(name) if isinstance(document, dict) else None
    return listed if isinstance(listed, list) else []


def is_deep(document: object) -> bool:
    """Tell whether objects and lists are nested so deeply that no function should descend into them."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        if not below:
            return False
        level = below
    return any(isinstance(item, (dict, list)) for item in level)
