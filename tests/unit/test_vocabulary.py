"""Plain technical English in what users and maintainers read: no word stands for a missing noun."""

import re

from local.tools import ROOT
from tests.unit.documents import DOCUMENTS

# The changelog quotes earlier releases.
TEXTS = {*(ROOT / "src").rglob("*.py"), ROOT / "template.yaml", *DOCUMENTS} - {ROOT / "CHANGELOG.md"}
# With what to write in their place.
WORDS = {
    "whatever": "name the thing",
    "beside": "with, next to",
    "so many": "the number",
    "came to": "the result",
    "of its own": "its",
    "that which": "what",
    "surely": "certainly",
    "anew": "again",
    "told": "published, reported",
    "somebody": "a person, another run",
}
FORBIDDEN = re.compile(rf"\b({'|'.join(WORDS)})\b".replace(" ", r"\s+(?:# )?"), re.IGNORECASE)


def test_words() -> None:
    texts = {path.relative_to(ROOT): path.read_text() for path in sorted(TEXTS)}
    found = [
        (path, text.count("\n", 0, each.start()) + 1, each[0])
        for path, text in texts.items()
        for each in FORBIDDEN.finditer(text)
    ]
    assert [
        f"{path}:{line}: {word} (use {WORDS[' '.join(word.lower().replace('#', '').split())]})"
        for path, line, word in found
    ] == []
