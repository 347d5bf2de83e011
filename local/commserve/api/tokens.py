"""The endpoint that renews an access token."""

from typing import Any

from local.commserve.answers import Answer, access_denied, bare_string
from local.commserve.recorded import Recorded
from local.commserve.state import State

REFRESH_SECONDS = 30 * 24 * 3600


def renew_access_token(state: State, request: Recorded) -> Answer:
    """`POST /V4/AccessToken/Renew`: does not need a valid token, only the current pair."""
    match request.json:
        case {"accessToken": str(access), "refreshToken": str(refresh)}:
            pass
        case _:
            return bare_string()
    tokens, now = state.tokens, state.clock.now()
    with state.lock:
        if not tokens.renew(access, refresh, now):
            return access_denied()
        until = int(state.clock.shown(now)) + REFRESH_SECONDS
        expiry = until if tokens.expires is None else int(state.clock.shown(tokens.expires))
        value: dict[str, Any] = {
            "accessTokenId": 100 + tokens.renewals,
            "tokenName": "rds-snap-backup",
            "accessToken": tokens.access,
            "refreshToken": tokens.refresh,
            "renewableUntilTimestamp": until,
            "tokenExpiryTimestamp": expiry,
            "refreshTokenExpiryTimestamp": until,
        }
    return Answer(value=value)
