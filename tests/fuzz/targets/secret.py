"""Any value of the secret is a token or is described without being shown, and a renewed pair can be stored and read."""

from typing import Any

from rds_snap_backup.commvault.token import MAX_TOKEN, Malformed, Pair, Token, read_token, successor
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET, Choices, edited, is_choices, read, text_of, written

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MAX_SECRET = 65_536
PAIR: dict[str, Any] = {
    "accessToken": SECRET,
    "refreshToken": f"{SECRET}-2",
    "tokenExpiry": 1790000000,
    "renewableUntil": "1800000000",
    "renewedBy": "rds-snap-backup",
    "note": {"owner": "backup"},
}
ANSWER: dict[str, Any] = {
    "accessToken": f"new-{SECRET}",
    "refreshToken": f"new-{SECRET}-2",
    "tokenExpiryTimestamp": 1790000000,
    "renewableUntilTimestamp": 1800000000,
}
SAMPLES: list[Any] = [PAIR, {"token": SECRET}, ANSWER, {"tokenInfo": ANSWER}, {"data": ANSWER, "response": ANSWER}]
FIELDS = (*PAIR, *ANSWER, "token", "tokenInfo", "data", "response")
CURRENT = Pair(SECRET, f"{SECRET}-2", 1790000000.0, 1800000000.0, "rds-snap-backup", {"note": "é" * 100})


def fuzz(data: bytes) -> None:
    """Read a value of the secret, and read it as the answer to a renewal."""
    text = text_of(data)
    if is_choices(data):
        choices = Choices(data[1:])
        text = written(edited(choices, SAMPLES, FIELDS), choices)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SECRET:
        return
    match read_token(text):
        case Malformed(code, what):
            limits.line(code, "a code")
            limits.line(what, "what is wrong with the secret")
            limits.hidden(code + what, "what is wrong with the secret")
        case Token() as token:
            _check(token)
            if token.pair:
                limits.line(token.pair.renewed_by, "the stack that renews", 128)
                _check_stored(token.pair)
    for clock_ahead in (0.0, -86400.0, 86400.0):
        if pair := successor(CURRENT, read(text), clock_ahead, "rds-snap-backup"):
            limits.require(pair.access != CURRENT.access, "a pair succeeds itself")
            limits.require(pair.others == CURRENT.others, "what is not ours is lost")
            _check_stored(pair)


def _check(token: Token) -> None:
    header = token.header
    limits.require(header.isascii() and header.isprintable(), "a header has characters that HTTP forbids")
    limits.require(0 < len(header) <= MAX_TOKEN + len("Bearer "), "a header has no usable length")
    limits.require(all(token.secrets), "a secret is empty")
    limits.hidden(f"{token!r} {token} {token.pair!r}", "a representation")


def _check_stored(pair: Pair) -> None:
    stored = pair.to_text()
    limits.require(len(limits.encoded(stored, "a pair")) <= MAX_SECRET, "a pair does not fit into the secret")
    match read_token(stored):
        case Token(pair=Pair() as again):
            limits.require(again.fingerprint == pair.fingerprint, "a pair changes in the secret")
            limits.require(str(again.others) == str(pair.others), "what is not ours changes in the secret")
        case _:
            raise AssertionError("a pair cannot be read again")
