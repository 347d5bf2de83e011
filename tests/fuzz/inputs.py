"""Inputs: JSON as a hostile sender would write it.

Random bytes find little beyond JSON's own errors. So most inputs are a real document with hostile values in it.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from local.tools import ROOT

CORPUS = Path(__file__).parent / "corpus"
# Stands in the place of the token, and must never be shown.
SECRET = "planted/Secret+Token=0123456789abcdefghijklmnop"
MAX_SAMPLE = 1500
MAX_EDITS = 3
MAX_DOCUMENT = 512 * 1024
# Python reads and writes no more than 4,300 digits.
DIGITS = st.sampled_from((5, 9, 12, 19, 20, 21, 39, 400, 4299))
UNITS = (
    *("x", "9", "é", "\u200b", "\x1b[31m", "\n", "\x00", "\u2028", "\u202e", "\ud800", "😀", "\\", '"', "'", "%41"),
    *("&#65;", "\\u0041", "*", "[", "*a", " a", "²", "-", "/"),
)
# Around the limits of the code and of AWS: a line, an identity, a key, a message.
LENGTHS = (1, 2, 12, 64, 65, 256, 500, 501, 1024, 1025, 2048, 8193, 42_000, 126_000)
DEPTHS = (2, 5, 10, 11, 12, 49, 50, 51, 200, 990)
COUNTS = (2, 10, 91, 101, 1000)
CHARACTERS = st.text(st.characters(), max_size=40)  # lone surrogates too
TEXTS = st.builds(
    lambda text, unit, count: text + unit * count, CHARACTERS, st.sampled_from(UNITS), st.sampled_from(LENGTHS)
)
SCALARS = st.sampled_from((None, True, False, 0, 1, -1, 0.5, "", " ", float("nan"), float("inf"), 1e308, -0.0))
SECRETS = st.sampled_from((SECRET, f"Bearer {SECRET}", f"refused: {SECRET}.", json.dumps(SECRET)))


def corpus(name: str) -> list[bytes]:
    """Return the inputs that are kept for a harness; the samples of events are among them."""
    folders = [CORPUS / name, *([ROOT / "events"] if name in {"events", "queue_bodies"} else [])]
    return [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]


@dataclass(frozen=True)
class Samples:
    """Documents that inputs edit, as JSON, and the names of their members."""

    documents: tuple[str, ...]
    fields: tuple[str, ...]


@cache
def samples(name: str) -> Samples:
    """Return the documents in the inputs that are kept for a harness; the body of an answer follows its first line."""
    bodies = [re.sub(rb"^\d{3} .*\n", b"", data) for data in corpus(name) if len(data) <= MAX_SAMPLE]
    found: list[str] = []
    for body in bodies:
        with suppress(ValueError, RecursionError):
            if isinstance(json.loads(body), dict | list):
                found.append(body.decode())
    fields = {field.decode() for field in re.findall(rb'"([\w:-]+)":', b"".join(bodies))}
    return Samples(tuple(found), tuple(sorted(fields)))


@cache
def hostile(samples: Samples) -> st.SearchStrategy[Any]:
    """Make values that a sender should never have written."""
    documents, fields = st.sampled_from(samples.documents).map(json.loads), st.sampled_from(samples.fields)
    return st.one_of(
        *(SCALARS, TEXTS, SECRETS, documents, DIGITS.map(lambda count: "9" * count)),
        st.builds(lambda sign, digits: sign * 10**digits, st.sampled_from((1, -1)), DIGITS),
        st.builds(nested, st.sampled_from(DEPTHS), st.none() | fields),
        st.builds(repeated, SCALARS | CHARACTERS | documents, st.sampled_from(COUNTS)),
        st.dictionaries(fields | TEXTS, SCALARS | documents, max_size=3),
    )


def nested(depth: int, field: str | None) -> Any:
    """Return lists or objects in each other."""
    value: Any = []
    for _ in range(depth):
        value = [value] if field is None else {field: value}
    return value


def repeated(value: Any, count: int) -> list[Any]:
    """Return a list that is not too large."""
    return [value] * min(count, MAX_DOCUMENT // len(json.dumps(value)))


@st.composite
def edited(draw: st.DrawFn, samples: Samples) -> str:
    """Make one of the samples with up to three edits, as JSON."""
    document = [json.loads(draw(st.sampled_from(samples.documents)))]
    for _ in range(draw(st.integers(0, MAX_EDITS))):
        place = draw(st.sampled_from(list(containers(document))))
        is_new = isinstance(place, dict) and draw(st.integers(0, 3)) == 0
        key = draw(
            st.sampled_from(samples.fields if is_new else [*place] if isinstance(place, dict) else range(len(place)))
        )
        if key in place and isinstance(place, dict) and draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(hostile(samples))
    text = json.dumps(document[0], ensure_ascii=draw(st.booleans()))
    return text if len(text) <= MAX_DOCUMENT else ""


def containers(document: Any) -> Iterator[Any]:
    """Yield all lists and objects in a document that have members."""
    left = [document]
    while left:
        node = left.pop()
        if isinstance(node, list | dict) and node:
            yield node
            left += node.values() if isinstance(node, dict) else node[:256]


def texts(samples: Samples) -> st.SearchStrategy[str]:
    """Make the texts of a sender: edited samples, or anything."""
    return edited(samples) | TEXTS
