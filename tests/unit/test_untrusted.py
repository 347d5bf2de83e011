"""What comes from outside is read with bounds: texts, numbers, JSON."""

import json
from typing import Any

import pytest

from rds_snap_backup import untrusted
from rds_snap_backup.untrusted import MAX_DEPTH, MAX_JSON, MAX_NUMBER, NotJson, clean_text, is_deep, is_name, read_json


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Access denied", "Access denied"),
        (" Failed to start backups. \n", "Failed to start backups."),
        ("a\r\nb\tc\x0bd\x85e\u2028f\u2029g", "a b c d e f g"),
        ("\x1b[31mred\x1b[0m \x00\x7f", "[31mred [0m"),
        ("right\u202eleft \ud800 lone", "right left lone"),
        ("größer, 容量", "größer, 容量"),
        ("No route: [Errno -2] Name or service not known", "No route: Name or service not known"),
        ("", ""),
        ("\n\n", ""),
    ],
)
def test_a_text_becomes_one_line_without_control_characters(text: str, line: str) -> None:
    assert clean_text(text) == line
    clean_text(text).encode()


NO_NUMBERS: list[Any] = [True, 7.0, "7.0", "", "9" * 21, MAX_NUMBER + 1, -(10**400), "٣", None]
NO_NAMES: list[Any] = ["", "a\nb", "a\x1b[31m", "a\u202eb", "a\u2028b", "\ud800", "x" * 501, 7, None, ["a"], {"a": 1}]


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), ("-7", -7), (MAX_NUMBER, MAX_NUMBER), *((value, None) for value in NO_NUMBERS)],
    ids=lambda value: str(value)[:9],
)
def test_a_whole_number_is_an_int_or_a_text_of_digits(value: Any, number: int | None) -> None:
    assert untrusted.whole_number(value) == number


@pytest.mark.parametrize("value", ["orders", "größer 容量", "a\u3000b\u00a0c", "x" * 500, *NO_NAMES])
def test_a_name_is_any_printable_text(value: Any) -> None:
    assert is_name(value) is (value not in NO_NAMES)


def nested(depth: int) -> Any:
    document: Any = "leaf"
    for level in range(depth):
        document = {"a": document} if level % 2 else [document]
    return document


def test_json_is_read_up_to_a_depth() -> None:
    assert read_json(json.dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(NotJson, match="deeper than 50 levels"):
        read_json(json.dumps(nested(MAX_DEPTH + 1)))
    assert not is_deep(nested(MAX_DEPTH))
    assert is_deep(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("", "Expecting value"),
        (b"\xff\xfe\x00", "encoding"),
        (b"\x80", "encoding"),
        ("[" * 200_000, "deeper"),
        ("[{" * 125_001, "more than 250000 objects and lists"),
        (b"[" * 250_001, "more than 250000 objects and lists"),
        ("1" * 5000, "encoding|digits"),
        ('"' + "x" * MAX_JSON + '"', "longer"),
    ],
    ids=range(9),
)
def test_what_is_not_json_is_named_and_not_shown(text: str | bytes, why: str) -> None:
    with pytest.raises(NotJson, match=why) as caught:
        read_json(text)
    assert len(str(caught.value)) < 100
