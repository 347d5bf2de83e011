"""Which subclient backs up a database. Pure.

This is stricter than selecting targets for an event: a tag or a target's own patterns can select several associations,
and a database is in one subclient. A name alone is no proof where two databases have it, so across accounts and regions
it counts only where it is unique, or where a target's `accounts` ties Commvault's client to the account.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from rds_snap_backup.audit.documents import StoredTarget
from rds_snap_backup.audit.inventory import Inventory
from rds_snap_backup.rds.databases import Database, Place, Resource
from rds_snap_backup.selection import Rule
from rds_snap_backup.targets import Association, Target
from rds_snap_backup.triggers import Trigger


@dataclass(frozen=True)
class Candidate:
    """A subclient that may back up a database, and the enabled target that has it, None if only Commvault knows it.

    `changed_at` is the last change of the target's document.
    """

    association: Association
    target: Target | None = None
    changed_at: float = 0

    @property
    def key(self) -> str:
        """The association's key."""
        return self.association.key


class DatabaseNames:
    """The names of all databases and members of clusters, and the places that have them. Any name may be in `unread` ones."""

    def __init__(self, databases: Iterable[Database], unread: Collection[Place] = ()) -> None:
        self._unread = frozenset(unread)
        self._places: dict[str, set[Place]] = {}
        for database in databases:
            for resource in (database.resource, *database.members):
                self._places.setdefault(resource.name.lower(), set()).add(resource.place)

    def is_unique(self, resource: Resource) -> bool:
        """Tell whether no other place has a database of this name."""
        return self._unread | self._places.get(resource.name.lower(), set()) <= {resource.place}

    def is_unique_in_account(self, resource: Resource) -> bool:
        """Tell whether no other region of its account has a database of this name."""
        places = self._unread | self._places.get(resource.name.lower(), set())
        return {place for place in places if place.account == resource.account} <= {resource.place}


class Coverage:
    """The associations of all enabled targets of the stack in this place."""

    def __init__(self, targets: Iterable[StoredTarget], home: Place) -> None:
        self._home = home
        self._by_target: dict[str, list[Candidate]] = {}
        self._by_instance: dict[str, list[Candidate]] = {}
        self._accounts: dict[str, set[str]] = {}
        self._rules: list[tuple[Rule, list[Candidate]]] = []
        for stored in targets:
            if stored.content and stored.content.enabled:
                self._add(stored.content, stored.document.changed_at)

    @property
    def associations(self) -> list[Candidate]:
        """All of them."""
        return [association for associations in self._by_target.values() for association in associations]

    def of_target(self, name: str) -> list[Candidate]:
        """Return those of a target, none if it is not enabled or its document is not valid."""
        return self._by_target.get(name, [])

    def find(self, database: Database, names: DatabaseNames, inventory: Inventory | None = None) -> list[Candidate]:
        """Return the subclients that may back up a database: it is known only if there is one.

        First come associations whose own `databases` name it, then those whose `instanceName` is its identifier, then
        Commvault's other subclients of such an instance; and a cluster comes before its members.
        """
        resources = (database.resource, *database.members)
        for resource in resources:
            for found in (self._naming(resource), self._of_instance(resource, names)):
                if found:
                    return list(found.values())
        for resource in resources if inventory else ():
            if others := self._of_commvault(resource, names, inventory or Inventory()):
                return others
        return []

    def _add(self, target: Target, changed_at: float) -> None:
        associations = [Candidate(association, target, changed_at) for association in target.request.associations]
        self._by_target[target.name] = associations
        for item in associations:
            self._by_instance.setdefault(item.association.instance_name.lower(), []).append(item)
            self._accounts.setdefault(item.association.client_name, set()).update(target.accounts)
        if any(association.databases for association in target.request.associations):
            self._rules.append((replace(Rule.of(target), databases=(), rds_event_ids=None), associations))

    def _naming(self, resource: Resource) -> Mapping[str, Candidate]:
        event = Trigger("rds", resource.arn, source_arn=resource.arn, account=resource.account)
        found: dict[str, Candidate] = {}
        for rule, associations in self._rules:
            reason, positions = rule.select(event, self._home.account, is_tagged=False)
            # The pattern `*` names nothing.
            if reason == "pattern":
                found = {associations[position].key: associations[position] for position in positions} | found
        return found

    def _of_instance(self, resource: Resource, names: DatabaseNames) -> Mapping[str, Candidate]:
        found: dict[str, Candidate] = {}
        for item in reversed(self._by_instance.get(resource.name.lower(), ())):
            accounts = item.target.accounts if item.target else ()
            is_meant = self._is_tied(accounts, resource, names) if accounts else self._is_alone(resource, names)
            if is_meant:
                found[item.key] = item
        return found

    def _of_commvault(self, resource: Resource, names: DatabaseNames, inventory: Inventory) -> list[Candidate]:
        found: list[Candidate] = []
        for association in inventory.of_instance(resource.name):
            accounts = self._accounts.get(association.client_name)
            if self._is_tied(accounts, resource, names) if accounts else names.is_unique(resource):
                found.append(Candidate(association))
        return found

    def _is_tied(self, accounts: Iterable[str], resource: Resource, names: DatabaseNames) -> bool:
        return resource.account in accounts and (resource.place == self._home or names.is_unique_in_account(resource))

    def _is_alone(self, resource: Resource, names: DatabaseNames) -> bool:
        return resource.place == self._home or names.is_unique(resource)
