"""The estate: the databases of the stack's own place and of all members, and their verdicts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rds_snap_backup.audit.coverage import DatabaseNames
from rds_snap_backup.audit.evidence import Jobs, SubclientNames, Wanted, names_in, read_jobs
from rds_snap_backup.audit.inventory import Inventory, read_inventory
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.preflight import Preflight
from rds_snap_backup.audit.verdicts import DatabaseVerdict, Verdict, is_exempt, required_verdicts
from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.core.record import Subclients
from rds_snap_backup.ledger.submissions import Submissions
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Database, Databases, Place, Resource, databases_of
from rds_snap_backup.rds.members import Hub, Listing, Members

# Characters of the ARNs' ends that are remembered: the item holds 400 KB.
MAX_REMEMBERED = 150_000


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
    """What was read of each place. `databases` were read now, `unreadable` by an earlier audit, each with the reason."""

    home: Place
    listings: Mapping[Place, Listing]
    databases: list[Database]
    unreadable: list[DatabaseVerdict]

    def remembered(self) -> dict[str, list[str]]:
        """Return the ends of the databases' ARNs in each place, as many as are kept."""
        kept: dict[str, list[str]] = {}
        left = MAX_REMEMBERED
        for resource in (
            *(database.resource for database in self.databases),
            *(item.database.resource for item in self.unreadable),
        ):
            end = resource.arn.split(":", 5)[5]
            left -= len(end) + len('"",')
            if left > 0:
                kept.setdefault(str(resource.place), []).append(end)
        return kept


def read_estate(
    config: Config, databases: Databases, members: Members, aws: Calls, known: Mapping[str, Iterable[str]]
) -> Estate:
    """Read all places; the databases that are `known` of one that cannot be read are unreadable."""
    home = home_of(config)
    own = Listing(aws.rows(databases.resources), aws.result(databases.quotas))
    listings = {home: own, **members.read(aws.seconds_left())}
    read: list[Database] = []
    unreadable: list[DatabaseVerdict] = []
    for place, listing in listings.items():
        if not isinstance(listing.resources, Problem):
            read += databases_of(listing.resources)
            continue
        verdict = Verdict("unreadable", f"Its account cannot be read: {listing.resources.message}")
        for end in known.get(str(place), ()):
            kind, _, name = end.partition(":")
            arn = f"arn:{config.stack_arn.split(':')[1]}:rds:{place.region}:{place.account}:{end}"
            resource = Resource(name, arn, "cluster" if kind == "cluster" else "instance", "", "", {})
            unreadable.append(DatabaseVerdict(Database(resource), verdict))
    return Estate(home, listings, read, unreadable)


@dataclass(frozen=True)
class Assessment:
    """The verdicts on all databases, and on associations that must be backed up and that no database is known for."""

    databases: list[DatabaseVerdict]
    required: list[Verdict]
    inventory: Inventory
    jobs: Jobs
    subclients: Subclients | Problem


@dataclass(frozen=True)
class Assessor:
    """Judges an estate by what Commvault and the ledger show. `recent` is when the last daily audit ran."""

    commvault: Metered
    submissions: Submissions
    aws: Calls
    recent: float

    def assess(self, estate: Estate, preflight: Preflight) -> Assessment:
        """Read Commvault's subclients and jobs as far as they are needed, and judge."""
        coverage, judge = preflight.coverage, preflight.judge
        if isinstance(coverage, Problem):
            verdict = Verdict("unreadable", f"The targets cannot be read: {coverage.message}")
            rows = [DatabaseVerdict(database, verdict) for database in estate.databases]
            return Assessment([*rows, *estate.unreadable], [], Inventory(), Jobs(), judge.subclients)
        # A name that an unreadable account had may still be there.
        names = DatabaseNames([*estate.databases, *(item.database for item in estate.unreadable)])
        named = {association.association.client_name for association in coverage.associations}
        without = [
            database
            for database in estate.databases
            if not is_exempt(database.resource) and not coverage.find(database, names)
        ]
        inventory = read_inventory(preflight.discovery, self.commvault, named, is_whole=bool(without))
        others = {item.resource.arn for item in without}
        found = [
            (database, coverage.find(database, names, inventory if database.resource.arn in others else None))
            for database in estate.databases
        ]
        candidates = [*coverage.associations, *(some[0] for _, some in found if len(some) == 1)]
        subclients = self._subclients(judge.subclients, {candidate.key for candidate in candidates})
        oldest: dict[SubclientNames, float] = {}
        for candidate in candidates:
            since = judge.now - judge.ages.hours(candidate.target) * HOUR
            key = names_in(candidate.association)
            oldest[key] = min(since, oldest.get(key, since))
        jobs = read_jobs(self.commvault, Wanted(oldest, self.recent), judge.now, self.aws.seconds_left)
        judge = replace(judge, subclients=subclients, jobs=jobs)
        rows = [DatabaseVerdict(one, judge.judge_database(one, some, inventory)) for one, some in found]
        required = list(required_verdicts(judge, coverage, rows).values())
        return Assessment([*rows, *estate.unreadable], required, inventory, jobs, subclients)

    def _subclients(self, known: Subclients | Problem, keys: set[str]) -> Subclients | Problem:
        """Return the ledger's items of these subclients, some of which are known."""
        if isinstance(known, Problem):
            return known
        others = self.aws.result(lambda: self.submissions.subclients(sorted(keys - known.keys())))
        return others if isinstance(others, Problem) else {**known, **others}
