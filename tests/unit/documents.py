"""The project's documents as tests read them: sections, tables, the code spans in a cell, and the words of a picture."""

import html
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from local.tools import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").glob("*.md")])
HEADING = re.compile(r"^(#+) +(.*)$", re.MULTILINE)
IMAGES = ROOT / "docs" / "images"
# Times, counts, and IDs differ in each run.
VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """Return a document's text, by its path in the repository."""
    return (ROOT / name).read_text()


def section(name: str, heading: str) -> str:
    """Return what stands under a heading, sections below it included."""
    text = read(name)
    begin = next(found for found in HEADING.finditer(text) if found[2] == heading)
    following = (found.start() for found in HEADING.finditer(text, begin.end()) if len(found[1]) <= len(begin[1]))
    return text[begin.end() : next(following, len(text))]


def samples(name: str, heading: str = "") -> list[Any]:
    """Return the JSON in a document, or under a heading of it."""
    text = section(name, heading) if heading else read(name)
    return [json.loads(sample) for sample in re.findall(r"^ *```json\n(.*?)```", text, re.MULTILINE | re.DOTALL)]


def tables(name: str, heading: str) -> list[list[list[str]]]:
    """Return the tables under a heading, each as rows of cells, without head and rule."""
    found: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*section(name, heading).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
        elif rows:
            found.append(rows[2:])
            rows = []
    return found


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the rows of the one table, or of the first, under a heading."""
    return tables(name, heading)[0]


def spans(cell: str) -> list[str]:
    """Return the code spans in a text."""
    return re.findall(r"`([^`]+)`", cell)


def first_column(name: str, heading: str, table: int = 0) -> list[str]:
    """Return the code spans of a table's first column."""
    return [span for row in tables(name, heading)[table] for span in spans(row[0])]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    text = FENCE.sub("", path.read_text())
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", found[2]) for found in HEADING.finditer(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def words(svg: str) -> Counter[str]:
    """Return how often a picture of a terminal has each word; every number is `0`."""
    texts = (html.unescape(text) for text in re.findall(r"<text [^>]*>(.*?)</text>", svg))
    return Counter(VARYING.sub("0", word) for text in texts for word in re.split(r"[\s\u2500-\u257f]+", text) if word)
