"""Commvault's inventory: its clients, their RDS instances and instance groups, and the restore points of an instance.

Nothing is asked twice, and nothing at all once an answer shows that asking is useless, or the time is over.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.clients import CLIENTS, Client, clients_in, find_client
from rds_snap_backup.commvault.contents import Content, read_content
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed, is_of_the_call
from rds_snap_backup.commvault.restore_points import RestorePoint, read_restore_points
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.untrusted import is_name, list_in, whole_number

CLOUD_APPS = 134
AMAZON_RDS = 4
# The lists in answers, and the names in a row of subclients.
INSTANCES, SUBCLIENTS, ENTITY = "instanceProperties", "subClientProperties", "subClientEntity"
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
class Names:
    """The names of a client's instances, and of its subclients as (instance, subclient)."""

    instances: frozenset[str]
    subclients: frozenset[tuple[str, str]]

    def subclients_of(self, instance: str) -> list[str]:
        """Return the names of an instance's subclients."""
        return sorted(name for owner, name in self.subclients if owner == instance)


@dataclass(frozen=True)
class Instance:
    """An RDS instance of a client: all groups of a cloud account belong to it. `id` is empty if it is not known."""

    client: str
    name: str
    id: str


@dataclass(frozen=True)
class Group:
    """An instance group: a subclient of an RDS instance. `content` is a problem if it was not read."""

    instance: Instance
    name: str
    id: str
    content: Content | Problem

    @property
    def association(self) -> Association:
        """The association that a target names it by."""
        client = self.instance.client
        return Association(client, self.instance.name, self.name, client)

    @property
    def key(self) -> str:
        """The association's key."""
        return self.association.key


@dataclass(frozen=True)
class Subclient:
    """A subclient in a client's list; `owner` is its instance's name, and `content` None if the list lacks it."""

    owner: str
    name: str
    id: str
    content: Content | None


UNREAD = Problem("NOT_ASKED", "The content of the group was not read.", "Run the audit again.")


