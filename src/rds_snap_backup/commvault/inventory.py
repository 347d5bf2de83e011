"""Commvault's inventory: its clients, and the Cloud Apps instances and subclients of one.

Nothing is asked twice, and nothing at all once an answer shows that asking is useless, or the time is over.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.clients import Client, clients_in, find_client
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed, is_of_the_call
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import is_name, list_in

CLOUD_APPS = 134
# A connection may take 10 s to be made or to fail, however little time is left.
CALL_SECONDS = 15.0
RESERVE_SECONDS = 4.0
# Comparing a name with thousands of others takes a while, and a hundred guesses are enough.
MAX_GUESSES = 100
MAX_CANDIDATES = 2000
OUT_OF_TIME = Problem(
    "OUT_OF_TIME",
    "The function's time ran out.",
    "Check again. If it persists, find out why AWS or Commvault answers so slowly.",
)

UNLISTED = Problem(
    "ANSWER_TOO_LONG",
    "Commvault's list of clients is too long to be read.",
    "Give the token's user rights on the clients of databases only: then it sees no others.",
)
# An empty list may be answered so as well, but each CommCell has clients.
NO_CLIENTS = Problem("NO_CLIENTS", "The address answers, but with no list of clients.", "Check CommvaultApiUrl.")


type Get = Callable[[str, float], JsonDocument | Unauthorized | QueryFailed]


@dataclass(frozen=True)
class Content:
    """A client's instances, and its subclients as (instance, subclient)."""

    instances: frozenset[str]
    subclients: frozenset[tuple[str, str]]

    def subclients_of(self, instance: str) -> list[str]:
        """Return the names of an instance's subclients."""
        return sorted(name for owner, name in self.subclients if owner == instance)


