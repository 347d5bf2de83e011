"""What is read from any response of Commvault, whatever was asked."""

import json

import pytest

from rds_snap_backup.commvault.answers import HttpResponse, document_of, errors, text_of


@pytest.mark.parametrize("form", ["errorMessage", "errorString", "errLogMessage"])
def test_every_text_of_an_error_is_one_line(form: str) -> None:
    (problem,) = errors({"errorCode": 19, form: "No\nspace\x00 left." + "." * 900})
    assert problem.message.startswith("No space left.")
    assert len(problem.message) == 500
    assert text_of({form: "No\nspace"}) == text_of("No\n space") == "No space"


@pytest.mark.parametrize("body", [None, b"", b"{", b"<html>", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json_has_no_document(body: bytes | None) -> None:
    assert document_of(HttpResponse(200, {}, body)) is None


def test_a_body_that_is_json_has_one() -> None:
    assert document_of(HttpResponse(200, {}, json.dumps({"jobs": []}).encode())) == {"jobs": []}
