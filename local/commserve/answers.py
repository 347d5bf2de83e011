"""The server's answers: one `Answer` per request, rendered as JSON or, Commvault's default, as XML."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import quoteattr  # nosec B406 # it writes XML, and parses none

JSON = "application/json"
XML = "application/xml"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and either a `value` to be rendered or a finished `body`."""

    status: int = 200
    value: Any = None
    body: bytes | None = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    root: str = "Response"

    def render(self, *, as_json: bool) -> tuple[str, bytes]:
        """Return the content type and the bytes of the body."""
        if self.body is not None:
            return self.content_type, self.body
        if as_json:
            return JSON, json.dumps(self.value, separators=(",", ":")).encode()
        document = self.value if isinstance(self.value, dict) else {"message": self.value}
        return XML, f'<?xml version="1.0" encoding="UTF-8"?>{to_xml(self.root, document)}'.encode()


def to_xml(name: str, value: object) -> str:
    """Render a JSON value as Commvault does: scalars are attributes, objects and lists are elements."""
    if not isinstance(value, dict):
        return f"<{name} val={quoteattr(_text(value))}/>"
    attributes = "".join(f" {key}={quoteattr(_text(item))}" for key, item in value.items() if _is_scalar(item))
    children = "".join(
        to_xml(key, part)
        for key, item in value.items()
        if not _is_scalar(item)
        for part in (item if isinstance(item, list) else [item])
    )
    return f"<{name}{attributes}>{children}</{name}>" if children else f"<{name}{attributes}/>"


def _is_scalar(value: object) -> bool:
    return not isinstance(value, dict | list)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case _:
            return str(value)


def error(code: int, message: str, status: int = 200) -> Answer:
    """Return an error body with its code and text at the top level."""
    return Answer(status, {"errorMessage": message, "errorCode": code}, root="TMMsg_GenericResp")


def access_denied() -> Answer:
    """Return the answer to a missing or wrong token."""
    return error(5, "Access denied", 401)


def bare_string(text: str = "Request body is empty or format is invalid", status: int = 400) -> Answer:
    """Return a body that is a JSON string and nothing else."""
    return Answer(status, text, root="Message")


def page(title: str, text: str, status: int) -> Answer:
    """Return an HTML page, as web tiers and proxies send them."""
    html = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    return Answer(status, body=html.encode(), content_type=HTML)


def too_many_requests(limit: int, period: float | str, headers: dict[str, str] | None = None) -> Answer:
    """Return the answer to a call past the rate limit."""
    shown = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Period": str(period)} if headers is None else headers
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, {"errorMessage": "API rate limit exceeded"}, headers=shown)