class Discovery:
    """One inventory, taken within the time of one run of the function."""

    def __init__(self, commvault: Commvault, seconds_left: Callable[[], float]) -> None:
        self._commvault = commvault
        self._seconds_left = seconds_left
        self._stopped: Problem | None = None
        self._listed: dict[str, Client] | None = None
        self._named: dict[str, Client | Problem | None] = {}
        self._subclients: dict[str, frozenset[tuple[str, str]] | Problem] = {}
        self._contents: dict[str, Content | Problem] = {}
        self._meant: dict[str, str | None] = {}
        self._guesses = 0

    def begin(self, unusable_secret: Problem | None) -> JsonDocument | Unauthorized | QueryFailed:
        """Read the list of clients: the first call, and the last where it fails.

        With a secret that holds no token the call is made without one: it shows whether Commvault can be reached.
        """
        if unusable_secret:
            self._stopped = unusable_secret
            return self._list_clients(self._commvault.probe)
        listing = self._list_clients(self._get)
        match listing:
            case JsonDocument(document):
                self._listed = clients_in(document)
            case QueryFailed(problem) if problem.code == "ANSWER_TOO_LONG":
                pass  # Each client is asked for by its name instead.
            case Unauthorized(problem) | QueryFailed(problem):
                self._stopped = problem
        return listing

    def client(self, name: str) -> Client | Problem | None:
        """Return the client of exactly this name, None where there is none."""
        if self._stopped:
            return self._stopped
        if self._listed is not None:
            return self._listed.get(name)
        if name not in self._named:
            found = self._ask(lambda deadline: find_client(self._commvault, name, deadline))
            self._named[name] = found
        return self._named[name]

    @property
    def clients(self) -> list[Client] | Problem:
        """All clients, by name."""
        if self._listed is None:
            return self._stopped or UNLISTED
        return sorted(self._listed.values(), key=lambda client: client.name)

    def subclients(self, client: Client) -> frozenset[tuple[str, str]] | Problem:
        """Return a client's subclients as (instance, subclient), by one call the first time."""
        if client.id not in self._subclients:
            self._subclients[client.id] = self._ask_subclients(client)
        return self._subclients[client.id]

    def content(self, client: Client) -> Content | Problem:
        """Return what a client has, by two calls the first time."""
        if client.id not in self._contents:
            self._contents[client.id] = self._ask_content(client)
        return self._contents[client.id]

    def nearest_client(self, name: str) -> str | None:
        """Return the client that may be meant: display names are compared too, since those are what people see."""
        if name not in self._meant:
            clients = (self._listed or {}).values()
            shown = {client.display_name: client.name for client in clients}
            self._meant[name] = self._nearest(name, shown | {client.name: client.name for client in clients})
        return self._meant[name]

    def nearest(self, name: str, names: Iterable[str]) -> str | None:
        """Return the one of `names` that may be meant."""
        return self._nearest(name, {text: text for text in names})

    def _nearest(self, name: str, meanings: Mapping[str, str]) -> str | None:
        """Return the meaning of the most similar text, ignoring case; None also if that would take too long."""
        self._guesses += 1
        if self._guesses > MAX_GUESSES or len(meanings) > MAX_CANDIDATES or self._seconds_left() < RESERVE_SECONDS:
            return None
        folded = {text.casefold(): meaning for text, meaning in meanings.items()}
        return next((folded[found] for found in get_close_matches(name.casefold(), folded, n=1)), None)

    def _ask_content(self, client: Client) -> Content | Problem:
        instances = self._read(f"/Instance?clientId={client.id}")
        if isinstance(instances, Problem):
            return instances
        pairs = self.subclients(client)
        if isinstance(pairs, Problem):
            return pairs
        names = {
            name
            for row in list_in(instances, "instanceProperties")
            for (name,) in _texts(row, "instance", "instanceName")
        }
        return Content(frozenset(names | {instance for instance, _ in pairs}), pairs)

    def _ask_subclients(self, client: Client) -> frozenset[tuple[str, str]] | Problem:
        answer = self._read(f"/Subclient?clientId={client.id}&applicationId={CLOUD_APPS}&propertyLevel=20")
        if isinstance(answer, Problem):
            return answer
        return frozenset(
            (instance, name)
            for row in list_in(answer, "subClientProperties")
            for instance, name in _texts(row, "subClientEntity", "instanceName", "subclientName")
        )

    def _read(self, path: str) -> dict[str, Any] | Problem:
        answer = self._ask(lambda deadline: self._get(path, deadline))
        return answer.document if isinstance(answer, JsonDocument) else answer

    def _ask[T](self, call: Callable[[float], T | Unauthorized | QueryFailed]) -> T | Problem:
        """Ask Commvault before the deadline; a failure that any other call would meet ends the asking."""
        if self._stopped:
            return self._stopped
        match self._in_time(call):
            case QueryFailed(problem) if is_of_the_call(problem):
                return problem
            case Unauthorized(problem) | QueryFailed(problem):
                self._stopped = problem
                return problem
            case answer:
                return answer

    def _list_clients(self, get: Get) -> JsonDocument | Unauthorized | QueryFailed:
        answer = self._in_time(lambda deadline: get("/Client", deadline))
        if isinstance(answer, JsonDocument) and not isinstance(answer.document.get("clientProperties"), list):
            return QueryFailed(NO_CLIENTS)
        return answer

    def _in_time[T](self, call: Callable[[float], T]) -> T | QueryFailed:
        left = self._seconds_left()
        return QueryFailed(OUT_OF_TIME) if left < CALL_SECONDS else call(time.monotonic() + left - RESERVE_SECONDS)

    def _get(self, path: str, deadline: float) -> JsonDocument | Unauthorized | QueryFailed:
        return self._commvault.get(path, deadline, not_found_is_empty=True)


def _texts(row: Any, entity: str, *fields: str) -> Iterable[tuple[str, ...]]:
    """Yield the names in an entity's fields, unless one is missing."""
    found = row.get(entity) if isinstance(row, dict) else None
    if isinstance(found, dict) and all(is_name(found.get(field)) for field in fields):
        yield tuple(found[field] for field in fields)
