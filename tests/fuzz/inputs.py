"""Inputs: turns bytes into JSON as a hostile sender would write it.

Random bytes find little beyond JSON's own errors. So an input that begins with a control character is a list of choices:
a real document, and edits that put hostile values into it. Any other input is the text itself.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from local.tools import ROOT

CORPUS = Path(__file__).parent / "corpus"
# Stands in the place of the token, and must never be shown.
SECRET = "planted/Secret+Token=0123456789abcdefghijklmnop"
MAX_INPUT = 5000
MAX_SAMPLE = 1500
MAX_EDITS = 6
MAX_DESCENT = 6
MAX_DOCUMENT = 512 * 1024
SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, -1, 0.5, "", " ", [], {}, float("nan"), float("inf"), 1e308, -0.0)
# Python reads and writes no more than 4,300 digits.
DIGITS = (5, 9, 12, 19, 20, 21, 39, 400, 4299)
UNITS = (
    *("x", "9", "é", "\u200b", "\x1b[31m", "\n", "\x00", "\u2028", "\u202e", "\ud800", "😀", "\\", '"', "'", "%41"),
    *("&#65;", "\\u0041", "*", "[", "*a", " a", "²", "-", "/"),
)
# Around the limits of the code and of AWS: a line, an identity, a key, a message.
LENGTHS = (1, 2, 12, 64, 65, 256, 500, 501, 1024, 1025, 2048, 8193, 42_000, 126_000)
DEPTHS = (2, 5, 10, 11, 12, 49, 50, 51, 200, 990)
COUNTS = (2, 10, 91, 101, 1000)


def corpus(name: str) -> list[bytes]:
    """Return the inputs that are kept for a harness; the samples of events are among them."""
    folders = [CORPUS / name, *([ROOT / "events"] if name in {"events", "queue_bodies"} else [])]
    return [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]


@dataclass(frozen=True)
class Samples:
    """Documents that inputs edit, and the names of their members."""

    documents: Sequence[Any]
    fields: Sequence[str]


@cache
def samples(name: str) -> Samples:
    """Return the documents in the inputs that are kept for a harness; the body of an answer follows its first line."""
    bodies = [re.sub(rb"^\d{3} .*\n", b"", data) for data in corpus(name) if len(data) <= MAX_SAMPLE]
    found: list[Any] = []
    for body in bodies:
        with suppress(ValueError, RecursionError):
            found.append(json.loads(body))
    fields = sorted(set(re.findall(rb'"([\w:-]+)":', b"".join(bodies))))
    return Samples(
        [it for it in found if isinstance(it, dict | list)][:256], [field.decode() for field in fields][:255]
    )


def made_up(count: int, seed: int) -> Iterator[bytes]:
    """Yield that many inputs, always the same for a seed: nine lists of choices to one text."""
    chance = random.Random(seed)
    for number in range(count):
        yield (b"\1" if number % 10 else b"") + chance.randbytes(chance.randrange(400))


class Choices:
    """The choices that an input makes, one after the other; an input that is used up chooses the first of everything."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, bound: int) -> int:
        """Choose a number from 0 up to, without, a bound of at most 256."""
        self._at += 1
        return self._data[self._at - 1] % bound if self._at <= len(self._data) else 0

    def one_of[T](self, some: Sequence[T]) -> T:
        """Choose one of at most 256."""
        return some[self.below(len(some))]

    def text(self) -> str:
        """Choose a text of up to 40 bytes, which need not be UTF-8."""
        length = self.below(41)
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "surrogateescape")


def is_choices(data: bytes) -> bool:
    """Tell whether an input is a list of choices; otherwise it is the text itself."""
    return data[:1] < b" "


def text_of(data: bytes, samples: Samples) -> str:
    """Return the text of an input: itself, or one of the samples with edits."""
    return edited(Choices(data[1:]), samples) if is_choices(data) else data.decode("utf-8", "surrogateescape")


def edited(choices: Choices, samples: Samples) -> str:
    """Return one of the samples with up to six edits as JSON; empty if it is too large."""
    editor = Editor(choices, samples)
    document = editor.sample()
    for _ in range(choices.below(MAX_EDITS + 1)):
        document = editor.edited(document, MAX_DESCENT)
    text = json.dumps(document, ensure_ascii=bool(choices.below(2)))
    return text if len(text) <= MAX_DOCUMENT else ""


@dataclass(frozen=True)
class Editor:
    """Edits documents by choices."""

    choices: Choices
    samples: Samples

    def sample(self) -> Any:
        return self.choices.one_of(self.samples.documents)

    def field(self) -> str:
        return self.choices.one_of(self.samples.fields)

    def edited(self, node: Any, descent: int) -> Any:
        """Replace, remove or add something at a place in a document."""
        choices = self.choices
        if descent and isinstance(node, dict) and node:
            name = choices.one_of(list(node)[:256])
            match choices.below(8):
                case 0:
                    return self.hostile()
                case 1:
                    return {**node, self.field(): self.hostile()}
                case 2:
                    return {**node, self.text(): self.hostile()}
                case 3:
                    return {other: value for other, value in node.items() if other != name}
            return {**node, name: self.edited(node[name], descent - 1)}
        if descent and isinstance(node, list) and node and choices.below(4):
            if not choices.below(4):
                return self.repeated(self.edited(node[0], descent - 1))
            at = choices.below(min(len(node), 256))
            return [*node[:at], self.edited(node[at], descent - 1), *node[at + 1 :]]
        return self.hostile()

    def hostile(self) -> Any:
        """Return a value that a sender should never have written."""
        choices, scalar = self.choices, self.choices.one_of(SCALARS)
        kinds: Sequence[Callable[[], Any]] = (
            lambda: scalar,
            lambda: choices.one_of((1, -1)) * 10 ** choices.one_of(DIGITS),
            lambda: "9" * choices.one_of(DIGITS),
            self.text,
            self.nested,
            self.sample,
            lambda: self.repeated(choices.one_of((scalar, "a b", choices.text()))),
            lambda: {self.field(): choices.one_of(SCALARS) for _ in range(choices.below(4))},
            lambda: {self.field(): self.sample()},
            lambda: choices.one_of((SECRET, f"Bearer {SECRET}", f"refused: {SECRET}.", json.dumps(SECRET))),
        )
        return choices.one_of(kinds)()

    def nested(self) -> Any:
        value: Any = []
        field = self.field() if self.choices.below(4) else None
        for _ in range(self.choices.one_of(DEPTHS)):
            value = [value] if field is None else {field: value}
        return value

    def text(self) -> str:
        return self.choices.text() + self.choices.one_of(UNITS) * self.choices.one_of(LENGTHS)

    def repeated(self, value: Any) -> list[Any]:
        """Return a list that is not too large."""
        return [value] * min(self.choices.one_of(COUNTS), MAX_DOCUMENT // len(json.dumps(value)))
