"""The documents hold together: links, samples, commands, the names of the tree, and words."""

import re
from pathlib import Path

import pytest

from local.tools import ROOT
from tests.unit.documents import DOCUMENTS, FENCE, anchors, read, samples, section, spans
from tests.unit.template import CHAT, EVENTS_OUT, MEMBER, TEMPLATE

LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(?:src|events|tests|local|docs|examples|tools)/[\w./-]*|[\w-]+\.(?:yaml|toml)")
# A parameter in a sentence, such as: with `KmsKeyArn`.
NAMED = re.compile(r"\b[Ww]ith(?:out)? `([A-Z][a-z]+[A-Z]\w*)`")
# A step through the code: a file, then names in it.
STEP = re.compile(r"^\d+\. `([\w./-]+)`: (`[^—]+`)", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_samples_and_make_commands_are_right(document: Path) -> None:
    text, makefile = document.read_text(), read("Makefile")
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    assert all(samples(str(document)))
    for command in re.findall(r"(?:^ *|`)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^([\w-]+ )*{command}( [\w-]+)*:", makefile, re.MULTILINE), command


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_and_name_of_the_tree_exists(name: str) -> None:
    paths = [span for span in spans(FENCE.sub("", read(name))) if PATH.fullmatch(span)]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for path, names in STEP.findall(read(name)):
        assert [
            identifier for identifier in spans(names) if not re.search(rf"\b{re.escape(identifier)}\b", read(path))
        ] == [], path


def test_every_parameter_that_a_sentence_names_exists() -> None:
    texts = "\n".join(path.read_text() for path in DOCUMENTS if path.name != "CHANGELOG.md")
    named = NAMED.findall(texts.replace(section("docs/operations.md", "Move from 1.x"), ""))
    known = {name for template in (TEMPLATE, MEMBER, CHAT, EVENTS_OUT) for name in template["Parameters"]}
    assert "KmsKeyArn" in named
    assert set(named) - known == set()


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 180


def test_the_removal_names_what_stays_and_the_members_before_the_stack() -> None:
    removal = section("docs/operations.md", "Removal")
    assert 0 < removal.index("`member.yaml`") < removal.index("delete-stack")
    stays = {
        "AWS::DynamoDB::Table": "--no-deletion-protection-enabled",
        "AWS::Logs::LogGroup": "`aws logs delete-log-group",
    }
    kept = {part["Type"] for part in TEMPLATE["Resources"].values() if "Retain" in part.get("DeletionPolicy", "")}
    assert kept == stays.keys()
    assert [command for command in stays.values() if command not in removal] == []


# ---- Plain technical English: no word stands for a missing noun

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
        (f"{path}:{text.count('\n', 0, at.start()) + 1}", at[0])
        for path, text in texts.items()
        for at in FORBIDDEN.finditer(text)
    ]
    assert [
        f"{place}: {word} (use {WORDS[' '.join(word.lower().replace('#', '').split())]})" for place, word in found
    ] == []
