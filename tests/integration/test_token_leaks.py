"""No token that a server gives back is shown. `tests/unit/test_redaction.py` has the forms in which it is recognized."""

import json
import time
from typing import Any

import pytest

from tests.integration.clients import RENEW, PairInSecret
from tests.integration.leaks import leaks
from tests.integration.world import World

PLACES = ("text", "page", "header", "redirect", "status_line", "malformed_header", "length", "chunk")


@pytest.fixture
def pair(world: World) -> PairInSecret:
    return PairInSecret(world)


def test_what_a_server_gives_back_is_not_shown(pair: PairInSecret, capfd: pytest.CaptureFixture[str]) -> None:
    secrets, outcomes, commserve = {*pair.commserve.tokens.pair.values()}, list[Any](), pair.commserve
    for where in PLACES:
        sandbox = pair.world.sandbox()
        for status in (500, 401, 400):
            commserve.fault("echo", path="/CreateTask", status=status, where=where)
            outcomes.append(pair.submit(sandbox, 20))
        commserve.fault("echo", path="/Client", where=where)
        outcomes.append(sandbox.commvault.get("/Client", time.monotonic() + 10))
        pair.expire()
        commserve.fault("echo", path=RENEW, where=where)
        outcomes.append(pair.submit())
        # The next place begins with a new pair.
        secrets |= {*commserve.tokens.pair.values(), *pair.issue().values()}
        commserve.clear_faults()
    shown = f"{outcomes} {capfd.readouterr()}"
    assert "***" in shown
    assert leaks(shown, secrets) == []


NEW = "eyNew0Token/9f3c51d7a204+mnopqrst="
ANSWERS: list[tuple[int, Any]] = [
    # Successes in an unknown form.
    (200, NEW),
    (200, {"errorCode": 5, "errorMessage": f"renewed: {NEW}"}),
    # Refusals that hold a pair all the same.
    (500, {"errors": [{"errList": [{"errorCode": 19, "errorMessage": NEW}]}], "data": {"newToken": NEW}}),
    (500, {"errorCode": 19, "errorMessage": json.dumps({"refreshToken": NEW})}),
    (400, {"errorCode": 19, "errorMessage": f"token={NEW}"}),
    (400, f'<R errorCode="19" accessToken="{NEW}" errorMessage="{NEW}"/>'),
    (400, {"errorMessage": NEW, **{f"token{number}": f"{NEW}{number}" for number in range(20)}}),
    (400, {"token": NEW, "errorMessage": NEW, "padding": "x" * 100_000}),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=lambda value: str(value)[:60])
def test_a_new_token_in_an_answer_to_a_renewal_is_not_shown(
    pair: PairInSecret, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, status: int, body: Any
) -> None:
    pair.expire()
    text = body if isinstance(body, str) and body.startswith("<") else json.dumps(body)
    pair.commserve.fault("status", path=RENEW, status=status, body=text)
    outcome = pair.submit()
    assert "TOKEN_RE" in repr(outcome)
    logged = [(record.getMessage(), record.exc_text, record.__dict__) for record in caplog.records]
    assert leaks(f"{outcome} {capfd.readouterr()} {logged}", [NEW]) == []
