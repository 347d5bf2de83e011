"""The state of the simulated CommServe; the endpoints work on it, and `CommServe` shows it to tests."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

from local.commserve.catalogue import Catalogue, Clients
from local.commserve.clock import Clock
from local.commserve.job_book import JobBook
from local.commserve.tokens import Tokens

if TYPE_CHECKING:
    from local.commserve.recorded import Recorded


# A CreateTask that names subclients of which some are unknown or refused: start the others, refuse it as a whole (by
# errorCode 4 for an unknown client, else 587207178), or answer with a task ID and start nothing.
type Unknown = Literal["skip", "refuse", "task"]


# Where `GET /Job` reads `limit` and `offset`: "both" takes the headers first.
type PagedBy = Literal["headers", "query", "both"]


@dataclass(slots=True)
class RateLimit:
    """How many calls of one kind are answered per period of the simulator's clock."""

    limit: int
    period: float
    began: float | None = None
    used: int = 0

    def admits(self, now: float) -> bool:
        """Count a call; False if it exceeds the limit. The period begins with its first call."""
        if self.began is None or now >= self.began + self.period:
            self.began, self.used = now, 0
        if self.used >= self.limit:
            return False
        self.used += 1
        return True


@dataclass(slots=True)
class FrontEnd:
    """A SaaS front end: after `sleeps_after` seconds without a request it answers 503 to the next one, and is awake."""

    sleeps_after: float | None = None
    last: float | None = None

    def wakes(self, now: float) -> bool:
        """Note a request; tell whether it is the one that finds the front end asleep."""
        asleep = self.sleeps_after is not None and self.last is not None and now - self.last > self.sleeps_after
        self.last = now
        return asleep


class State:
    """Everything but the wire: clock, catalogue, jobs, tokens, limits and the requests seen."""

    def __init__(self, token: str, clients: Clients, job_seconds: float, clock: Callable[[], float] | None) -> None:
        self.lock = RLock()
        self.clock = Clock(clock) if clock else Clock()
        self.catalogue = Catalogue(clients)
        self.jobs = JobBook(self.clock, job_seconds, self.catalogue)
        self.tokens = Tokens(token)
        self.unknown: Unknown = "skip"
        self.paged_by: PagedBy = "both"
        # Whether the list of subclients shows their content, as `GET /Subclient/{id}` does.
        self.lists_content = True
        # Restore points that no job here made: a row and its instance's ID.
        self.restore_points: list[tuple[int, dict[str, Any]]] = []
        self.front_end = FrontEnd()
        self.limits: dict[str, RateLimit] = {}
        self.requests: list[Recorded] = []
        self.statuses: dict[int, int] = {}
        self.refusals: list[str] = []
        self.keep_tokens = False
        self.request_ids = count(1)

    def clear(self) -> None:
        """Forget requests, jobs, restore points and limits; catalogue, token and clock stay."""
        with self.lock:
            self.requests.clear()
            self.statuses.clear()
            self.refusals.clear()
            self.limits.clear()
            self.restore_points.clear()
            self.jobs.clear()
