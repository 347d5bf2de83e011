"""Live secrets are masked in every text, in any form."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from rds_snap_backup import redaction
from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.redaction import REDACTED, redact, remember
from rds_snap_backup.untrusted import clean_text

# Its base64 has both characters that are other ones in a URL, at every offset.
SECRET = 'eyJ0fake/a+b=c"d&e\\f~?~~>~ghijkl%2Fmnopqrstuvw'
# Of JSON, programs, URLs and HTML, which needs no semicolons.
ESCAPES = ("\\u{:04X}", "\\x{:02x}", "%{:02x}", "&#{};", "&#x{:x};", "&#{}", "&#x{:06x}")
BYTES = {"{:02x}": "-", "{:02X}": ":", "0x{:02x}": ","}
ORDS = [ord(char) for char in SECRET]
FORMS = {
    "plain": SECRET,
    **{f"each character as {form}": "".join(form.format(char) for char in ORDS) for form in ESCAPES},
    **{f"with {between!r} in between": between.join(SECRET) for between in ("\0", "\u200b", "\u00ad\u034f")},
    **{f"bytes as {form}": separator.join(form.format(char) for char in ORDS) for form, separator in BYTES.items()},
    "upper case": SECRET.upper(),
    "lower case": SECRET.lower(),
    "JSON": json.dumps(SECRET),
    "JSON, slashes escaped": json.dumps(SECRET).replace("/", "\\/"),
    "JSON in JSON": json.dumps(json.dumps({"token": SECRET}, separators=(",", ":"))),
    "URL": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "URL in URL": quote(quote(SECRET, safe=""), safe=""),
    "URL in JSON": json.dumps({"Location": quote(SECRET, safe="")}, separators=(",", ":")),
    "HTML": html.escape(SECRET),
    "JSON, NUL in between": json.dumps("\0".join(SECRET)),
    "hexadecimal": SECRET.encode().hex(),
    "hexadecimal, upper case": SECRET.encode().hex().upper(),
    "a part": SECRET[20:32],
    "a part in hexadecimal": f"00{SECRET[20:32].encode().hex()}00",
    **{f"base64, offset {at}": b64encode(b":" * at + SECRET.encode()).decode() for at in range(3)},
    **{f"base64 for URLs, offset {at}": urlsafe_b64encode(b":" * at + SECRET.encode()).decode() for at in range(3)},
    **{f"a part in base64, {at}": b64encode(b"x" * at + SECRET[7:19].encode() + b"yy").decode() for at in range(3)},
    **{f"{order} in hexadecimal": SECRET.encode(order).hex() for order in ("utf-16", "utf-16-le", "utf-16-be")},
    **{f"{it} in base64": b64encode(b"x" + SECRET.encode(it)).decode() for it in ("utf-16", "utf-16-le", "utf-16-be")},
    "a part in UTF-16 in hexadecimal": f"00{SECRET[20:32].encode('utf-16-be').hex()}00",
    "base64 in JSON": b64encode(SECRET.encode()).decode().replace("/", "\\/"),
    "base64 in a URL": quote(b64encode(SECRET.encode()), safe=""),
    "base64, upper case": b64encode(SECRET.encode()).decode().upper(),
    "user and password": b64encode(f"user:{SECRET}".encode()).decode(),
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", {})
    remember([SECRET])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_word_that_holds_a_secret_is_masked(form: str) -> None:
    assert redact(f"The token <a href='{form}'> is refused.") == f"The token <a {REDACTED} is refused."


def test_every_part_of_a_secret_is_masked() -> None:
    encoded = [SECRET, SECRET.encode().hex(), *(b64encode(b"." * at + SECRET.encode()).decode() for at in range(3))]
    for form, part in zip(encoded, (12, 24, 20, 20, 20), strict=True):
        for at in range(4 if part == 20 else 0, len(form) - part - 3):
            assert redact(f"- {form[at : at + part]} -") == f"- {REDACTED} -", form[at:]


@pytest.mark.parametrize(
    "text", ["", "Access denied", "50 % of \\ & &amp; \\u00e9 %41 \\", "eyJ0fake/a", SECRET[:11], "\0"]
)
def test_any_other_text_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_texts_of_answers_are_redacted() -> None:
    document = {"errorCode": 5, "errorMessage": f"No: {SECRET}"}
    response = HttpResponse(200, {}, json.dumps(document).encode())
    assert response.error
    assert response.error.message == f"No: {REDACTED}"
    assert HttpResponse(400, {}, json.dumps(f"{SECRET}\n").encode()).text == REDACTED
    xml = HttpResponse(200, {}, f'<a errorCode="5" errorMessage="{html.escape(SECRET)}"/>'.encode())
    assert xml.error
    assert xml.error.message == REDACTED
    assert clean_text("a" * 1990 + " " + SECRET).endswith("a")


def test_secrets_that_are_short_have_a_blank_or_are_of_earlier_renewals() -> None:
    remember(["tok-12", "abc", "QSDK 3abc"])
    assert redact("tok-12 and tok-1 and abc") == f"{REDACTED} and tok-1 and abc"
    assert clean_text("Token QSDK\u2009\x1b3abc.") == REDACTED
    names = [f"another-secret-{number:04}-{'x' * number}" for number in range(30)]
    remember(names)
    assert [redact(name) == REDACTED for name in names][-24:] == [True] * 24
    assert len(redaction._known) == redaction.MAX_SECRETS
