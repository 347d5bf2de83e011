"""What is read from any response of Commvault, whatever was asked."""

import json
from typing import Any

import pytest

from rds_snap_backup.commvault.answers import HttpResponse, document_of, errors, safe_line, text_of, whole_number


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Access denied", "Access denied"),
        (" Failed to start backups. \n", "Failed to start backups."),
        ("a\r\nb\tc\x0bd\x85e\u2028f\u2029g", "a b c d e f g"),
        ("\x1b[31mred\x1b[0m \x00\x7f", "[31mred [0m"),
        ("right\u202eleft \ud800 lone", "right left lone"),
        ("größer, 容量", "größer, 容量"),
        ("", ""),
        ("\n\n", ""),
    ],
)
def test_a_text_becomes_one_line_without_control_characters(text: str, line: str) -> None:
    assert safe_line(text) == line
    safe_line(text).encode()


@pytest.mark.parametrize("text", ["x" * 501, "x " * 5000, "\n" * 900 + "x" * 900, "y" * 10_000_000])
def test_a_text_has_at_most_500_characters(text: str) -> None:
    assert 1 <= len(safe_line(text)) <= 500


@pytest.mark.parametrize("form", ["errorMessage", "errorString", "errLogMessage"])
def test_every_text_of_an_error_is_one_line(form: str) -> None:
    (problem,) = errors({"errorCode": 19, form: "No\nspace\x00 left." + "." * 900})
    assert problem.message.startswith("No space left.")
    assert len(problem.message) == 500
    assert text_of({form: "No\nspace"}) == text_of("No\n space") == "No space"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("7", 7),
        ("-7", -7),
        (True, None),
        (7.0, None),
        ("7.0", None),
        ("", None),
        ("9" * 21, None),
        (None, None),
    ],
)
def test_a_whole_number_is_an_int_or_a_text_of_digits(value: Any, number: int | None) -> None:
    assert whole_number(value) == number


@pytest.mark.parametrize("body", [None, b"", b"{", b"<html>", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json_has_no_document(body: bytes | None) -> None:
    assert document_of(HttpResponse(200, {}, body)) is None


def test_a_body_that_is_json_has_one() -> None:
    assert document_of(HttpResponse(200, {}, json.dumps({"jobs": []}).encode())) == {"jobs": []}
