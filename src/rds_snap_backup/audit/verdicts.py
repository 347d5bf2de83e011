"""The verdicts on databases: which instance groups select each, and which restore point proves it. Pure.

A job of a group snapshots the databases that are available and skips the others, also when it ends as completed. So only
a restore point proves a database, and a job counts only together with the snapshot that it made.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from rds_snap_backup.audit.job_history import Jobs
from rds_snap_backup.commvault.contents import Content
from rds_snap_backup.commvault.inventory import Group, Instance
from rds_snap_backup.commvault.restore_points import RestorePoint
from rds_snap_backup.config import HOUR
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Kind, Place, Resource, Snapshot
from rds_snap_backup.targets import Association, Target

type VerdictName = Literal["excluded", "unreadable", "uncovered", "protected", "ambiguous", "unproven", "new", "stale"]

EXCLUDE_TAG = "rds-snap-backup:exclude"
# Restore points of a database for which RDS is asked, of each instance.
MAX_TRIES = 5
MIN_LOOK_BACK_SECONDS = 7 * 24 * HOUR
# The clocks of CommServe, web server and RDS may differ by this much.
CLOCK_SECONDS = 120
# A restore point that lies further ahead proves nothing.
MAX_AHEAD_SECONDS = HOUR
# Without these nothing was asked; what Commvault refuses or lacks is an answer.
NOT_ASKED = frozenset({"OUT_OF_CALLS", "OUT_OF_TIME", "NOT_ASKED"})
MAX_NAMED = 3


@dataclass(frozen=True)
class Listed:
    """The restore points of an instance that were created since a time, as Commvault lists them."""

    points: Sequence[RestorePoint]
    since: float


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


# Manual snapshots by the kind of their database and their name.
type Found = Mapping[tuple[Kind, str], Snapshot]


@dataclass(frozen=True)
class Proof:
    """A restore point that proves a database, or a job's snapshot.

    `arn` is that of the snapshot, empty if RDS's snapshots could not be read. `instance` is None for a job's.
    """

    name: str
    created: float
    arn: str = ""
    instance: Instance | None = None

    def to_json(self) -> dict[str, Any]:
        """Return `{"name", "createdAt", "snapshot"}`."""
        return {"name": self.name or None, "createdAt": iso(self.created), "snapshot": self.arn or None}


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
class Verdict:
    """The verdict on a database, and its reason; `proof` is the newest restore point that is known.

    `job` is the one that made it, else the last one of the groups. `problem` is why it is unreadable.
    """

    database: Database
    name: VerdictName
    reason: str = ""
    coverage: Coverage = Coverage()
    proof: Proof | None = None
    job: Job | None = None
    by: Literal["stack", "commvault"] | None = None
    problem: Problem | None = None

    def to_json(self) -> dict[str, Any]:
        """Return its row in the answer."""
        job = self.job
        return {
            "arn": self.database.resource.arn,
            "verdict": self.name,
            "groups": [names_of(group.association) for group in self.coverage.certain],
            "restorePoint": self.proof.to_json() if self.proof else None,
            "jobId": job.id if job else None,
            "startedAt": iso(job.started) if job else None,
            "endedAt": iso(job.ended) if job else None,
            "by": self.by,
            "reason": self.reason,
            "lastRead": None,
        }


def names_of(association: Association) -> str:
    """Return an association for people."""
    return " / ".join(association.names)


def is_excluded(resource: Resource) -> bool:
    """Tell whether a tag excludes a database."""
    return resource.tags.get(EXCLUDE_TAG, "").strip().lower() == "true"


@dataclass(frozen=True)
class Judge:
    """Judges databases as of `now` by what RDS, Commvault and the ledger show.

    `places` are those of the audit, `unread` those that could not be listed. `found` are snapshots that RDS was asked for
    by name, `taken` those of databases whose restore points Commvault does not list, each by place. `accounts` are those
    of the targets that name a client's groups. `ours` are the IDs of jobs that the stack started, None if the ledger
    cannot be read.
    """

    databases: Sequence[Database]
    now: float
    ages: Ages
    places: AbstractSet[Place] = frozenset()
    unread: AbstractSet[Place] = frozenset()
    contents: Contents = Contents()
    listed: Mapping[Instance, Listed | Problem] = field(default_factory=dict)
    found: Mapping[Place, Found | Problem] = field(default_factory=dict)
    taken: Mapping[Place, Sequence[Snapshot] | Problem] = field(default_factory=dict)
    accounts: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    jobs: Jobs = field(default_factory=Jobs)
    ours: AbstractSet[str] | None = frozenset()

    @property
    def look_back(self) -> float:
        """The seconds for which restore points matter: the greatest maximum age, a week at least."""
        return max(max(self.ages.all_hours) * HOUR, MIN_LOOK_BACK_SECONDS)

    # ---- Coverage

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
            if reason and (account or self._is_unique(resource)):
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
        return Counter((database.resource.place.region, database.resource.name) for database in self.databases)

    def _is_unique(self, resource: Resource) -> bool:
        """Tell whether a region and identifier exist once in all accounts; any name may exist in an unread place."""
        region = resource.place.region
        return self._uses[region, resource.name] == 1 and not any(place.region == region for place in self.unread)

    def _unread_for(self, account: str) -> Problem | None:
        """Return why a content that may be of an account was not read."""
        for client, problem in self.contents.unread.items():
            if self.account_of.get(client) in {None, account}:
                return problem
        for group in self.contents.groups:
            if isinstance(group.content, Problem) and self.account_of.get(group.instance.client) in {None, account}:
                return group.content
        return self.contents.problem

    # ---- Evidence

    def missing(self, asked: Mapping[Place, AbstractSet[tuple[Kind, str]]]) -> dict[Place, set[tuple[Kind, str]]]:
        """Return the snapshots for which RDS is to be asked next, as kind and name, in places that can be asked."""
        wanted: dict[Place, set[tuple[Kind, str]]] = {}
        oldest = self.now - min(self.ages.all_hours) * HOUR
        for database in self.databases:
            resource = database.resource
            if is_excluded(resource) or isinstance(self.found.get(resource.place), Problem):
                continue
            proof = self._proof(resource)
            if proof and proof.created >= oldest:
                continue
            for points in self._candidates(resource).values():
                names = ((resource.kind, point.snapshot) for point in points)
                known = asked.get(resource.place, frozenset())
                if name := next((name for name in names if name[1] and name not in known), None):
                    wanted.setdefault(resource.place, set()).add(name)
        return wanted

    def proof(self, database: Database) -> Proof | None:
        """Return the newest restore point that proves a database, however old."""
        return self._proof(database.resource)

    @cached_property
    def _points(self) -> Mapping[str, Sequence[tuple[Instance, RestorePoint]]]:
        """The restore points by the database's identifier, the newest first."""
        by_name: dict[str, list[tuple[Instance, RestorePoint]]] = {}
        for instance, listed in self.listed.items():
            for point in () if isinstance(listed, Problem) else listed.points:
                if point.created <= self.now + MAX_AHEAD_SECONDS:
                    by_name.setdefault(point.database, []).append((instance, point))
        for points in by_name.values():
            points.sort(key=lambda owned: -owned[1].created)
        return by_name

    @cached_property
    def _regions(self) -> frozenset[str]:
        return frozenset(place.region for place in self.places)

    def _candidates(self, resource: Resource) -> Mapping[Instance, list[RestorePoint]]:
        """Return the restore points that may be of a database, of each instance the newest."""
        found: dict[Instance, list[RestorePoint]] = {}
        for instance, point in self._points.get(resource.name.lower(), ()):
            if self.account_of.get(instance.client) not in {None, resource.account}:
                continue
            # RDS may begin a snapshot before Commvault's clock says so.
            if point.created and point.created < resource.created - CLOCK_SECONDS:
                continue
            mine = found.setdefault(instance, [])
            if len(mine) < MAX_TRIES and point.is_in(resource.place.region, self._regions):
                mine.append(point)
        return found

    def _proof(self, resource: Resource) -> Proof | None:
        found = self.found.get(resource.place, {})
        proofs: Iterator[Proof]
        candidates = self._candidates(resource)
        if isinstance(found, Problem):
            proofs = (
                Proof(point.snapshot, point.created, "", instance)
                for instance, points in candidates.items()
                if instance.client in self.account_of or self._is_unique(resource)
                for point in points
                if point.created > resource.created
            )
        else:
            proofs = (
                Proof(snapshot.name, snapshot.created, snapshot.arn, instance)
                for instance, points in candidates.items()
                for point in points
                if (snapshot := found.get((resource.kind, point.snapshot)))
                and snapshot.is_available
                and snapshot.is_of(resource)
            )
        return max(proofs, key=lambda proof: proof.created, default=None)

    def by_jobs(self, coverage: Coverage) -> list[Group]:
        """Return the groups that select a database and whose restore points Commvault does not list: their jobs count."""
        return [group for group in coverage.certain if self._refusal(group.instance)]

    def _refusal(self, instance: Instance) -> Problem | None:
        listed = self.listed.get(instance)
        return listed if isinstance(listed, Problem) and listed.code not in NOT_ASKED else None

    def _job_proof(self, resource: Resource, job: Job) -> Proof | None:
        taken = self.taken.get(resource.place, ())
        made = (
            Proof(snapshot.name, snapshot.created, snapshot.arn)
            for snapshot in (() if isinstance(taken, Problem) else taken)
            if _ran_at(job, snapshot.created) and snapshot.is_available and snapshot.is_of(resource)
        )
        return max(made, key=lambda proof: proof.created, default=None)

    # ---- Verdicts

    def judge(self, database: Database) -> Verdict:
        """Return the verdict on a database: the first that applies."""
        resource = database.resource
        if is_excluded(resource):
            return Verdict(database, "excluded", f"It has the tag {EXCLUDE_TAG}.")
        coverage = self.coverage(database)
        if resource.is_replica and not coverage.is_named:
            return Verdict(database, "excluded", "It is a read replica that no content names.", coverage)
        if not coverage.groups and coverage.unread:
            reason = f"Not all contents of Commvault's groups were read: {coverage.unread.message}"
            return Verdict(database, "unreadable", reason, coverage, problem=coverage.unread)
        if not coverage.groups and not coverage.doubtful:
            proof = self._proof(resource)
            reason = "No instance group of Commvault selects it." + _last(proof)
            return Verdict(database, "uncovered", reason, coverage, proof)
        return self._judge_evidence(database, coverage)

    def _judge_evidence(self, database: Database, coverage: Coverage) -> Verdict:
        resource, hours = database.resource, self.ages.hours(coverage.certain)
        oldest = self.now - hours * HOUR
        proof = self._proof(resource)
        last = self._last_job(coverage)

        def verdict(name: VerdictName, reason: str = "", job: Job | None = last) -> Verdict:
            return Verdict(database, name, reason, coverage, proof, job, self._starter(job))

        def unreadable(problem: Problem, reason: str) -> Verdict:
            return replace(verdict("unreadable", f"{reason}: {problem.message}"), problem=problem)

        if proof and proof.created >= oldest:
            unread = isinstance(self.found.get(resource.place), Problem)
            reasons = (
                "RDS's snapshots could not be read: Commvault's restore point counts by name." if unread else "",
                f"Its maximum age is {hours} h." if hours != self.ages.default_hours else "",
                _error_words(last),
            )
            return verdict("protected", " ".join(filter(None, reasons)), self._job_of(proof, coverage))
        problem = next(filter(None, (self._unlisted(instance, oldest) for instance in coverage.instances)), None)
        if problem:
            return unreadable(problem, "Commvault's restore points were not read")
        refused = self.by_jobs(coverage)
        is_unproven = False
        for group in refused:
            job = self.jobs.completed(group.association.names, since=resource.created)
            if job is None:
                continue
            made = self._job_proof(resource, job)
            if made and made.created >= oldest:
                proof = made
                return verdict("protected", "Commvault lists no restore points: its job and RDS's snapshot count.", job)
            is_unread = isinstance(self.taken.get(resource.place), Problem)
            is_unproven = is_unproven or (is_unread and job.ended >= oldest)
        if refused and self.jobs.problem and not is_unproven:
            return unreadable(self.jobs.problem, "Neither restore points nor jobs can be read")
        if not coverage.groups:
            return verdict("ambiguous", f"{'. '.join(islice(coverage.doubts, MAX_NAMED))}.{_last(proof)}")
        if is_unproven:
            return verdict("unproven", "A job completed, and neither Commvault nor RDS can be asked for its snapshot.")
        if proof is None and resource.created >= oldest:
            return verdict("new", f"It is younger than {hours} h and has no restore point yet.")
        return verdict(
            "stale", f"No restore point within {hours} h.{_last(proof)}{self._job_words(resource, last, proof)}"
        )

    def _starter(self, job: Job | None) -> Literal["stack", "commvault"] | None:
        if job is None or self.ours is None:
            return None
        return "stack" if job.id in self.ours else "commvault"

    def _unlisted(self, instance: Instance, oldest: float) -> Problem | None:
        """Return why restore points since a time are not all known, unless Commvault refuses to list them."""
        match self.listed.get(instance):
            case None:
                return Problem("NOT_ASKED", "They were not asked for.", "")
            case Problem() as problem:
                return None if problem.code not in NOT_ASKED else problem
            case Listed(since=since) if since > oldest:
                return Problem("NOT_ASKED", "The list of all of them is too long.", "")
        return None

    def _last_job(self, coverage: Coverage) -> Job | None:
        """Return the last job that has ended of the groups that select a database."""
        ended = (self.jobs.last(group.association.names) for group in coverage.certain)
        return max(filter(None, ended), key=lambda job: job.started, default=None)

    def _job_words(self, resource: Resource, job: Job | None, proof: Proof | None) -> str:
        """Return what a group's last job did for a database without a recent restore point."""
        if job is None or (proof and _ran_at(job, proof.created)):
            return ""
        if job.end in {"failed", "killed"}:
            return f" Job {job.id} {'was ' if job.end == 'killed' else ''}{job.end}."
        end = (job.end or "").replace("_", " ")
        listed = (point for points in self._candidates(resource).values() for point in points)
        if any(_ran_at(job, point.created) for point in listed):
            return f" Job {job.id} {end}, and RDS does not show the snapshot of its restore point as available."
        return f" Job {job.id} {end}, and made no restore point of this database."

    def _job_of(self, proof: Proof, coverage: Coverage) -> Job | None:
        """Return the job that made a restore point, if one ran then; another group's if its instance is not known."""
        names = [group.association.names for group in coverage.certain if proof.instance in {None, group.instance}]
        found = (self.jobs.at(name, proof.created, CLOCK_SECONDS) for name in names)
        return next(filter(None, found), None)


def _reason(content: Content, database: Database) -> str | None:
    """Return the part of a content that selects a database; a member that is named stands for its cluster."""
    resource = database.resource
    region = resource.place.region
    if reason := content.reason(resource.kind, region, resource.name):
        return reason
    is_named = any(content.names_it(member.kind, region, member.name) for member in database.members)
    return "its name" if is_named else None


def _last(proof: Proof | None) -> str:
    return f" The last one is {proof.name or 'one without a name'} of {iso(proof.created)}." if proof else ""


def _error_words(job: Job | None) -> str:
    """Return how a group's last job ended, for a database with a restore point; nothing if it completed."""
    if job is None or job.end == "completed":
        return ""
    reason = f": {job.reason.rstrip('.')}" if job.reason else ""
    return f"The last job of its groups, {job.id}, ended as {(job.end or 'running').replace('_', ' ')}{reason}."


def _ran_at(job: Job, time: float) -> bool:
    """Tell whether a job that has ended ran at a time."""
    return job.started - CLOCK_SECONDS <= time <= job.ended + CLOCK_SECONDS
