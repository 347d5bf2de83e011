"""A token pair's chain, as Commvault keeps it, and the promise about it: no older pair is presented while a newer is stored."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

type Reply = tuple[int, Any, dict[str, str]]

NO_ACCESS: Reply = (401, {"errorMessage": "Access denied", "errorCode": 5}, {})
LIFETIME = 1800.0
DAY = 86400.0


class World(Protocol):
    """Time, a count of what was seen, and the end of an example that has broken a promise."""

    seen: Counter[str]

    @property
    def now(self) -> float: ...
    def fail(self, message: str) -> None: ...


@dataclass(slots=True)
class Chain:
    """The latest pair, the only one that is accepted. `stored` has every value of the secret."""

    kernel: World
    ahead: float
    stored: Callable[[], Iterable[str]] = list
    pair: tuple[str, str] = ("", "")
    expires: float = 0.0
    is_deleted: bool = False
    earlier: set[tuple[str, str]] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: count(1))

    def issue(self) -> str:
        """Begin a chain, and return the secret's value for it."""
        self.is_deleted = False
        self.earlier.clear()
        self._next()
        return self.value

    @property
    def value(self) -> str:
        """The latest pair as its owner stores it."""
        return json.dumps({"accessToken": self.pair[0], "refreshToken": self.pair[1]})

    @property
    def is_known(self) -> bool:
        """Return whether the latest pair is stored, and the chain not deleted."""
        values = (json.loads(value) for value in self.stored())
        return not self.is_deleted and any(
            (value["accessToken"], value["refreshToken"]) == self.pair for value in values
        )

    def accepts(self, header: str) -> bool:
        """Return whether the header `Authtoken` has the latest access token."""
        return not self.is_deleted and header == f"Bearer {self.pair[0]}" and self.kernel.now < self.expires

    def renew(self, access: str, refresh: str) -> Reply:
        """Answer a renewal."""
        presented = (access, refresh)
        if presented in self.earlier:
            if self.is_known:
                self.kernel.fail("an older pair was presented while a newer one is stored")
            self.is_deleted = True
            self.kernel.seen["chain deleted"] += 1
        if self.is_deleted or presented != self.pair or self.kernel.now > self.expires + 14 * DAY:
            self.kernel.seen["renewal refused"] += 1
            return NO_ACCESS
        self.earlier.add(presented)
        self._next()
        self.kernel.seen["renewed"] += 1
        access, refresh = self.pair
        times = {"tokenExpiryTimestamp": int(self.expires + self.ahead)}
        return (200, {"accessToken": access, "refreshToken": refresh, **times}, {})

    def _next(self) -> None:
        number = next(self.numbers)
        self.pair = f"fake-access-{number}", f"fake-refresh-{number}"
        self.expires = self.kernel.now + LIFETIME
