"""What the wire said: an HTTP response, and what can be read from it whatever was asked. Pure: no request is made here.

The forms of a response, and the places where an error stands, are those of Commvault's API pages and of what its own
clients read. What a response means is decided elsewhere: `outcomes.py` for CreateTask, `queries.py` for reading.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.commvault.hints import RETRIED
from rds_snap_backup.commvault.redaction import redact
from rds_snap_backup.problems import MAX_TEXT, Problem, one_line

# Error codes of a refused login or token.
LOGIN_REFUSED = frozenset({"5", "1116", "1134"})
# Used where the response does not say how long a rate limit lasts.
THROTTLE_SECONDS = 900
MAX_THROTTLE_SECONDS = 6 * 3600
NO_TEXT = "Commvault gave no text."
# Errors are searched in objects nested no deeper than this: Commvault's own go half as deep.
MAX_DEPTH = 10


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response as it arrived.

    `body` is None when it was cut off or is longer than is read. `clock_ahead` is how many seconds the server's clock
    is, at least, ahead of ours: its `Date` compared at the moment the headers arrived, 0 without a readable date.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    clock_ahead: float = 0.0


def document_of(response: HttpResponse) -> Any:
    """Return a response's JSON, or None where it has none."""
    try:
        return json.loads(response.body) if response.body else None
    except (ValueError, RecursionError):
        return None


def errors(document: Any) -> Iterator[Problem]:
    """Yield each error in a response, wherever Commvault puts it; a code of 0 or "0" is a success."""
    for entry in _entries(document, MAX_DEPTH):
        if code := whole_number(entry.get("errorCode")):
            yield Problem(str(code), _message(entry) or NO_TEXT, RETRIED)


def xml_error(response: HttpResponse) -> Problem | None:
    """Return the error of older releases, which answer `<TMMsg_GenericResp errorCode="…" …/>` whatever is accepted."""
    content = _unmarked(response.body)
    if not content.startswith(b"<"):
        return None
    text = content.decode("utf-8", "replace")
    codes = map(whole_number, re.findall(r'\berrorCode="([^"]*)"', text))
    message = re.search(r'\b(?:errorMessage|errorString|errLogMessage)="([^"]+)"', text)
    said = safe_line(message[1]) if message else ""
    return next((Problem(str(code), said or NO_TEXT, RETRIED) for code in codes if code), None)


def text_of(document: Any) -> str:
    """Return what a response without an error code says."""
    if isinstance(document, str):
        return safe_line(document)
    return next(filter(None, map(_message, _entries(document, MAX_DEPTH))), "")


def is_maintenance(response: HttpResponse) -> bool:
    """Return whether this is the HTML page that every URL answers, with any status, while the web tier restarts.

    Its whole title is required: a proxy's page that mentions maintenance may come after the request went through.
    """
    head = _unmarked(response.body)[:4096].lower()
    return head.startswith(b"<") and b"<html" in head and b"scheduled maintenance" in head


def throttle_seconds(headers: Mapping[str, str]) -> int:
    """Return how long to send nothing: `Retry-After`, else `X-RateLimit-Period` (both seconds), else 15 minutes."""
    for name in ("Retry-After", "X-RateLimit-Period"):
        seconds = whole_number(headers.get(name, "").strip())
        if seconds and seconds > 0:
            return min(seconds, MAX_THROTTLE_SECONDS)
    return THROTTLE_SECONDS


def whole_number(value: Any) -> int | None:
    """Return an int, or a text of as many digits as Commvault's numbers have, as an int; a boolean is not a number."""
    match value:
        case bool():
            return None
        case int():
            return value
        case str() if re.fullmatch(r"-?[0-9]{1,20}", value):
            return int(value)
        case _:
            return None


def safe_line(text: str) -> str:
    """Return a text of Commvault's as one line without secrets."""
    return one_line(redact(text.strip()[: 4 * MAX_TEXT]))


def _entries(document: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects in which an error can stand, outermost first."""
    match document:
        case _ if depth == 0:
            return
        case list():
            for one in document:
                yield from _entries(one, depth - 1)
        case dict():
            yield document
            for name in ("response", "error", "errors", "errList", "errorList"):
                yield from _entries(document.get(name), depth - 1)


def _message(entry: dict[str, Any]) -> str:
    texts = (entry.get(name) for name in ("errorMessage", "errorString", "errLogMessage"))
    return next(filter(None, (safe_line(text) for text in texts if isinstance(text, str))), "")


def _unmarked(body: bytes | None) -> bytes:
    """Return a text without the byte order mark and the blanks before it."""
    return (body or b"").removeprefix(codecs.BOM_UTF8).lstrip()
