"""Access tokens: which one is valid, and when it expires."""

from dataclasses import dataclass


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
