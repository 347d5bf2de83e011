"""Promises that every outcome keeps, for any input: texts are one printable line, keys fit, no secret is shown."""

import json
import unicodedata

from rds_snap_backup.problems import Problem
from rds_snap_backup.triggers import MAX_IDENTITY, Trigger
from rds_snap_backup.untrusted import MAX_TEXT
from tests.fuzz.inputs import SECRET

# A message of ours may quote a text from outside, which is limited by itself.
MAX_MESSAGE = MAX_TEXT + 500
# More than the digits of Commvault's numbers.
MAX_DIGITS = 20


def require(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def line(text: str, what: str, most: int = MAX_TEXT) -> None:
    """Require one printable line, which no terminal and no encoder stumbles over, without the secret."""
    require(len(text) <= most, f"{what} has more than {most} characters")
    is_shown = not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for char in text)
    require(is_shown, f"{what} is not one printable line")


def hidden(text: str, what: str) -> None:
    """Require that the secret is not shown."""
    require(SECRET not in text, f"{what} shows the secret")


def number(digits: str) -> None:
    """Require the ID of a job."""
    require(digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS, "a job's ID is not a short number")


def problem(some: Problem | None) -> None:
    """Require an error whose texts can be shown."""
    if some is not None:
        line(some.code, "a problem's code", 64)
        line(some.message, "a problem's message", MAX_MESSAGE)
        line(some.hint, "a problem's hint")


def trigger(some: Trigger) -> None:
    """Require a trigger whose texts can be shown and kept, and that survives being written and read."""
    require(0 < len(some.id.encode()) <= MAX_IDENTITY, "a trigger's id is empty or too long")
    for name in ("id", "time", "rds_event_id", "source_arn", "message", "account"):
        line(getattr(some, name) or "", f"a trigger's {name}", MAX_IDENTITY)
    for name in some.tagged:
        line(name, "a name in a tag")
    require(Trigger.from_json(json.loads(json.dumps(some.to_message()))) == some, "a trigger changes on its way")
    require(some.moment(1.79e9) <= 1.79e9, "a trigger lies in the future")
