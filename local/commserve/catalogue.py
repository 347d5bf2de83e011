"""The clients, instances and subclients that the simulated CommCell knows. Names are matched without regard to case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock

type Clients = Mapping[str, Mapping[str, Sequence[str]]]

# Client -> instance -> subclients.
DEFAULT_CLIENTS: Clients = {
    "aws-prod": {
        "orders-db": ("default",),
        "billing-db": ("default",),
        "users-db": ("default",),
        "reports-db": ("default", "archive"),
    },
    "aws-test": {"sandbox-db": ("default",)},
}


@dataclass(frozen=True, slots=True)
class Subclient:
    """One subclient and what it belongs to, with Commvault's IDs."""

    client: str
    client_id: int
    instance: str
    instance_id: int
    backupset_id: int
    name: str
    id: int


class Catalogue:
    """All subclients, found by names or by IDs; it only grows."""

    def __init__(self, clients: Clients) -> None:
        self._lock = Lock()
        self._ids = {kind: count(first) for kind, first in (("client", 5), ("instance", 21), ("subclient", 101))}
        self._subclients: dict[tuple[str, str, str], Subclient] = {}
        self._by_id: dict[int, Subclient] = {}
        self.clients: dict[str, int] = {}
        self.instances: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[str, ...], int] = {}
        self.ineligible: set[int] = set()  # subclients that exist and are refused
        self.extend(clients)

    def extend(self, clients: Clients) -> None:
        """Add clients, instances and subclients; those already known stay as they are."""
        for client, instances in clients.items():
            with self._lock:
                self._id("client", (client,))
            for instance, subclients in instances.items():
                with self._lock:
                    self._id("instance", (client, instance))
                for name in subclients:
                    self.add(client, instance, name)

    def add(self, client: str, instance: str, name: str = "default") -> Subclient:
        """Return the subclient of these names, creating it if it does not exist."""
        key = (client.lower(), instance.lower(), name.lower())
        with self._lock:
            if found := self._subclients.get(key):
                return found
            client_id, instance_id = self._id("client", (client,)), self._id("instance", (client, instance))
            made = Subclient(
                client, client_id, instance, instance_id, 1000 + instance_id, name, next(self._ids["subclient"])
            )
            self._subclients[key] = self._by_id[made.id] = made
            return made

    def find(self, client: str, instance: str, name: str) -> Subclient | None:
        """Return the subclient of these names."""
        return self._subclients.get((client.lower(), instance.lower(), name.lower()))

    def eligible(self, client: str, instance: str, name: str) -> Subclient | None:
        """Return the subclient of these names if it exists and is not refused."""
        found = self.find(client, instance, name)
        return found if found is not None and found.id not in self.ineligible else None

    def by_id(self, identifier: int) -> Subclient | None:
        """Return the subclient of this id."""
        return self._by_id.get(identifier)

    def has_client(self, name: str) -> bool:
        """Return whether a client of this name exists."""
        return (name.lower(),) in self._known

    def client_name(self, identifier: int) -> str | None:
        """Return the name of the client of this id."""
        return next((name for name, known in self.clients.items() if known == identifier), None)

    def subclients(self, client_id: int | None = None) -> list[Subclient]:
        """Return the subclients, of one client or of all."""
        return [subclient for subclient in list(self._by_id.values()) if client_id in (None, subclient.client_id)]

    def _id(self, kind: str, names: tuple[str, ...]) -> int:
        key = tuple(name.lower() for name in names)
        if key not in self._known:
            self._known[key] = next(self._ids[kind])
            if kind == "client":
                self.clients[names[0]] = self._known[key]
            else:
                self.instances[names[0], names[1]] = self._known[key]
        return self._known[key]
