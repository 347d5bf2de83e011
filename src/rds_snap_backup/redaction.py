"""Takes the live secrets out of a text that comes from outside, in whatever form a server gives them back.

A text is compared with the secrets after its escapes are undone (JSON, URL, HTML, several times over), and a part of a
secret counts as well as the whole: servers cut long values off.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

REDACTED = "***"
# A run of so many characters of a secret is taken out; fewer are no use to anybody, and are found by chance.
MIN_RUN = 12
# Of a shorter secret the whole is; one of a few characters would be found in any text.
MIN_SECRET = 4
# The pairs of several renewals: an answer may still speak of an earlier one.
MAX_SECRETS = 24
ROUNDS = 3
ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.|%[0-9a-fA-F]{2}|&#?\w{1,8};", re.DOTALL)
ESCAPE_OR_CHARACTER = re.compile(f"{ESCAPE.pattern}|.", re.DOTALL)

# A character as it is meant, and where it stands in the text: from and up to.
type Placed = list[tuple[str, int, int]]


# What a sandbox has used recently, and the runs of all of these by their length.
_known: dict[str, frozenset[str]] = {}
_runs: dict[int, frozenset[str]] = {}


def remember(secrets: Iterable[str]) -> None:
    """Take these out of every text from now on."""
    new = [secret for secret in secrets if len(secret) >= MIN_SECRET and secret not in _known]
    if not new:
        return
    for secret in new:
        length = min(MIN_RUN, len(secret))
        _known[secret] = frozenset(secret[at : at + length] for at in range(len(secret) - length + 1))
    for oldest in list(_known)[:-MAX_SECRETS]:
        del _known[oldest]
    _runs.clear()
    for secret, runs in _known.items():
        length = min(MIN_RUN, len(secret))
        _runs[length] = _runs.get(length, frozenset()) | runs


def redact(text: str) -> str:
    """Return a text without any of the secrets."""
    if not _shows_any(text):
        return text
    placed: Placed = [(char, at, at + 1) for at, char in enumerate(text)]
    hidden = _found(placed)
    for _ in range(ROUNDS):
        meant = _unescaped(placed)
        if len(meant) == len(placed):
            break
        placed = meant
        hidden |= _found(placed)
    if not hidden:
        return text
    marked = "".join("\0" if at in hidden else char for at, char in enumerate(text.replace("\0", " ")))
    return re.sub("\0+", REDACTED, marked)


def _shows_any(text: str) -> bool:
    """Tell whether a secret is in a text, whatever its escapes: nearly always not, which is found in a tenth of the time."""
    for _ in range(ROUNDS + 1):
        if any(
            text[at : at + length] in runs for length, runs in _runs.items() for at in range(len(text) - length + 1)
        ):
            return True
        meant = ESCAPE.sub(lambda escape: _meaning(escape[0]), text)
        if meant == text:
            break
        text = meant
    return False


def _found(placed: Placed) -> set[int]:
    """Return the places in the text that a secret, or a run of it, takes up."""
    meant = "".join(char for char, _, _ in placed)
    found: set[int] = set()
    for length, runs in _runs.items():
        for at in range(len(meant) - length + 1):
            if meant[at : at + length] in runs:
                found.update(range(placed[at][1], placed[at + length - 1][2]))
    return found


def _unescaped(placed: Placed) -> Placed:
    """Undo one layer of escapes."""
    meant = "".join(char for char, _, _ in placed)
    result: Placed = []
    for match in ESCAPE_OR_CHARACTER.finditer(meant):
        start, end = placed[match.start()][1], placed[match.end() - 1][2]
        result += [(char, start, end) for char in _meaning(match[0])]
    return result


def _meaning(escape: str) -> str:
    if len(escape) == 1:
        return escape
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
