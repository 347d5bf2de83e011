"""Coverage: which instance groups select each database. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from rds_snap_backup.commvault.contents import Content
from rds_snap_backup.commvault.inventory import Group, Instance
from rds_snap_backup.commvault.restore_points import RestorePoint
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Kind, Place, Resource, Snapshot
from rds_snap_backup.targets import Association, Target

EXCLUDE_TAG = "rds-snap-backup:exclude"


def names_of(association: Association) -> str:
    """Return an association for people."""
    return " / ".join(association.names)


def is_excluded(resource: Resource) -> bool:
    """Tell whether a tag excludes a database."""
    return resource.tags.get(EXCLUDE_TAG, "").strip().lower() == "true"


@dataclass(frozen=True)
class Ages:
    """The maximum age of restore points, as the stack's settings and the documents say; `naming`: by the group's key."""

    default_hours: int
    naming: Mapping[str, Sequence[Target]] = field(default_factory=dict)

    def hours_of(self, target: Target) -> int:
        """Return the maximum age of a target."""
        return self.default_hours if target.max_age_hours is None else target.max_age_hours

    def hours(self, groups: Iterable[Group]) -> int:
        """Return the least maximum age of the targets that name one of these groups."""
        found = (self.hours_of(target) for group in groups for target in self.naming.get(group.key, ()))
        return min(found, default=self.default_hours)

    @property
    def all_hours(self) -> set[int]:
        """All maximum ages."""
        return {self.default_hours, *(self.hours_of(target) for some in self.naming.values() for target in some)}


@dataclass(frozen=True)
class Contents:
    """The instance groups that were read. `unread` are clients whose groups were not, `problem` is why more may exist."""

    groups: Sequence[Group] = ()
    instances: Sequence[Instance] = ()
    unread: Mapping[str, Problem] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def problems(self) -> list[Problem]:
        """Why not all was read."""
        singly = [group.content for group in self.groups if isinstance(group.content, Problem)]
        return [*([self.problem] if self.problem else []), *self.unread.values(), *singly]


@dataclass(frozen=True)
class Listed:
    """The restore points of an instance that were created since a time, as Commvault lists them."""

    points: Sequence[RestorePoint]
    since: float


# Manual snapshots by the kind of their database and their name.
type Found = Mapping[tuple[Kind, str], Snapshot]


@dataclass(frozen=True)
class Coverage:
    """What selects a database: `groups` for certain, each with the part of its content that does.

    `doubts` say why others may select it, `unread` why not all contents are known. `is_named`: a content names it.
    """

    groups: tuple[tuple[Group, str], ...] = ()
    doubtful: tuple[Group, ...] = ()
    doubts: tuple[str, ...] = ()
    unread: Problem | None = None
    is_named: bool = False

    @property
    def certain(self) -> list[Group]:
        """The groups that select it for certain."""
        return [group for group, _ in self.groups]

    @property
    def instances(self) -> list[Instance]:
        """The instances whose restore points matter, each once."""
        return list(dict.fromkeys(group.instance for group in (*self.certain, *self.doubtful)))


@dataclass(frozen=True)
class Selection:
    """The instance groups that select each database at `now`, from the facts of RDS, Commvault and the targets.

    `places` are those of the audit, `unread` those that could not be listed. `listed` are the restore points of each
    instance, `found` the snapshots of restore points that RDS was asked for by name, of each place: they show the account
    of a client. `accounts` are those of the targets that name a client's groups.
    """

    databases: Sequence[Database]
    now: float
    ages: Ages
    places: AbstractSet[Place] = frozenset()
    unread: AbstractSet[Place] = frozenset()
    contents: Contents = Contents()
    listed: Mapping[Instance, Listed | Problem] = field(default_factory=dict)
    found: Mapping[Place, Found | Problem] = field(default_factory=dict)
    accounts: Mapping[str, AbstractSet[str]] = field(default_factory=dict)

    @property
    def named(self) -> frozenset[tuple[str, str, str]]:
        """The names of the associations of targets."""
        some = (target.request.associations for targets in self.ages.naming.values() for target in targets)
        return frozenset(association.names for associations in some for association in associations)

    @cached_property
    def account_of(self) -> Mapping[str, str]:
        """The account of each client; a client whose account is not known is left out."""
        shown = self._accounts_shown
        known: dict[str, str] = {}
        audited = {place.account for place in self.places}
        clients = {instance.client for instance in self.contents.instances}
        is_alone = len(clients) == len(audited) == 1 and not self.contents.unread and not self.contents.problem
        for client in (*clients, *self.contents.unread):
            for accounts in (shown.get(client, frozenset()), self.accounts.get(client, frozenset())):
                if len(accounts) == 1:
                    known.setdefault(client, *accounts)
            if is_alone:
                known.setdefault(client, *audited)
        return known

    def coverage(self, database: Database) -> Coverage:
        """Return what selects a database."""
        resource = database.resource
        groups: list[tuple[Group, str]] = []
        doubtful: list[Group] = []
        doubts: dict[str, None] = {}
        is_named = False
        for group in self.contents.groups:
            account = self.account_of.get(group.instance.client)
            if account not in {None, resource.account} or isinstance(group.content, Problem):
                continue
            reason = _reason(group.content, database)
            if reason is None and not group.content.may_select(resource.kind, resource.place.region, resource.name):
                continue
            if reason and (account or self.is_unique(resource.name, resource.place.region)):
                groups.append((group, reason))
                is_named = is_named or reason == "its name"
                continue
            doubtful.append(group)
            doubts[
                f"The AWS account of Commvault's client {group.instance.client} is not known"
                if reason
                else f"The content of {names_of(group.association)} is not understood ({'; '.join(group.content.unclear)})"
            ] = None
        return Coverage(tuple(groups), tuple(doubtful), tuple(doubts), self._unread_for(resource.account), is_named)

    def is_empty(self, association: Association) -> bool:
        """Tell whether the content of an association's group selects no database that exists, as far as that is certain."""
        group = self.group_of.get(association.names)
        account = self.account_of.get(association.client_name)
        if group is None or isinstance(group.content, Problem) or account is None:
            return False
        regions = {place.region for place in self.places if place.account == account}
        unread = {place.account for place in self.unread}
        if group.content.unclear or account in unread or not regions or not group.content.regions <= regions:
            return False
        mine = (database for database in self.databases if database.resource.account == account)
        return not any(_reason(group.content, database) for database in mine)

    @cached_property
    def group_of(self) -> Mapping[tuple[str, str, str], Group]:
        """The groups by the names of their associations."""
        return {group.association.names: group for group in self.contents.groups}

    @cached_property
    def _accounts_shown(self) -> Mapping[str, AbstractSet[str]]:
        """The accounts in which RDS shows snapshots of a client's restore points."""
        owners: dict[str, set[str]] = {}
        for place, found in self.found.items():
            for _, name in () if isinstance(found, Problem) else found:
                owners.setdefault(name, set()).add(place.account)
        shown: dict[str, set[str]] = {}
        for instance, listed in self.listed.items():
            for point in () if isinstance(listed, Problem) else listed.points:
                if accounts := owners.get(point.snapshot):
                    shown.setdefault(instance.client, set()).update(accounts)
        return shown

    @cached_property
    def _uses(self) -> Counter[tuple[str, str]]:
        resources = [database.resource for database in self.databases]
        return Counter((region, each.name) for each in resources for region in ("", each.place.region))

    def is_unique(self, name: str, region: str) -> bool:
        """Tell whether an identifier exists once in a region of all accounts, or in all regions if that is empty.

        Any name may exist in an unread place.
        """
        return self._uses[region, name] == 1 and not any(region in {"", place.region} for place in self.unread)

    def _unread_for(self, account: str) -> Problem | None:
        """Return why a content that may be of an account was not read."""
        for client, problem in self.contents.unread.items():
            if self.account_of.get(client) in {None, account}:
                return problem
        for group in self.contents.groups:
            if isinstance(group.content, Problem) and self.account_of.get(group.instance.client) in {None, account}:
                return group.content
        return self.contents.problem


def _reason(content: Content, database: Database) -> str | None:
    """Return the part of a content that selects a database; a member that is named stands for its cluster."""
    resource = database.resource
    region = resource.place.region
    if reason := content.reason(resource.kind, region, resource.name):
        return reason
    is_named = any(content.names_it("instance", region, member) for member in database.members)
    return "its name" if is_named else None
