"""Inputs: turns bytes into JSON as a hostile sender would write it.

Random bytes find little beyond JSON's own errors. So an input that begins with a control character is a list of choices:
a real document, and edits that put hostile values into it. Any other input is the text itself.
"""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local.tools import ROOT

CORPUS = Path(__file__).parent / "corpus"
# Stands in the place of the token, and must never be shown.
SECRET = "planted/Secret+Token=0123456789abcdefghijklmnop"
MAX_INPUT = 5000
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


def text_of(data: bytes, samples: Sequence[Any], fields: Sequence[str]) -> str:
    """Return the text of an input: itself, or one of the samples with edits."""
    return edited(Choices(data[1:]), samples, fields) if is_choices(data) else data.decode("utf-8", "surrogateescape")


def edited(choices: Choices, samples: Sequence[Any], fields: Sequence[str]) -> str:
    """Return one of the samples with up to six edits as JSON; empty if it is too large."""
    document = copy.deepcopy(choices.one_of(samples))
    for _ in range(choices.below(MAX_EDITS + 1)):
        document = _edited(document, choices, samples, fields, MAX_DESCENT)
    text = json.dumps(document, ensure_ascii=bool(choices.below(2)))
    return text if len(text) <= MAX_DOCUMENT else ""


def _edited(node: Any, choices: Choices, samples: Sequence[Any], fields: Sequence[str], descent: int) -> Any:
    """Replace, remove or add something at a place in a document."""
    if descent and isinstance(node, dict):
        match choices.below(8):
            case 0:
                return _hostile(choices, samples, fields)
            case 1:
                return {**node, choices.one_of(fields): _hostile(choices, samples, fields)}
            case 2:
                return {**node, _text(choices): _hostile(choices, samples, fields)}
            case 3 if node:
                left_out = choices.one_of(list(node)[:256])
                return {name: value for name, value in node.items() if name != left_out}
            case _ if node:
                name = choices.one_of(list(node)[:256])
                return {**node, name: _edited(node[name], choices, samples, fields, descent - 1)}
    if descent and isinstance(node, list) and node and choices.below(4):
        if not choices.below(4):
            return _repeated(_edited(node[0], choices, samples, fields, descent - 1), choices.one_of(COUNTS))
        at = choices.below(min(len(node), 256))
        return [*node[:at], _edited(node[at], choices, samples, fields, descent - 1), *node[at + 1 :]]
    return _hostile(choices, samples, fields)


def _hostile(choices: Choices, samples: Sequence[Any], fields: Sequence[str]) -> Any:
    """Return a value that a sender should never have written."""
    match choices.below(10):
        case 0:
            return choices.one_of(SCALARS)
        case 1:
            return choices.one_of((1, -1)) * 10 ** choices.one_of(DIGITS)
        case 2:
            return "9" * choices.one_of(DIGITS)
        case 3:
            return _text(choices)
        case 4:
            value: Any = []
            field = choices.one_of((None, *fields))
            for _ in range(choices.one_of(DEPTHS)):
                value = [value] if field is None else {field: value}
            return value
        case 5:
            return copy.deepcopy(choices.one_of(samples))
        case 6:
            return [choices.one_of((*SCALARS, "a b", choices.text()))] * choices.one_of(COUNTS)
        case 7:
            return {choices.one_of(fields): choices.one_of(SCALARS) for _ in range(choices.below(4))}
        case 8:
            sample: Any = copy.deepcopy(choices.one_of(samples))
            return sample if not isinstance(sample, dict) else {**sample, choices.one_of(fields): sample}
        case _:
            return choices.one_of((SECRET, f"Bearer {SECRET}", f"refused: {SECRET}.", json.dumps(SECRET)))


def _text(choices: Choices) -> str:
    return choices.text() + choices.one_of(UNITS) * choices.one_of(LENGTHS)


def _repeated(value: Any, count: int) -> list[Any]:
    """Return a list that is not too large."""
    return [value] * min(count, MAX_DOCUMENT // len(json.dumps(value)))
