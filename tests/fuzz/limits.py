"""What every outcome keeps to, whatever came in, and what an input may cost.

A text is one printable line, a key fits into DynamoDB and a message into SQS and SNS, no secret is shown; an input takes
at most one second of processor time, and no more memory than the function has.
"""

import json
import resource
import signal
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from rds_snap_backup.problems import Problem
from rds_snap_backup.triggers import MAX_IDENTITY, Trigger
from rds_snap_backup.untrusted import MAX_TEXT
from tests.fuzz.hostile import SECRET

MAX_SECONDS = 1.0
# What the template gives to a function.
MAX_MEMORY = 512 * 1024 * 1024
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_KEY = 2048
MAX_ITEM = 400 * 1024
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, and SQS's SendMessage.
MAX_MESSAGE = 256 * 1024
# As many digits as Commvault's numbers have.
MAX_DIGITS = 20
# A message of ours may quote a text from outside, which is limited by itself.
MAX_MESSAGE_TEXT = MAX_TEXT + 500
# The other attributes of an item, and their names.
ITEM_RESERVE = 20_000
# As many characters of a secret as are taken out of texts.
RUN = 12
RUNS = tuple(SECRET[at : at + RUN] for at in range(len(SECRET) - RUN + 1))


class TooSlow(BaseException):
    """An input took more than a second. No `except Exception` of the code under test catches it."""


def require(condition: object, what: str) -> None:
    """Fail unless a promise is kept."""
    if not condition:
        raise AssertionError(what)


def line(text: object, what: str, most: int = MAX_TEXT) -> None:
    """Require one printable line."""
    require(isinstance(text, str), f"{what} is not a text: {type(text).__name__}")
    require(len(str(text)) <= most, f"{what} has more than {most} characters")
    require(not any(map(_is_hidden, str(text))), f"{what} is not one printable line")


def _is_hidden(char: str) -> bool:
    """Tell whether a character breaks a line, controls a terminal, reverses a direction, or is half a pair."""
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def hidden(text: str, what: str) -> None:
    """Require that no part of the secret is shown."""
    require(not shows(text), f"{what} shows the secret")


def shows(text: str) -> bool:
    """Tell whether a text has a part of the secret."""
    return any(run in text for run in RUNS)


def key(text: str) -> None:
    """Require a key that DynamoDB accepts."""
    require(0 < len(encoded(text, "a key")) <= MAX_KEY, f"a key has no bytes, or more than {MAX_KEY}")


def encoded(text: str, what: str) -> bytes:
    """Return a text in UTF-8, which AWS's SDK must be able to write."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise AssertionError(f"{what} has lone surrogates") from None


def number(digits: str) -> None:
    """Require the ID of a job."""
    require(digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS, "a job's ID is not a short number")


def problem(some: Problem | None) -> None:
    """Require an error whose texts can be shown."""
    if some is not None:
        line(some.code, "a problem's code", 64)
        line(some.message, "a problem's message", MAX_MESSAGE_TEXT)
        line(some.hint, "a problem's hint")


def trigger(some: Trigger) -> None:
    """Require a trigger whose texts can be shown, and that is the same after it was written and read."""
    line(some.id, "a trigger's id", MAX_IDENTITY)
    require(0 < len(encoded(some.id, "a trigger's id")) <= MAX_IDENTITY, "a trigger's id is empty or too long")
    for name in ("time", "rds_event_id", "source_arn", "message"):
        if (value := getattr(some, name)) is not None:
            line(value, f"a trigger's {name}", MAX_IDENTITY)
    require(Trigger.from_json(json.loads(json.dumps(some.to_json()))) == some, "a trigger changes on its way")


def item(notification: dict[str, Any]) -> None:
    """Require that a notification can be kept in the ledger."""
    require(len(json.dumps(notification)) <= MAX_ITEM - ITEM_RESERVE, "a notification does not fit into an item")


def limited(fuzz: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a harness that fails for an input which takes too long, or too much memory from now on."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {MAX_SECONDS:.0f} s of processor time")

    def checked(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, MAX_SECONDS)
        try:
            fuzz(data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    signal.signal(signal.SIGVTALRM, stop)
    with suppress(OSError):  # Only Linux says how much address space is taken.
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MAX_MEMORY, resource.RLIM_INFINITY))
    return checked
