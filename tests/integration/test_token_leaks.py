"""No secret is shown, in any form in which a server gives it back: not in logs at DEBUG, problems, or the ledger."""

import json
import logging
import time
from base64 import b64encode
from typing import Any

import pytest

from local.commserve import CommServe
from local.commserve.faults.echo import FORMS
from local.emulator import Emulator
from tests.integration.pairs import RENEW, TokenWorld

PLACES = ("text", "page", "header", "redirect", "status_line", "malformed_header", "length", "chunk")
RUN = 12


class Seen:
    """Everything that leaves the token's layer, in one text."""

    def __init__(self, world: TokenWorld, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self.world, self.capfd, self.caplog = world, capfd, caplog
        self.outcomes: list[Any] = []

    def text(self) -> str:
        out, err = self.capfd.readouterr()
        # At DEBUG the SDK logs the secret's value; in the function no level reaches its loggers.
        ours = [record for record in self.caplog.records if not record.name.startswith("botocore")]
        logged = "\n".join(f"{record.getMessage()} {record.exc_text} {record.__dict__}" for record in ours)
        return "\n".join((out, err, logged, repr(self.outcomes), json.dumps(self.world.item)))


@pytest.fixture
def world(aws: Emulator, commserve: CommServe) -> TokenWorld:
    return TokenWorld(aws, commserve)


@pytest.fixture
def seen(world: TokenWorld, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Seen:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "test")
    return Seen(world, capfd, caplog)


def leaks(text: str, *secrets: str) -> list[str]:
    """Return every part of a secret that is in a text, in any of the forms."""
    text = text.lower()
    found = []
    for form in FORMS.values():
        for secret in secrets:
            shown = form(secret).lower()
            run = max(RUN, len(shown) * RUN // len(secret))
            found += [shown[at : at + run] for at in range(len(shown) - run + 1) if shown[at : at + run] in text]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_what_a_server_gives_back_is_not_shown(world: TokenWorld, seen: Seen, form: str) -> None:
    secrets = [*world.commserve.tokens.pair.values()]
    for where in PLACES:
        fault: dict[str, Any] = {"where": where, "form": form}
        sandbox = world.sandbox()
        for status in (500, 401, 400):
            world.commserve.fault("echo", path="/CreateTask", status=status, **fault)
            seen.outcomes.append(sandbox.submit(seconds=20))
        world.commserve.fault("echo", path="/Client", **fault)
        seen.outcomes.append(sandbox.commvault.get("/Client", time.monotonic() + 10))
        world.pair.expire()
        world.commserve.fault("echo", path=RENEW, **fault)
        seen.outcomes.append(world.sandbox().submit())
        # The next place begins with a new pair.
        secrets += world.commserve.tokens.pair.values()
        secrets += world.pair.issue().values()
        world.commserve.clear_faults()

    text = seen.text()
    assert "***" in text
    assert leaks(text + FORMS[form](secrets[0]), secrets[0]), "the search finds nothing"
    assert leaks(text, *secrets) == []


NEW = "eyNew0Token/9f3c51d7a204+mnopqrst="
RENEWED: list[tuple[int, Any]] = [
    # Successes in an unknown form.
    (200, NEW),
    (200, {"errorCode": 5, "errorMessage": f"renewed: {NEW}"}),
    (200, {"errorMessage": b64encode(NEW.encode()).decode()}),
    # Refusals that hold a pair all the same.
    (500, {"errors": [{"errList": [{"errorCode": 19, "errorMessage": NEW}]}], "data": {"newToken": NEW}}),
    (500, {"errorCode": 19, "errorMessage": json.dumps({"refreshToken": NEW})}),
    (400, {"errorCode": 19, "errorMessage": f"token={NEW}"}),
    (400, f'<R errorCode="19" accessToken="{NEW}" errorMessage="{NEW}"/>'),
    (400, {"errorMessage": NEW, **{f"token{number}": f"{NEW}{number}" for number in range(20)}}),
    (400, {"token": NEW, "errorMessage": NEW, "padding": "x" * 100_000}),
]


@pytest.mark.parametrize(("status", "body"), RENEWED, ids=lambda value: str(value)[:60])
def test_a_new_token_in_an_answer_to_a_renewal_is_not_shown(
    world: TokenWorld, seen: Seen, status: int, body: Any
) -> None:
    world.pair.expire()
    text = body if isinstance(body, str) and body.startswith("<") else json.dumps(body)
    world.commserve.fault("status", path=RENEW, status=status, body=text)
    seen.outcomes.append(world.sandbox().submit())
    assert "TOKEN_RE" in repr(seen.outcomes)
    assert leaks(seen.text(), NEW) == []
