"""Live secrets are taken out of every text, in whatever form it gives them back."""

import html
import json
import random
import string
from urllib.parse import quote, quote_plus

import pytest

from rds_snap_backup import redaction
from rds_snap_backup.commvault.answers import HttpResponse, errors, text_of, xml_error
from rds_snap_backup.redaction import REDACTED, redact, remember
from rds_snap_backup.untrusted import clean_text

SECRET = 'eyJ0fake/a+b=c"d&e\\f~ghijkl%2Fmnopqrstuvw'
FORMS = {
    "plain": SECRET,
    "after Bearer": f"Bearer {SECRET}",
    "JSON": json.dumps(SECRET),
    "JSON, slashes escaped": json.dumps(SECRET).replace("/", "\\/"),
    "JSON, all escaped": "".join(f"\\u{ord(char):04X}" for char in SECRET),
    "a program's escapes": "".join(f"\\x{ord(char):02x}" for char in SECRET),
    "JSON in JSON": json.dumps(json.dumps({"token": SECRET})),
    "URL": quote(SECRET, safe=""),
    "URL, lower case": "".join(f"%{ord(char):02x}" for char in SECRET),
    "URL, slashes kept": quote(SECRET),
    "form": quote_plus(SECRET),
    "URL in URL": quote(quote(SECRET, safe=""), safe=""),
    "URL in JSON": json.dumps({"Location": quote(SECRET, safe="")}),
    "HTML": html.escape(SECRET),
    "HTML, numbers": "".join(f"&#{ord(char)};" for char in SECRET),
    "HTML, hexadecimal": "".join(f"&#x{ord(char):x};" for char in SECRET),
    "cut off": SECRET[:20],
    "its end": SECRET[-20:],
    "twice": f"{SECRET} {SECRET}",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", {})
    remember([SECRET])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    text = redact(f"The token {form!s} is refused.")

    assert REDACTED in text
    assert text.startswith("The token ")
    assert text.endswith(" is refused.")
    for undo in (str, html.unescape, lambda text: text.replace("\\", "")):
        assert not any(SECRET[at : at + 12] in undo(text) for at in range(len(SECRET) - 11))


@pytest.mark.parametrize("text", ["", "Access denied", "50 % of \\ & &amp; \\u00e9 %41 \\", "eyJ0fake/a", "\0"])
def test_any_other_text_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_texts_of_answers_are_redacted() -> None:
    document = {"errorCode": 5, "errorMessage": f"No: {SECRET}", "errList": [{"errorCode": 6, "errorString": SECRET}]}
    assert [problem.message for problem in errors(document)] == [f"No: {REDACTED}", REDACTED]
    assert text_of(f"{SECRET}\n") == REDACTED
    assert clean_text("a" * 1990 + SECRET).endswith("a")
    problem = xml_error(HttpResponse(200, {}, f'<a errorCode="5" errorMessage="{html.escape(SECRET)}"/>'.encode()))
    assert problem is not None
    assert problem.message == REDACTED


def test_a_short_secret_is_found_as_a_whole() -> None:
    remember(["tok-12", "abc"])
    assert redact("tok-12 and tok-1 and abc") == f"{REDACTED} and tok-1 and abc"


def test_the_pairs_of_earlier_renewals_are_known_for_a_while() -> None:
    names = [f"another-secret-{number:04}-{'x' * number}" for number in range(30)]
    remember(names)
    assert [redact(name) == REDACTED for name in names] == [False] * 6 + [True] * 24


def test_a_secret_as_long_as_they_come_costs_little() -> None:
    digits = random.Random(7).choices(string.ascii_letters, k=8000)
    remember(["".join(digits)])
    assert redact("x" * 2000 + "".join(digits[100:140])) == "x" * 2000 + REDACTED
