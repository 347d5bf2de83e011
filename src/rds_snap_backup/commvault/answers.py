"""What the wire said: an HTTP response, and what can be read from it whatever was asked. Pure: no request is made here.

The forms of a response, and the places where an error stands, are those of Commvault's API pages and of what its own
clients read. What a response means is decided elsewhere: `outcomes.py` for CreateTask, `queries.py` for reading.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rds_snap_backup.commvault.hints import RETRIED
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import NotJson, clean_text, read_json, whole_number

# Error codes of a refused login or token.
LOGIN_REFUSED = frozenset({"5", "1116", "1134"})
# Used where the response does not say how long a rate limit lasts.
THROTTLE_SECONDS = 900
MAX_THROTTLE_SECONDS = 6 * 3600
NO_TEXT = "Commvault gave no text."
# Where errors stand. They are searched no deeper than this, Commvault's own being half as deep, and among no more objects:
# an answer of some megabytes can hold a million.
PLACES = ("response", "error", "errors", "errList", "errorList")
MAX_DEPTH = 10
MAX_ENTRIES = 1000
MAX_TEXTS = 10


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
        return read_json(response.body) if response.body else None
    except NotJson:
        return None


def errors(document: Any) -> Iterator[Problem]:
    """Yield each error in a response, wherever Commvault puts it; a code of 0 or "0" is a success."""
    for entry in _entries(document):
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
    said = clean_text(message[1]) if message else ""
    return next((Problem(str(code), said or NO_TEXT, RETRIED) for code in codes if code), None)


def text_of(document: Any) -> str:
    """Return what a response without an error code says."""
    if isinstance(document, str):
        return clean_text(document)
    return next(filter(None, map(_message, islice(_entries(document), MAX_TEXTS))), "")


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


def _entries(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in which an error can stand, outermost first."""
    waiting = [(document, MAX_DEPTH)]
    for _ in range(MAX_ENTRIES):
        match waiting.pop() if waiting else (None, 0):
            case [*listed], depth if depth:
                waiting += [(one, depth - 1) for one in reversed(listed[:MAX_ENTRIES])]
            case dict(entry), depth if depth:
                yield entry
                waiting += [(entry[name], depth - 1) for name in reversed(PLACES) if name in entry]


def _message(entry: dict[str, Any]) -> str:
    texts = (entry.get(name) for name in ("errorMessage", "errorString", "errLogMessage"))
    return next(filter(None, (clean_text(text) for text in texts if isinstance(text, str))), "")


def _unmarked(body: bytes | None) -> bytes:
    """Return a text without the byte order mark and the blanks before it."""
    return (body or b"").removeprefix(codecs.BOM_UTF8).lstrip()
