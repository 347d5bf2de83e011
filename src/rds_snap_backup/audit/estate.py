"""The estate: the databases of the stack's own place and of all members, and RDS's manual snapshots of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rds_snap_backup.audit.coverage import Ages
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.commvault.contents import Content
from rds_snap_backup.config import Config
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Database, Databases, Place, Snapshot, Wanted, databases_of
from rds_snap_backup.rds.members import Hub, Listing, Members, read_snapshots
from rds_snap_backup.targets import Target


def home_of(config: Config) -> Place:
    """Return the stack's own account and region."""
    return Place(config.own_account, config.region)


def members_of(config: Config, make_client: Callable[..., object]) -> Members:
    """Return the members: each pair of account and region but the stack's own, which its own role reads."""
    accounts = {config.own_account, *config.audit_members}
    regions = config.audit_regions or (config.region,)
    places = {Place(account, region) for account in accounts for region in regions} - {home_of(config)}
    partition = config.stack_arn.split(":")[1]
    return Members(Hub(config.service, partition, config.region, config.admits_every_account), places, make_client)


@dataclass(frozen=True)
class Estate:
    """What was read of each place, the stack's own first."""

    home: Place
    listings: Mapping[Place, Listing]
    databases: list[Database]

    @property
    def unread(self) -> dict[Place, Problem]:
        """The places whose databases could not be listed."""
        return {
            place: listing.resources
            for place, listing in self.listings.items()
            if isinstance(listing.resources, Problem)
        }

    def databases_in(self, place: Place) -> int:
        """Return how many databases were listed in a place."""
        return sum(database.resource.place == place for database in self.databases)

    def snapshots(
        self, wanted: Mapping[Place, Sequence[Wanted]], seconds: float
    ) -> dict[Place, list[Snapshot] | Problem]:
        """Read manual snapshots of several places in this time; a place that could not be read is a problem."""
        sources = {place: each.databases for place, each in self.listings.items() if each.databases}
        return read_snapshots(sources, {place: some for place, some in wanted.items() if place in sources}, seconds)


def read_estate(config: Config, databases: Databases, members: Members, aws: Calls) -> Estate:
    """Read all places."""
    home = home_of(config)
    own = Listing(aws.rows(databases.resources), aws.result(databases.quotas), databases=databases)
    listings = {home: own, **members.read(aws.seconds_left())}
    listed = [each.resources for each in listings.values() if not isinstance(each.resources, Problem)]
    return Estate(home, listings, [database for resources in listed for database in databases_of(resources)])


def judge_of(config: Config, now: float, estate: Estate, targets: Sequence[Target]) -> Judge:
    """Return the judge of an estate that knows the targets, and nothing of Commvault yet."""
    naming: dict[str, list[Target]] = {}
    accounts: dict[str, set[str]] = {}
    for target in targets:
        for association in target.request.associations:
            naming.setdefault(association.key, []).append(target)
            accounts.setdefault(association.client_name, set()).update(target.accounts)
    ages = Ages(config.backup_max_age_hours, naming)
    return Judge(estate.databases, now, ages, frozenset(estate.listings), frozenset(estate.unread), accounts=accounts)


def selected_by(judge: Judge) -> Counter[str]:
    """Return how many databases each group selects whose content is understood, by the group's key."""
    understood = {
        group.key for group in judge.contents.groups if isinstance(group.content, Content) and not group.content.unclear
    }
    certain = (group.key for database in judge.databases for group in judge.coverage(database).certain)
    counts = Counter(dict.fromkeys(understood, 0))
    counts.update(key for key in certain if key in understood)
    return counts
