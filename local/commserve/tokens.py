"""Access tokens: which one is valid, when it expires, and what renews it.

A plain token, as a login gives it, has no end but idleness. A pair, as Command Center shows it once, has an access
token that lives for `lifetime`. It can be renewed until 14 days after that, and never after `renewable_until`.
Commvault deletes the whole chain when a pair other than the latest is presented: every token of it is void from then on.
"""

from dataclasses import dataclass, field

DAY = 24 * 3600.0
LIFETIME = 30 * 60.0
RENEWABLE_AFTER_EXPIRY = 14 * DAY
RENEWABLE = 90 * DAY
RENEW = "/v4/accesstoken/renew"  # Commvault's SDK calls it with a second slash before it


@dataclass(slots=True)
class Tokens:
    """The token that is valid now and, where it is of a pair, what renews it. Times are on the simulator's clock."""

    access: str
    refresh: str = ""  # empty: a plain token, which nothing renews
    idle_seconds: float | None = None  # after so long without a call a token is void
    lifetime: float = LIFETIME  # how long an access token lives that is made from now on
    envelope: str = ""  # the member under which the answer to a renewal holds the pair; empty: none
    deleted: bool = False  # an older pair was presented: the whole chain is gone
    renewals: int = 0
    refused: int = 0  # renewals
    last_used: float | None = None
    expires: float | None = None
    renewable_until: float | None = None
    earlier: list[tuple[str, str]] = field(default_factory=list)  # the pairs that were renewed
    made: int = 0

    def accepts(self, header: str, now: float) -> bool:
        """Tell whether the header `Authtoken` holds the valid token, and note that it was used."""
        token = header.removeprefix("Bearer ") if self.refresh else header
        idle = self.idle_seconds is not None and self.last_used is not None and now - self.last_used > self.idle_seconds
        expired = self.expires is not None and now >= self.expires
        if token != self.access or not token or self.deleted or idle or expired:
            return False
        self.last_used = now
        return True

    def replace(self, access: str) -> None:
        """Make `access` the valid token: a plain one, with no end of its own."""
        self.access, self.refresh = access, ""
        self.last_used = self.expires = self.renewable_until = None
        self.deleted = False
        self.earlier.clear()

    def issue(self, now: float, renewable: float = RENEWABLE) -> dict[str, str]:
        """Create a pair, as Command Center does for a user; it begins a new chain and replaces what was valid."""
        self.replace("")
        self.renewable_until = now + renewable
        self._next(now)
        return self.pair

    @property
    def pair(self) -> dict[str, str]:
        """The valid pair, in the form in which it is presented and stored."""
        return {"accessToken": self.access, "refreshToken": self.refresh}

    def renew(self, access: str, refresh: str, now: float) -> bool:
        """Make a new pair out of the latest. An earlier one, or a mixture, deletes the chain."""
        latest = (access, refresh) == (self.access, self.refresh)
        if any(access in pair or refresh in pair for pair in self.earlier) or (
            not latest and (access == self.access or refresh == self.refresh)
        ):
            self.deleted = True
        too_late = (self.expires is not None and now > self.expires + RENEWABLE_AFTER_EXPIRY) or (
            self.renewable_until is None or now > self.renewable_until
        )
        if self.deleted or too_late or not latest:
            self.refused += 1
            return False
        self.renewals += 1
        self.earlier.append((access, refresh))
        self._next(now)
        return True

    def _next(self, now: float) -> None:
        self.made += 1
        self.access, self.refresh = f"fake-access-{self.made}/+=", f"fake-refresh-{self.made}/+="
        self.expires, self.last_used = now + self.lifetime, None
