"""Masks the live secrets in a text that comes from outside.

A word is masked if it holds a part of a secret, plain or in another form: in JSON's, a URL's or HTML's escapes (several
times over); hexadecimal, with or without separators, or base64 (at any offset, standard or URL-safe), of UTF-8 or UTF-16; in
any case; with characters in between that are not printable ASCII. Other encodings, such as a reversed or a compressed secret,
are not recognized.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

REDACTED = "***"
# A part of this many characters is masked; fewer are of no use to anybody, and occur by chance.
PART = 12
# A shorter secret is masked as a whole. One of a few characters occurs in any text, and its base64 even sooner.
MIN_SECRET = 4
MIN_BASE64_SECRET = 8
# The pairs of several renewals: an answer may still quote an earlier one.
MAX_SECRETS = 24
ROUNDS = 3
# A browser reads a character's number without its semicolon, too.
ESCAPE = re.compile(
    r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.|%[0-9a-fA-F]{2}|&#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|&\w{1,8};",
    re.DOTALL,
)
# A secret is printable ASCII: nothing else can be a part of one, and between its characters it may be invisible.
NOT_IN_SECRETS = re.compile(r"[^\t\n\r -~]+")
NOT_HEXADECIMAL = re.compile(r"0x|[^0-9a-f]+")
URL_SAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True, repr=False)
class Form:
    """A secret in one form, in lower case; `part` characters of it are masked.

    A part holds at least one whole piece of `piece` characters of those that the form is cut into.
    """

    text: str
    part: int

    @property
    def piece(self) -> int:
        """The length of a piece."""
        return (self.part + 1) // 2

    def pieces(self) -> Iterator[str]:
        """Yield the pieces."""
        yield from (self.text[at : at + self.piece] for at in range(0, len(self.text) - self.piece + 1, self.piece))

    def is_in(self, text: str) -> bool:
        """Return whether a part is in a text."""
        return any(text[at : at + self.part] in self.text for at in range(len(text) - self.part + 1))


# The secrets that this process has used recently, and the pieces of their forms by length.
_known: dict[str, tuple[Form, ...]] = {}
_pieces: dict[int, set[str]] = {}


def remember(secrets: Iterable[str]) -> None:
    """Mask these from now on."""
    new = [secret for secret in secrets if len(secret) >= MIN_SECRET and secret not in _known]
    if not new:
        return
    for secret in new:
        _known[secret] = tuple(_forms(secret))
    for oldest in list(_known)[:-MAX_SECRETS]:
        del _known[oldest]
    _pieces.clear()
    for forms in _known.values():
        for form in forms:
            _pieces.setdefault(form.piece, set()).update(form.pieces())


def redact(text: str) -> str:
    """Return a text without any of the secrets."""
    if not _shows_any(text):
        return text
    masked = re.sub(r"\S+", lambda word: REDACTED if _shows_any(word[0]) else word[0], text)
    # A secret with blanks may extend over several words.
    return REDACTED if _shows_any(masked) else masked


def _forms(secret: str) -> Iterator[Form]:
    part = min(PART, len(secret))
    yield Form(secret.lower(), part)
    # Without the last zero, in which the two byte orders of UTF-16 differ.
    for encoded, size in ((secret.encode(), part), (secret.encode("utf-16-le")[:-1], 2 * part - 1)):
        yield Form(encoded.hex(), 2 * size)
        if len(secret) < MIN_BASE64_SECRET:
            continue
        for offset in range(3):
            # Without the characters that hold bits of a neighbour.
            start, end = -(-8 * offset // 6), 8 * (offset + len(encoded)) // 6
            text = b64encode(bytes(offset) + encoded).decode()[start:end]
            for form in {text, text.translate(URL_SAFE)}:
                yield Form(form.lower(), (8 * size - 4) // 6)


def _shows_any(text: str) -> bool:
    """Return whether a secret is in a text, under any escapes. Nearly always none is: looking for pieces is quick."""
    for _ in range(ROUNDS + 1):
        text = NOT_IN_SECRETS.sub("", text)
        folded = text.lower()
        if _holds_any(folded) or _holds_any(NOT_HEXADECIMAL.sub("", folded)):
            return True
        meant = ESCAPE.sub(lambda escape: _meaning(escape[0]), text)
        if meant == text:
            return False
        text = meant
    return False


def _holds_any(folded: str) -> bool:
    """Return whether a form of a secret is in a text in lower case, as it stands."""
    for length, pieces in _pieces.items():
        if not pieces.isdisjoint([folded[at : at + length] for at in range(len(folded) - length + 1)]):
            return any(form.is_in(folded) for forms in _known.values() for form in forms)
    return False


def _meaning(escape: str) -> str:
    match escape[0]:
        case "\\" if len(escape) > 2:
            return chr(int(f"0x{escape[2:]}", 0))
        case "\\":
            return escape[1]
        case "%":
            return unquote(escape, encoding="latin-1")
        case _:
            import html  # Its table of all entities takes as long to import as all of our modules in front of it.

            return html.unescape(escape)
