"""The clients, instances and instance groups that the simulated CommCell knows. Names are matched without regard to case.

A client is a cloud account, its instance holds that account's databases, and a subclient is an instance group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

from local.commserve.accounts import Account, ListedAccount
from local.commserve.content import Child, Content, everything, instance

# The instance of a cloud account, as Commvault's pages and SDK call it.
RDS = "RDS"
AMAZON_RDS = 4

# Client -> instance -> groups: their names, each with everything as its content, or each with its own.
type Groups = Sequence[str] | Mapping[str, Sequence[Child]]
type Clients = Mapping[str, Mapping[str, Groups]]

DATABASES = ("orders-db", "billing-db", "users-db", "reports-db")
# A group of many databases, and a group for each.
DEFAULT_CLIENTS: Clients = {
    "aws-prod": {
        RDS: {
            "nightly": [instance(name) for name in DATABASES],
            **{name: [instance(name)] for name in DATABASES},
        }
    },
    "aws-test": {RDS: {"sandbox-db": [instance("sandbox-db")]}},
}


@dataclass(frozen=True, slots=True)
class Subclient:
    """One instance group and what it belongs to, with Commvault's IDs."""

    client: str
    client_id: int
    instance: str
    instance_id: int
    backupset_id: int
    name: str
    id: int


class Catalogue:
    """All instance groups, found by names or by IDs; it only grows."""

    def __init__(self, clients: Clients) -> None:
        self._lock = Lock()
        self._ids = {kind: count(first) for kind, first in (("client", 5), ("instance", 21), ("subclient", 101))}
        self._subclients: dict[tuple[str, str, str], Subclient] = {}
        self._by_id: dict[int, Subclient] = {}
        self._contents: dict[int, Content] = {}
        self.clients: dict[str, int] = {}
        self.instances: dict[tuple[str, str], int] = {}
        self.instance_types: dict[int, Any] = {}  # of the instances that are not Amazon RDS
        self._known: dict[tuple[str, ...], int] = {}
        self.accounts: dict[str, Account] = {}  # by the client's name
        self.ineligible: set[int] = set()  # groups that exist and are refused
        self.extend(clients)

    def extend(self, clients: Clients) -> None:
        """Add clients, instances and groups; those already known stay as they are."""
        for client, instances in clients.items():
            with self._lock:
                self._id("client", (client,))
            for name, groups in instances.items():
                with self._lock:
                    self._id("instance", (client, name))
                contents = groups if isinstance(groups, Mapping) else {}
                for group in groups:
                    self.add(client, group, contents.get(group), instance=name)

    def add(
        self,
        client: str,
        group: str,
        children: Sequence[Child] | None = None,
        filters: Sequence[Child] = (),
        *,
        instance: str = RDS,
    ) -> Subclient:
        """Return the group of this name, created if it does not exist; `children` become its content, by default everything."""
        key = (client.lower(), instance.lower(), group.lower())
        with self._lock:
            found = self._subclients.get(key)
            if found is None:
                client_id, instance_id = self._id("client", (client,)), self._id("instance", (client, instance))
                found = Subclient(
                    client, client_id, instance, instance_id, 1000 + instance_id, group, next(self._ids["subclient"])
                )
                self._subclients[key] = self._by_id[found.id] = found
                self._contents[found.id] = Content((everything(),))
            if children is not None:
                self._contents[found.id] = Content(tuple(children), tuple(filters))
            return found

    def content(self, subclient: Subclient) -> Content:
        """Return what a group selects."""
        return self._contents[subclient.id]

    def account(self, client: str) -> Account | None:
        """Return the cloud account of a client, if its databases are known."""
        return self.accounts.get(client.lower())

    def listed_account(self, client: str) -> ListedAccount:
        """Return the account in memory of a client, made if it has none."""
        match self.accounts.setdefault(client.lower(), ListedAccount()):
            case ListedAccount() as account:
                return account
            case _:
                raise ValueError(f"an RDS is attached to {client}")

    def instance_type(self, instance_id: int) -> Any:
        """Return the kind of an instance, as `cloudAppsInstance` shows it."""
        return self.instance_types.get(instance_id, AMAZON_RDS)

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