class Discovery:
    """One inventory, taken within the time of one run of the function."""

    def __init__(self, commvault: Commvault, seconds_left: Callable[[], float]) -> None:
        self._commvault = commvault
        self._seconds_left = seconds_left
        self._stopped: Problem | None = None
        self._listed: dict[str, Client] | None = None
        self._named: dict[str, Client | Problem | None] = {}
        self._instances: dict[str, list[tuple[Instance, bool]] | Problem] = {}
        self._subclients: dict[str, list[Subclient] | Problem] = {}
        self._meant: dict[str, str | None] = {}
        self._guesses = 0

    def begin(self, unusable_secret: Problem | None) -> JsonDocument | Unauthorized | QueryFailed:
        """Read the list of clients: the first call, and the last where it fails.

        With a secret that holds no token the call is made without one: it shows whether Commvault can be reached.
        """
        if unusable_secret:
            self._stopped = unusable_secret
            return self._list_clients(self._commvault.probe)
        listing = self._list_clients(self._commvault.get)
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

    def names(self, client: Client) -> Names | Problem:
        """Return the names of a client's instances and subclients, by two calls the first time."""
        instances, subclients = self._instances_of(client), self._subclients_of(client)
        if isinstance(instances, Problem) or isinstance(subclients, Problem):
            return instances if isinstance(instances, Problem) else subclients  # type: ignore[return-value]
        pairs = frozenset((subclient.owner, subclient.name) for subclient in subclients)
        names = {instance.name for instance, _ in instances}
        return Names(frozenset(names | {instance for instance, _ in pairs}), pairs)

    def instances(self, client: Client) -> list[Instance] | Problem:
        """Return a client's RDS instances, by one call the first time."""
        found = self._instances_of(client)
        return found if isinstance(found, Problem) else [instance for instance, is_rds in found if is_rds]

    def groups(self, client: Client) -> list[Group] | Problem:
        """Return the groups of a client's RDS instances, by a second call the first time if it has any.

        Commvault's pages do not say whether its list has contents: those that it lacks are problems.
        """
        instances = self.instances(client)
        found = self._subclients_of(client) if instances else []
        if isinstance(instances, Problem) or isinstance(found, Problem):
            return instances if isinstance(instances, Problem) else found  # type: ignore[return-value]
        by_name = {instance.name: instance for instance in instances}
        return [
            Group(by_name[each.owner], each.name, each.id, each.content or UNREAD)
            for each in found
            if each.owner in by_name
        ]

    def with_content(self, group: Group) -> Group:
        """Return a group with its content, read singly: by one call."""
        if not group.id:
            return replace(group, content=Problem("UNREADABLE_ANSWER", "Commvault shows no ID of the group.", PERSISTS))
        rows = self._rows(f"/Subclient/{group.id}", SUBCLIENTS)
        if isinstance(rows, Problem):
            return replace(group, content=rows)
        contents = (read_content(row) for row in rows[:1] if isinstance(row, dict))
        lacking = Problem("UNREADABLE_ANSWER", "Commvault shows no content of the group.", PERSISTS)
        return replace(group, content=next(filter(None, contents), lacking))

    def restore_points(self, instance: Instance, span: tuple[float, float]) -> list[RestorePoint] | Problem:
        """Return the restore points of an instance that were created in a span of Unix seconds, by one call."""
        if not instance.id:
            return Problem("UNREADABLE_ANSWER", "Commvault shows no ID of the instance.", PERSISTS)
        return self._ask(lambda deadline: read_restore_points(self._commvault, instance.id, span, deadline))

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

    def _instances_of(self, client: Client) -> list[tuple[Instance, bool]] | Problem:
        """Return a client's instances, each with whether it is one of RDS."""
        if client.id not in self._instances:
            rows = self._rows(f"/Instance?clientId={client.id}", INSTANCES)
            self._instances[client.id] = (
                rows
                if isinstance(rows, Problem)
                else [
                    (Instance(client.name, name, _id(row["instance"].get("instanceId"))), _is_rds(row))
                    for row in rows
                    for (name,) in _texts(row, "instance", "instanceName")
                ]
            )
        return self._instances[client.id]

    def _subclients_of(self, client: Client) -> list[Subclient] | Problem:
        if client.id not in self._subclients:
            path = f"/Subclient?clientId={client.id}&applicationId={CLOUD_APPS}&propertyLevel=20"
            rows = self._rows(path, SUBCLIENTS)
            self._subclients[client.id] = (
                rows
                if isinstance(rows, Problem)
                else [
                    Subclient(owner, name, _id(row[ENTITY].get("subclientId")), read_content(row))
                    for row in rows
                    for owner, name in _texts(row, ENTITY, "instanceName", "subclientName")
                ]
            )
        return self._subclients[client.id]

    def _rows(self, path: str, listed: str) -> list[Any] | Problem:
        answer = self._ask(lambda deadline: self._commvault.get(path, deadline, listed=listed))
        return list_in(answer.document, listed) if isinstance(answer, JsonDocument) else answer

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
        if isinstance(answer, JsonDocument) and not isinstance(answer.document.get(CLIENTS), list):
            return QueryFailed(NO_CLIENTS)
        return answer

    def _in_time[T](self, call: Callable[[float], T]) -> T | QueryFailed:
        left = self._seconds_left()
        return QueryFailed(OUT_OF_TIME) if left < CALL_SECONDS else call(time.monotonic() + left - RESERVE_SECONDS)


def _texts(row: Any, entity: str, *fields: str) -> Iterable[tuple[str, ...]]:
    """Yield the names in an entity's fields, unless one is missing."""
    found = row.get(entity) if isinstance(row, dict) else None
    if isinstance(found, dict) and all(is_name(found.get(field)) for field in fields):
        yield tuple(found[field] for field in fields)


def _is_rds(row: Any) -> bool:
    """Tell whether an instance is one of Amazon RDS; one of Cloud Apps that does not say its type may be."""
    holder = row.get("cloudAppsInstance")
    kind = holder.get("instanceType") if isinstance(holder, dict) else None
    if kind is None:
        return whole_number(row["instance"].get("applicationId")) == CLOUD_APPS
    return whole_number(kind) == AMAZON_RDS or (isinstance(kind, str) and kind.strip().upper() == "AMAZON_RDS")


def _id(value: object) -> str:
    number = whole_number(value, 1)
    return "" if number is None else str(number)
