"""Commvault's reading calls, counted and limited: a tenant's 1,000 an hour are shared with the polling of jobs."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem

MAX_CALLS = 300
# The restore points and the list of jobs get the other calls.
CONTENT_CALLS = 200
JOB_CALLS = 30
# A query by POST may count as a writing call, of which Commvault's SaaS allows a tenant 100 an hour.
MAX_SAAS_QUERIES = 20
NARROWER = "Give the token's user rights on the clients of databases only: then it sees no others."
OUT_OF_CALLS = Problem(
    "OUT_OF_CALLS", f"An audit makes at most {MAX_CALLS} reading calls to Commvault, which were not enough.", NARROWER
)
OUT_OF_QUERIES = Problem(
    "OUT_OF_CALLS",
    f"An audit asks Commvault's SaaS for the restore points of at most {MAX_SAAS_QUERIES} instances.",
    "Audit the other cloud accounts with a second stack, whose token's user sees only those.",
)


class Metered(Commvault):
    """Reads with another client. `calls` counts the calls; those above the limits are not made."""

    def __init__(self, commvault: Commvault, base_url: str) -> None:
        self._commvault = commvault
        # The SaaS API's address has no path, the others do.
        self._most_queries = MAX_CALLS if urlsplit(base_url).path.strip("/") else MAX_SAAS_QUERIES
        self._queries = 0
        self.calls = 0

    def get(
        self,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        *,
        listed: str = "",
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a JSON object."""
        if self.calls >= MAX_CALLS:
            return QueryFailed(OUT_OF_CALLS)
        self.calls += 1
        return self._commvault.get(path, deadline, headers, listed=listed)

    def query(
        self, path: str, body: Mapping[str, Any], deadline: float, *, listed: str
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a list that Commvault answers to a POST."""
        if self._queries >= self._most_queries:
            return QueryFailed(OUT_OF_QUERIES)
        # The list of jobs, which is read last, is to have some calls.
        if self.calls >= MAX_CALLS - JOB_CALLS:
            return QueryFailed(OUT_OF_CALLS)
        self.calls += 1
        self._queries += 1
        return self._commvault.query(path, body, deadline, listed=listed)

    def probe(self, path: str, deadline: float) -> JsonDocument | Unauthorized | QueryFailed:
        """Read without a token."""
        self.calls += 1
        return self._commvault.probe(path, deadline)
