"""Access tokens: which one is valid, and when it expires."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tokens:
    """The access token that is valid now and the refresh token that renews it. Times are on the simulator's clock."""

    access: str
    refresh: str = "fake-refresh-0"
    idle_seconds: float | None = None  # a token expires after so long without a call
    lifetime: float | None = None  # a renewed token expires after so long
    dead: bool = False  # an older pair was presented: the whole chain is revoked
    renewals: int = 0
    last_used: float | None = None
    expires: float | None = None

    def accepts(self, token: str, now: float) -> bool:
        """Return whether a token is the valid one, and record its use."""
        idle = self.idle_seconds is not None and self.last_used is not None and now - self.last_used > self.idle_seconds
        expired = self.expires is not None and now >= self.expires
        if token != self.access or not token or self.dead or idle or expired:
            return False
        self.last_used = now
        return True

    def replace(self, access: str, refresh: str | None = None) -> None:
        """Make `access` the valid token, without an expiry."""
        self.access, self.refresh = access, refresh or self.refresh
        self.last_used = self.expires = None
        self.dead = False

    def renew(self, access: str, refresh: str, now: float) -> bool:
        """Replace the current pair with a new one; any other pair revokes the chain."""
        if self.dead or (access, refresh) != (self.access, self.refresh):
            self.dead = True
            return False
        self.renewals += 1
        self.replace(f"fake-access-{self.renewals}", f"fake-refresh-{self.renewals}")
        self.expires = None if self.lifetime is None else now + self.lifetime
        return True
