"""Access tokens: which one is valid, when it dies, and `POST /V4/AccessToken/Renew`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.commserve.answers import Answer, access_denied, bare_string

if TYPE_CHECKING:
    from local.commserve.recorded import Recorded
    from local.commserve.state import State

REFRESH_SECONDS = 30 * 24 * 3600


@dataclass(slots=True)
class Tokens:
    """The access token that is valid now and the refresh token that renews it. Times are on the simulator's clock."""

    access: str
    refresh: str = "fake-refresh-0"
    idle_seconds: float | None = None  # after so long without a call a token is dead
    lifetime: float | None = None  # so long after its making (by renewal) a token is dead
    dead: bool = False  # an older pair was presented: the whole chain is gone
    renewals: int = 0
    last_used: float | None = None
    expires: float | None = None

    def accepts(self, token: str, now: float) -> bool:
        """Tell whether a token is the valid one, and note that it was used."""
        idle = self.idle_seconds is not None and self.last_used is not None and now - self.last_used > self.idle_seconds
        expired = self.expires is not None and now >= self.expires
        if token != self.access or not token or self.dead or idle or expired:
            return False
        self.last_used = now
        return True

    def replace(self, access: str, refresh: str | None = None) -> None:
        """Make `access` the valid token, with no end of its own."""
        self.access, self.refresh = access, refresh or self.refresh
        self.last_used = self.expires = None
        self.dead = False

    def renew(self, access: str, refresh: str, now: float) -> bool:
        """Make a new pair out of the present one; any other pair kills the chain."""
        if self.dead or (access, refresh) != (self.access, self.refresh):
            self.dead = True
            return False
        self.renewals += 1
        self.replace(f"fake-access-{self.renewals}", f"fake-refresh-{self.renewals}")
        self.expires = None if self.lifetime is None else now + self.lifetime
        return True


def renew_access_token(state: "State", request: "Recorded") -> Answer:
    """`POST /V4/AccessToken/Renew`: needs no valid token, only the present pair."""
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
