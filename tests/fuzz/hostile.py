"""Turns the bytes of a fuzzing engine into JSON as a hostile sender would write it.

Random bytes find little beyond JSON's own errors. So an input that begins with a control character is a list of choices:
a real document, and edits that put hostile values where a real one has something. Any other input is the text itself.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any

# What must never be shown; it stands in the place of the token.
SECRET = "planted/Secret+Token=0123456789abcdefghijklmnop"

MAX_EDITS = 6
MAX_DESCENT = 6
# An input that is played in a thousandth of a second is worth more than a large one: `test_sizes.py` has the largest.
MAX_SIZE = 512 * 1024
SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, -1, 0.5, "", " ", [], {})
FLOATS = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, -0.0)
# Python reads and writes no more than 4,300 digits.
DIGITS = (5, 9, 12, 19, 20, 21, 39, 400, 4299)
UNITS = (
    "x", "9", "é", "\u200b", "\x1b[31m", "\n", "\x00", "\u2028", "\u202e", "\ud800", "😀", "\\", '"', "'", "%41", "&#65;",
    "\\u0041", "*", "[", "*a", " a", "²", "-",
)  # fmt: skip
# Around the limits of the code and of AWS: a line, an identity, a key, and what fits into a message only once.
LENGTHS = (1, 2, 12, 64, 65, 256, 500, 501, 1024, 1025, 2048, 8193, 42_000, 126_000)
DEPTHS = (2, 5, 10, 11, 12, 64, 200, 990, 5000)
COUNTS = (2, 10, 101, 1000, 20_000)


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


def text_of(data: bytes) -> str:
    """Return an input that is the text itself."""
    return data.decode("utf-8", "surrogateescape")


def written(document: Any, choices: Choices) -> str:
    """Return a document as JSON, with or without its characters escaped; empty where it is too deep or too large."""
    try:
        text = json.dumps(document, ensure_ascii=bool(choices.below(2)))
    except (ValueError, RecursionError):
        return ""
    return text if len(text) <= 2 * MAX_SIZE else ""


def read(text: str) -> Any:
    """Return JSON as Lambda's runtime reads an event; what is not JSON is a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def edited(choices: Choices, samples: Sequence[Any], fields: Sequence[str]) -> Any:
    """Return one of the samples with up to six edits."""
    document = copy.deepcopy(choices.one_of(samples))
    for _ in range(choices.below(MAX_EDITS + 1)):
        document = _edited(document, choices, samples, fields, MAX_DESCENT)
    return document


def _edited(node: Any, choices: Choices, samples: Sequence[Any], fields: Sequence[str], descent: int) -> Any:
    """Replace, remove or add something at a place in a document."""
    if descent and isinstance(node, dict):
        match choices.below(8):
            case 0:
                return hostile(choices, samples, fields)
            case 1:
                return {**node, choices.one_of(fields): hostile(choices, samples, fields)}
            case 2:
                return {**node, _text(choices): hostile(choices, samples, fields)}
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
    return hostile(choices, samples, fields)


def hostile(choices: Choices, samples: Sequence[Any], fields: Sequence[str]) -> Any:
    """Return a value that a sender should never have written."""
    match choices.below(14):
        case 0:
            return choices.one_of(SCALARS)
        case 1:
            return choices.one_of((1, -1)) * 10 ** choices.one_of(DIGITS)
        case 2:
            return choices.one_of(FLOATS)
        case 3:
            return "9" * choices.one_of(DIGITS)
        case 4:
            return choices.text()
        case 5:
            return _text(choices)
        case 6:
            return (
                choices.one_of(("arn:aws:rds:us-east-1:000000000000:db:", "RDS-EVENT-", "a "))
                + choices.one_of(UNITS) * 9
            )
        case 7:
            return _nested(choices.one_of(DEPTHS), choices.one_of((None, *fields)))
        case 8:
            return copy.deepcopy(choices.one_of(samples))
        case 9:
            return [_small(choices)] * choices.one_of(COUNTS)
        case 10:
            return [copy.deepcopy(choices.one_of(samples))] * choices.one_of(COUNTS[:3])
        case 11:
            return {choices.one_of(fields): _small(choices) for _ in range(choices.below(4))}
        case 12:
            sample, field = choices.one_of(samples), choices.one_of(fields)
            return _wrapped(sample, field, choices.one_of(DEPTHS[:-1])) if isinstance(sample, dict) else sample
        case _:
            return choices.one_of((SECRET, f"Bearer {SECRET}", f"refused: {SECRET}.", json.dumps(SECRET), SECRET[9:40]))


def _text(choices: Choices) -> str:
    return choices.text() + choices.one_of(UNITS) * choices.one_of(LENGTHS)


def _repeated(value: Any, count: int) -> list[Any]:
    """Return a list that is not too large."""
    return [value] * min(count, MAX_SIZE // len(json.dumps(value)))


def _small(choices: Choices) -> Any:
    return choices.one_of((*SCALARS, "\u200b" * 9, "a", "\x1b", 7, "a b", SECRET, choices.text()))


def _nested(depth: int, field: str | None) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value] if field is None else {field: value}
    return value


def _wrapped(sample: dict[str, Any], field: str, depth: int) -> Any:
    """Return a document within itself, so many times: its fields are those that are read at every level."""
    value: Any = sample
    for _ in range(depth):
        value = {**sample, field: value}
    return value
