"""The secret's value: a plain token, or an access token and the refresh token that renews it. Pure.

No value is ever shown: the classes have no representation of their fields, and a malformed value is described without it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from rds_snap_backup.untrusted import NotJson, read_json

# Command Center's tokens have some hundred characters; a header of more than this is refused by web servers.
MAX_TOKEN = 8192
# Times beyond the year 2100 are of another unit, or wrong.
MAX_TIME = 4102444800.0
BEARER = "Bearer "
STACK_ARN = re.compile("arn:[a-z0-9-]+:cloudformation:[a-z0-9-]*:[0-9]*:stack/[A-Za-z0-9-]{1,128}/[A-Za-z0-9-]{1,64}")
UNKNOWN_STACK = "unknown"
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, repr=False)
class Pair:
    """An access token and its refresh token. Times are Unix seconds on our clock, None if they are not known.

    `renewed_by` is the ARN of the stack that renews it; empty: any stack may begin to.
    """

    access: str
    refresh: str
    expiry: float | None = None
    renewable_until: float | None = None
    renewed_by: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> str:
        """Return the value of the header `Authtoken`."""
        return BEARER + self.access

    @property
    def fingerprint(self) -> str:
        """A hash by which the pair can be recognized."""
        return sha256(f"{self.access}\n{self.refresh}".encode()).hexdigest()

    def to_text(self) -> str:
        """Return the secret's value; members that are not ours are kept."""
        times = {"tokenExpiry": self.expiry, "renewableUntil": self.renewable_until}
        known = {name: round(time) for name, time in times.items() if time is not None}
        tokens = {"accessToken": self.access, "refreshToken": self.refresh}
        document = {**tokens, **known, "renewedBy": self.renewed_by, **self.others}
        # As short as possible: a secret has 64 KiB, and the owner's members share it.
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@dataclass(frozen=True, repr=False)
class Token:
    """The value of the header `Authtoken`, and the pair that it belongs to."""

    header: str
    pair: Pair | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every text that must not be shown."""
        return (self.header.removeprefix(BEARER), *([self.pair.access, self.pair.refresh] if self.pair else []))


@dataclass(frozen=True)
class Malformed:
    """A value that holds no usable token; `what` completes "The secret …" without showing it."""

    code: str
    what: str


def read_token(value: str) -> Token | Malformed:
    """Read a secret's value."""
    text = value.strip()  # a secret that was filled from a file often ends in a line break
    if not text.startswith("{"):
        return _plain(text)
    try:
        document = read_json(text)
    except NotJson:
        return Malformed("SECRET_WITHOUT_TOKEN", "begins like JSON and is not JSON")
    match document:
        case {"accessToken": str(access), "refreshToken": str(refresh)}:
            return _of_pair(document, access, refresh)
        case {"accessToken": _} | {"refreshToken": _}:
            return Malformed("SECRET_WITHOUT_TOKEN", 'needs both "accessToken" and "refreshToken", as texts')
        case {"token": str(token)}:
            return _plain(token.strip())
        case _:
            return Malformed("SECRET_WITHOUT_TOKEN", 'is JSON without a text "token"')


def successor(pair: Pair, answer: Any, clock_ahead: float, renewed_by: str) -> Pair | None:
    """Return the pair in an answer to a renewal, None without one.

    The answer is flat; some clients look for it in an envelope as well. Its times are on Commvault's clock, which is
    `clock_ahead` of ours.
    """
    documents = (
        [answer, *(answer.get(name) for name in ("tokenInfo", "data", "response"))] if isinstance(answer, dict) else []
    )
    for document in documents:
        match document:
            case {"accessToken": str(access), **rest}:
                # Without a new refresh token the old one still counts.
                refresh = rest.get("refreshToken", pair.refresh)
                token = _of_pair({}, access, refresh) if isinstance(refresh, str) else None
                if isinstance(token, Token) and token.pair and token.pair.access != pair.access:
                    until = _time(rest.get("renewableUntilTimestamp"), clock_ahead)
                    return replace(
                        token.pair,
                        expiry=_time(rest.get("tokenExpiryTimestamp"), clock_ahead),
                        renewable_until=until or pair.renewable_until,
                        renewed_by=renewed_by,
                        others=pair.others,
                    )
    return None


def _plain(token: str) -> Token | Malformed:
    return _flaw(token) or Token(token)


def _of_pair(document: Mapping[str, Any], access: str, refresh: str) -> Token | Malformed:
    access, refresh = re.sub(r"^bearer(\s+|$)", "", access.strip(), flags=re.IGNORECASE), refresh.strip()
    if flaw := _flaw(access) or _flaw(refresh):
        return flaw
    ours = ("accessToken", "refreshToken", "tokenExpiry", "renewableUntil", "renewedBy")
    pair = Pair(
        access,
        refresh,
        expiry=_time(document.get("tokenExpiry")),
        renewable_until=_time(document.get("renewableUntil")),
        renewed_by=_stack(document.get("renewedBy")),
        others={name: value for name, value in document.items() if name not in ours},
    )
    return Token(pair.header, pair)


def _stack(arn: Any) -> str:
    """Return the ARN of the stack that renews the pair; any other text stands for a stack that is not known."""
    if not isinstance(arn, str) or not arn:
        return ""
    return arn if STACK_ARN.fullmatch(arn) else UNKNOWN_STACK


def _flaw(token: str) -> Malformed | None:
    if not token:
        return Malformed("SECRET_EMPTY", "is empty")
    if len(token) > MAX_TOKEN:
        return Malformed("SECRET_WITHOUT_TOKEN", f"has a token of more than {MAX_TOKEN} characters")
    if not (token.isascii() and token.isprintable()):
        return Malformed("SECRET_WITHOUT_TOKEN", "has characters that no HTTP header can hold")
    return None


def _time(value: Any, clock_ahead: float = 0.0) -> float | None:
    """Return Unix seconds on our clock; None for what is not a time."""
    match value:
        case bool():
            return None
        case int() | float() if 0 < value <= MAX_TIME and math.isfinite(value):
            return float(value) - clock_ahead
        case str() if value.isascii() and value.isdecimal() and len(value) <= len("4102444800"):
            return _time(int(value), clock_ahead)
        case _:
            return None
