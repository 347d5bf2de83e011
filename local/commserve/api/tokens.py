"""`POST /V4/AccessToken/Renew`."""

from typing import Any

from local.commserve.answers import Answer, access_denied, bare_string
from local.commserve.recorded import Recorded
from local.commserve.state import State
from local.commserve.tokens import RENEWABLE_AFTER_EXPIRY, Tokens


def renew_access_token(state: State, request: Recorded) -> Answer:
    """`POST /V4/AccessToken/Renew`: needs no valid token, only the latest pair; a header, if sent, must agree."""
    match request.json:
        case {"accessToken": str(access), "refreshToken": str(refresh), **others} if not others:
            pass
        case _:
            return bare_string()
    tokens, now = state.tokens, state.clock.now()
    with state.lock:
        if not request.bearer_of(access) or not tokens.renew(access, refresh, now):
            return access_denied()
        return Answer(value=_renewed(state, tokens))


def _renewed(state: State, tokens: Tokens) -> dict[str, Any]:
    expiry, until = tokens.expires or 0.0, tokens.renewable_until or 0.0
    return tokens.pair | {
        "accessTokenId": 100 + tokens.made,
        "tokenName": "rds-snap-backup",
        "renewableUntilTimestamp": int(state.clock.shown(until)),
        "tokenExpiryTimestamp": int(state.clock.shown(expiry)),
        "refreshTokenExpiryTimestamp": int(state.clock.shown(min(expiry + RENEWABLE_AFTER_EXPIRY, until))),
    }
