"""Commvault's reading calls, counted and limited: a tenant's 1,000 an hour are shared with the polling of jobs."""

from collections.abc import Mapping

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem

MAX_CALLS = 300
# The list of jobs gets the other calls.
INVENTORY_CALLS = 200
NARROWER = "Give the token's user rights on the clients of databases only: then it sees no others."
OUT_OF_CALLS = Problem(
    "OUT_OF_CALLS", f"An audit makes at most {MAX_CALLS} reading calls to Commvault, which were not enough.", NARROWER
)


class Metered(Commvault):
    """Reads with another client. `calls` counts the calls; those above the limit are not made."""

    def __init__(self, commvault: Commvault) -> None:
        self._commvault = commvault
        self.calls = 0

    def get(
        self,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        *,
        not_found_is_empty: bool = False,
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a JSON object."""
        if self.calls >= MAX_CALLS:
            return QueryFailed(OUT_OF_CALLS)
        self.calls += 1
        return self._commvault.get(path, deadline, headers, not_found_is_empty=not_found_is_empty)

    def probe(self, path: str, deadline: float) -> JsonDocument | Unauthorized | QueryFailed:
        """Read without a token."""
        self.calls += 1
        return self._commvault.probe(path, deadline)
