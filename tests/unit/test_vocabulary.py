"""The glossary's words, and plain technical English: none of the words that were replaced are left."""

import io
import keyword
import re
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.tools import ROOT

FOLDERS = ("src", "local", "ops", "tests", "docs", "events", ".github")
FILES = (
    "template.yaml",
    "Makefile",
    "pyproject.toml",
    "samconfig.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
KINDS = {".py", ".md", ".json", ".toml", ".yaml", ".yml"}

# Names in Python code, with or without underscores before them.
NAMES = {
    "Told": "Published",
    "AlreadyTold": "Done",
    "Later": "Deferred",
    "come_back": "redeliver",
    "Looks": "JobPoller",
    "Sight": "Observation",
    "endings": "completions",
    "Followed": "TrackedSubmission",
    "go_on": "resume",
    "Refused": "InvalidInput",
    "CannotAsk": "QueryFailed",
    "Parts": "Services",
    "assemble": "bootstrap",
    "KEEP_SECONDS": "TTL_SECONDS",
    "lost_sight": "lost",
}
PREFIXES = {"LONGEST_": "MAX_", "LARGEST_": "MAX_", "MOST_": "MAX_"}
# Other packages' names: rich.text.Text.assemble.
ALLOWED_NAMES = {"Text.assemble"}

# Words anywhere, a `_` counting as a space. `is no …` has idioms: no longer, no more than; and "there is no …".
GAP = r"(?:[ _]|\s+(?:# )?\s*)"
PHRASES = {
    rf"can{GAP}not": "cannot",
    "told": "published, notified, informed",
    rf"(?:come|comes|came|coming){GAP}back": "is redelivered, returns",
    r"mend(?:s|ed|ing)?": "fix",
    rf"(?:see|sees|saw){GAP}to{GAP}it": "ensure",
    "anew": "again",
    "surely": "certainly",
    "somebody": "a person, another run",
    "lately": "recently",
    rf"lost{GAP}sight": "lost",
    rf"(?:there{GAP})?is{GAP}no{GAP}[a-z]+": "is not a",
}
IDIOM = re.compile(
    rf"there{GAP}|is{GAP}no{GAP}(?:longer|more|less|later|earlier|older|newer|such|different|better|worse)$",
    re.IGNORECASE,
)
WORDS = {
    re.compile(rf"(?<![A-Za-z0-9])(?:{phrase})(?![A-Za-z0-9])", re.IGNORECASE): use for phrase, use in PHRASES.items()
}


def texts() -> Iterator[Path]:
    """Yield every file with words of ours in it, but for this one."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if (path.suffix in KINDS or path.name == "Makefile") and path != Path(__file__):
                yield path
    yield from (ROOT / name for name in FILES)


TEXTS = list(texts())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def old_names(source: str) -> list[str]:
    """Return the names of the old vocabulary in Python code, with what to use instead."""
    found: list[str] = []
    before = ("", "")
    for part in tokenize.generate_tokens(io.StringIO(source).readline):
        if part.type == token.NAME and not keyword.iskeyword(part.string):
            name = part.string.strip("_")
            instead = NAMES.get(name) or next((use for old, use in PREFIXES.items() if name.startswith(old)), None)
            if instead and "".join((*before, part.string)) not in ALLOWED_NAMES:
                found.append(f"line {part.start[0]}: {part.string} (use {instead})")
        before = (before[1], part.string)
    return found


def old_words(text: str) -> list[str]:
    """Return the words of the old vocabulary in a text, with what to use instead."""
    return [
        f"line {text.count('\n', 0, match.start()) + 1}: {' '.join(match[0].split())} (use {use})"
        for word, use in WORDS.items()
        for match in word.finditer(text)
        if not IDIOM.match(match[0])
    ]


@pytest.mark.parametrize("path", [path for path in TEXTS if path.suffix == ".py"], ids=relative)
def test_no_name_is_of_the_old_vocabulary(path: Path) -> None:
    assert old_names(path.read_text()) == []


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_word_is_of_the_old_vocabulary(path: Path) -> None:
    assert old_words(path.read_text()) == []


def test_the_check_finds_what_it_is_there_for() -> None:
    words = "It can\n    # not be told_to. There is no cure; it is no longer so, and it is no list. Mended, was_told."
    assert len(old_words(words)) == 5
    assert len(old_names("class Told: MOST_JOBS = Text.assemble(_assemble, retold, Toldyou)")) == 3


def test_texts_are_found_everywhere() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in TEXTS} >= {*FOLDERS, *FILES}
