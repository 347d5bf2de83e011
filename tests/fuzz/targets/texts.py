"""Any text becomes one line without a secret."""

from rds_snap_backup.commvault.answers import safe_line
from rds_snap_backup.commvault.redaction import redact, remember
from rds_snap_backup.problems import one_line
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
        text = "".join(parts)
    shown = one_line(text)
    limits.require(len(shown) <= 500 and shown.isprintable(), "a line is too long or not printable")
    limits.require(one_line(shown) == shown, "a line is not one yet")
    safe = safe_line(text)
    limits.line(safe, "a safe line")
    limits.hidden(safe, "a safe line")
    limits.hidden(redact(text[:2000]), "a redacted text")
