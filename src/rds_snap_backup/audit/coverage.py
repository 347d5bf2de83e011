"""Which association backs up a database. Pure.

This is stricter than selecting targets for an event: a tag or a target's own patterns can select several associations,
and a database is in one subclient.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rds_snap_backup.audit.documents import StoredTarget
from rds_snap_backup.rds.databases import Database, Resource
from rds_snap_backup.selection import Rule
from rds_snap_backup.targets import Association, Target
from rds_snap_backup.triggers import Trigger


@dataclass(frozen=True)
class TargetAssociation:
    """An association, and the enabled target that has it; `changed_at` is the last change of its document."""

    target: Target
    association: Association
    changed_at: float

    @property
    def key(self) -> str:
        """The association's key."""
        return self.association.key


class Coverage:
    """The associations of all enabled targets, in a stack of this account."""

    def __init__(self, targets: Iterable[StoredTarget], own_account: str) -> None:
        self._own_account = own_account
        self._by_target: dict[str, list[TargetAssociation]] = {}
        self._by_instance: dict[str, list[TargetAssociation]] = {}
        self._rules: list[tuple[Rule, list[TargetAssociation]]] = []
        for stored in targets:
            if stored.content and stored.content.enabled:
                self._add(stored.content, stored.document.changed_at)

    @property
    def associations(self) -> list[TargetAssociation]:
        """All of them."""
        return [association for associations in self._by_target.values() for association in associations]

    def of_target(self, name: str) -> list[TargetAssociation]:
        """Return those of a target, none if it is not enabled or its document is not valid."""
        return self._by_target.get(name, [])

    def find(self, database: Database) -> list[TargetAssociation]:
        """Return the associations that name a database, one for each subclient: it is known only if there is one.

        Those whose own `databases` name it come before those whose `instanceName` is its identifier, and a cluster
        before its members.
        """
        for resource in (database.resource, *database.members):
            for found in (self._naming(resource), self._of_instance(resource)):
                if found:
                    return list(found.values())
        return []

    def _add(self, target: Target, changed_at: float) -> None:
        associations = [
            TargetAssociation(target, association, changed_at) for association in target.request.associations
        ]
        self._by_target[target.name] = associations
        for association in associations:
            self._by_instance.setdefault(association.association.instance_name.lower(), []).append(association)
        if any(association.databases for association in target.request.associations):
            self._rules.append((replace(Rule.of(target), databases=(), rds_event_ids=None), associations))

    def _naming(self, resource: Resource) -> Mapping[str, TargetAssociation]:
        event = Trigger("rds", resource.arn, source_arn=resource.arn, account=resource.account)
        found: dict[str, TargetAssociation] = {}
        for rule, associations in self._rules:
            reason, positions = rule.select(event, self._own_account, is_tagged=False)
            # The pattern `*` names nothing.
            if reason == "pattern":
                found = {associations[position].key: associations[position] for position in positions} | found
        return found

    def _of_instance(self, resource: Resource) -> Mapping[str, TargetAssociation]:
        return {
            found.key: found
            for found in reversed(self._by_instance.get(resource.name.lower(), ()))
            if resource.account in (found.target.accounts or (self._own_account,))
        }
