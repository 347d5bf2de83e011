"""Access tokens: which one is valid, when it expires, and what renews it.

A plain token has no end here. A pair, as Command Center shows it once, has an access
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
    lifetime: float = LIFETIME  # how long an access token lives that is made from now on
    deleted: bool = False  # an older pair was presented: the whole chain is gone
    renewals: int = 0
    refused: int = 0  # renewals
    expires: float | None = None
    renewable_until: float | None = None
    earlier: list[tuple[str, str]] = field(default_factory=list)  # the pairs that were renewed
    made: int = 0

    def accepts(self, header: str, now: float) -> bool:
        """Tell whether the header `Authtoken` holds the valid token."""
        token = header.removeprefix("Bearer ") if self.refresh else header
        expired = self.expires is not None and now >= self.expires
        return token == self.access != "" and not self.deleted and not expired

    def replace(self, access: str) -> None:
        """Make `access` the valid token: a plain one, without an end."""
        self.access, self.refresh = access, ""
        self.expires = self.renewable_until = None
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
        self.expires = now + self.lifetime
