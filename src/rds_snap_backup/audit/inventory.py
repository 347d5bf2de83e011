"""Commvault's subclients as the audit needs them: those that targets name, and all if a database has no target."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from rds_snap_backup.audit.metered import INVENTORY_CALLS, OUT_OF_CALLS, Metered
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association

# How a subclient and a database belong together.
type Match = Literal["exact", "ambiguous", "commvault-only", "rds-only"]


@dataclass(frozen=True)
class Inventory:
    """The subclients that were read, as (instance, subclient) by client. `problem` is why some were not."""

    subclients: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    clients: frozenset[str] | None = None
    problem: Problem | None = None

    def knows(self, association: Association) -> bool | None:
        """Tell whether Commvault has a subclient; None if its client was not read."""
        name = association.client_name
        if name in self.subclients:
            return (association.instance_name, association.subclient_name) in self.subclients[name]
        return False if self.clients is not None and name not in self.clients else None

    def of_instance(self, name: str) -> list[Association]:
        """Return the subclients of instances of this name, ignoring case."""
        return self._by_instance.get(name.lower(), [])

    @cached_property
    def associations(self) -> list[Association]:
        """All subclients."""
        pairs = [(client, *pair) for client, found in self.subclients.items() for pair in sorted(found)]
        return [Association(client, instance, subclient, client) for client, instance, subclient in pairs]

    @cached_property
    def _by_instance(self) -> dict[str, list[Association]]:
        found: dict[str, list[Association]] = {}
        for association in self.associations:
            found.setdefault(association.instance_name.lower(), []).append(association)
        return found


def read_inventory(
    discovery: Discovery, commvault: Metered, named: Collection[str], *, is_whole: bool, most: int = INVENTORY_CALLS
) -> Inventory:
    """Read the subclients of the clients that targets name, then, if `is_whole`, of the others until `most` calls are made."""
    listed = discovery.clients
    if isinstance(listed, Problem):
        return Inventory(problem=listed)
    subclients: dict[str, frozenset[tuple[str, str]]] = {}
    problem: Problem | None = None
    for client in sorted(listed, key=lambda client: client.name not in named):
        if client.name not in named and not is_whole:
            break
        if client.name not in named and commvault.calls >= most:
            problem = problem or OUT_OF_CALLS
            break
        found = discovery.subclients(client)
        if isinstance(found, Problem):
            problem = problem or found
        else:
            subclients[client.name] = found
    return Inventory(subclients, frozenset(client.name for client in listed), problem)
