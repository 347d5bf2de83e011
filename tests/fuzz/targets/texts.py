"""Any text becomes one line without a secret."""

from rds_snap_backup.redaction import redact, remember
from rds_snap_backup.untrusted import clean_text, is_name, is_printable
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET, UNITS, Choices, is_choices, text_of

PIECES = (
    *UNITS,
    SECRET,
    SECRET[:20],
    SECRET[-20:],
    "\\u0070",
    "%70",
    "&#x70;",
    "&nbsp;",
    "&#99999999;",
    "%",
    "&",
    "\\",
)
COUNTS = (1, 2, 11, 500, 2000, 126_000)


def fuzz(data: bytes) -> None:
    """Show a text that is put together of what is hard to show."""
    remember([SECRET])
    text = text_of(data)
    if is_choices(data):
        choices = Choices(data[1:])
        parts = (choices.one_of((*PIECES, choices.text())) * choices.one_of(COUNTS) for _ in range(choices.below(8)))
        text = "".join(parts)[: limits.MAX_MESSAGE]
    shown = clean_text(text)
    limits.line(shown, "a clean text")
    limits.hidden(shown, "a clean text")
    limits.hidden(redact(text[:2000]), "a redacted text")
    limits.require(clean_text(shown) == shown, "a clean text is not clean yet")
    if is_name(text) or is_printable(text):
        limits.line(text, "a name", max(len(text), 1))
