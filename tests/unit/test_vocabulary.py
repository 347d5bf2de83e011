"""Plain technical English in what users and maintainers read: no word stands for a missing noun."""

import re
from pathlib import Path

import pytest

from local.tools import ROOT
from tests.unit.documents import DOCUMENTS

# The changelog quotes earlier releases.
TEXTS = {*(ROOT / "src").rglob("*.py"), ROOT / "template.yaml", *DOCUMENTS} - {ROOT / "CHANGELOG.md"}
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


def forbidden(text: str) -> list[str]:
    found = ((match, " ".join(match[0].lower().split())) for match in FORBIDDEN.finditer(text))
    return [f"line {text.count('\n', 0, match.start()) + 1}: {word} (use {WORDS[word]})" for match, word in found]


@pytest.mark.parametrize("path", sorted(TEXTS), ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    assert forbidden(path.read_text()) == []
