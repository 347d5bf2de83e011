"""A request to Commvault, every kind of answer to it, and what can be read from any response. Pure: nothing is sent here.

The forms of a response, and the places where an error stands, are those of Commvault's API pages and of what its own
clients read. `outcomes.py` says what a response to CreateTask means, `queries.py` what one to a reading call means.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import NotJson, clean_text, read_json, whole_number

# Error codes of a refused login or token.
LOGIN_REFUSED = frozenset({"5", "1116", "1134"})
# No longer body is read.
MAX_BODY = 4 * 1024 * 1024
# Used where the response does not say how long a rate limit lasts.
THROTTLE_SECONDS = 900
MAX_THROTTLE_SECONDS = 6 * 3600
NO_TEXT = "Commvault gave no text."
# The members in which errors stand. Commvault nests them half as deep; an answer of some megabytes can hold a million.
PLACES = ("response", "error", "errors", "errList", "errorList")
MAX_DEPTH = 10
MAX_ENTRIES = 1000
MAX_TEXTS = 10
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, repr=False)
class HttpRequest:
    """A request to a path below the API base, to be answered before `deadline`, a value of `time.monotonic()`."""

    method: str
    path: str
    headers: Mapping[str, str]
    deadline: float
    body: bytes | None = None

    def with_header(self, name: str, value: str) -> "HttpRequest":
        """Return the same request with another header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True)
class NotSent:
    """The request certainly did not leave."""

    problem: Problem


@dataclass(frozen=True)
class NoAnswer:
    """The request may have arrived, and no answer came: in time, or at all."""

    problem: Problem


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

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @cached_property
    def document(self) -> Any:
        """The JSON document in the body; None without one."""
        try:
            return read_json(self.body) if self.body else None
        except NotJson:
            return None

    @cached_property
    def error(self) -> Problem | None:
        """The first error that has a code."""
        return next(errors(self.document), None) or _xml_error(self.body)

    @cached_property
    def text(self) -> str:
        """The message of a response without an error code; empty without one."""
        if isinstance(self.document, str):
            return clean_text(self.document)
        return next(filter(None, map(_message, islice(_entries(self.document), MAX_TEXTS))), "")

    @property
    def is_maintenance(self) -> bool:
        """Whether this is the HTML page that every URL answers, with any status, while the web tier restarts.

        Its whole title is required: a proxy's page that mentions maintenance may come after the request went through.
        """
        head = _unmarked(self.body)[:4096].lower()
        return head.startswith(b"<") and b"<html" in head and b"scheduled maintenance" in head

    @property
    def refuses_token(self) -> bool:
        """Whether Commvault refuses the token, and certainly did nothing."""
        if self.has_job_ids or self.is_maintenance or self.status == 429:
            return False
        return self.status == 401 or (self.error is not None and self.error.code in LOGIN_REFUSED)

    @property
    def is_bare_403(self) -> bool:
        """Whether this is a 403 without an error code, which can mean an expired token or a missing right."""
        return self.status == 403 and not (self.error or self.has_job_ids or self.is_maintenance)

    @property
    def has_job_ids(self) -> bool:
        """Whether the response names at least one job."""
        listed = self.document.get("jobIds") if isinstance(self.document, dict) else None
        return isinstance(listed, list) and any(map(job_id, listed))


type Answer = HttpResponse | NotSent | NoAnswer


def job_id(value: object) -> str | None:
    """Return a real job ID as a text, None for anything else: 0 is none."""
    number = whole_number(value, 1)
    return None if number is None else str(number)


def errors(document: Any) -> Iterator[Problem]:
    """Yield each error in a response, wherever Commvault puts it; a code of 0 or "0" is a success."""
    for entry in _entries(document):
        if code := whole_number(entry.get("errorCode")):
            yield Problem(str(code), _message(entry) or NO_TEXT, PERSISTS)


def throttle_seconds(headers: Mapping[str, str]) -> int:
    """Return how long to send nothing: `Retry-After`, else `X-RateLimit-Period` (both seconds), else 15 minutes."""
    for name in ("Retry-After", "X-RateLimit-Period"):
        seconds = whole_number(headers.get(name, "").strip())
        if seconds and seconds > 0:
            return min(seconds, MAX_THROTTLE_SECONDS)
    return THROTTLE_SECONDS


def _xml_error(body: bytes | None) -> Problem | None:
    """Return the error of older releases, which answer `<TMMsg_GenericResp errorCode="…" …/>` to any Accept header."""
    content = _unmarked(body)
    if not content.startswith(b"<"):
        return None
    text = content.decode("utf-8", "replace")
    codes = map(whole_number, re.findall(r'\berrorCode="([^"]*)"', text))
    message = re.search(r'\b(?:errorMessage|errorString|errLogMessage)="([^"]+)"', text)
    said = clean_text(message[1]) if message else ""
    return next((Problem(str(code), said or NO_TEXT, PERSISTS) for code in codes if code), None)


def _entries(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in which an error can stand, outermost first."""
    waiting = [(document, MAX_DEPTH)]
    for _ in range(MAX_ENTRIES):
        match waiting.pop() if waiting else (None, 0):
            case [*listed], depth if depth:
                waiting += [(member, depth - 1) for member in reversed(listed[:MAX_ENTRIES])]
            case dict(entry), depth if depth:
                yield entry
                waiting += [(entry[name], depth - 1) for name in reversed(PLACES) if name in entry]


def _message(entry: dict[str, Any]) -> str:
    texts = (entry.get(name) for name in ("errorMessage", "errorString", "errLogMessage"))
    return next(filter(None, (clean_text(text) for text in texts if isinstance(text, str))), "")


def _unmarked(body: bytes | None) -> bytes:
    """Return a body without its byte order mark and leading blanks."""
    return (body or b"").removeprefix(codecs.BOM_UTF8).lstrip()
