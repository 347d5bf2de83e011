"""Proofs: which restore point proves a database. Pure.

A job of a group snapshots the databases that are available and skips the others, also when it ends as completed. So only
a restore point proves a database, and a job counts only together with the snapshot that it made.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rds_snap_backup.audit.coverage import Coverage, Listed, Selection, is_excluded
from rds_snap_backup.commvault.inventory import Group, Instance
from rds_snap_backup.commvault.restore_points import RestorePoint
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.policy import HOUR
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Kind, Place, Resource, Snapshot

# Restore points of a database for which RDS is asked, of each instance.
MAX_TRIES = 5
MIN_LOOK_BACK_SECONDS = 7 * 24 * HOUR
# The clocks of CommServe, web server and RDS may differ by this much.
CLOCK_SECONDS = 120
# A restore point that lies further ahead proves nothing.
MAX_AHEAD_SECONDS = HOUR
# Without these nothing was asked; what Commvault refuses or lacks is an answer.
NOT_ASKED = frozenset({"OUT_OF_CALLS", "OUT_OF_TIME", "NOT_ASKED"})


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
class Proofs(Selection):
    """The proofs of databases. `taken` are the snapshots of those whose restore points Commvault does not list, by place."""

    taken: Mapping[Place, Sequence[Snapshot] | Problem] = field(default_factory=dict)

    @property
    def look_back(self) -> float:
        """The seconds for which restore points matter: the greatest maximum age, a week at least."""
        return max(max(self.ages.all_hours) * HOUR, MIN_LOOK_BACK_SECONDS)

    def missing(self, asked: Mapping[Place, AbstractSet[tuple[Kind, str]]]) -> dict[Place, set[tuple[Kind, str]]]:
        """Return the snapshots for which RDS is to be asked next, as kind and name, in places that can be asked."""
        wanted: dict[Place, set[tuple[Kind, str]]] = {}
        oldest = self.now - min(self.ages.all_hours) * HOUR
        for database in self.databases:
            resource = database.resource
            if is_excluded(resource) or isinstance(self.found.get(resource.place), Problem):
                continue
            proof = self.proof(resource)
            if proof and proof.created >= oldest:
                continue
            for points in self.candidates(resource).values():
                names = ((resource.kind, point.snapshot) for point in points)
                known = asked.get(resource.place, frozenset())
                if name := next((name for name in names if name[1] and name not in known), None):
                    wanted.setdefault(resource.place, set()).add(name)
        return wanted

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

    def candidates(self, resource: Resource) -> Mapping[Instance, list[RestorePoint]]:
        """Return the restore points that may be of a database, of each instance the newest."""
        found: dict[Instance, list[RestorePoint]] = {}
        for instance, point in self._points.get(resource.name.lower(), ()):
            if self.account_of.get(instance.client) not in {None, resource.account}:
                continue
            # RDS may begin a snapshot before Commvault's clock says so.
            if point.created and point.created < resource.created - CLOCK_SECONDS:
                continue
            mine = found.setdefault(instance, [])
            if len(mine) < MAX_TRIES and point.region in {"", resource.place.region}:
                mine.append(point)
        return found

    def proof(self, resource: Resource) -> Proof | None:
        """Return the newest restore point that proves a database, however old."""
        found = self.found.get(resource.place, {})
        proofs: Iterator[Proof]
        candidates = self.candidates(resource)
        if isinstance(found, Problem):
            proofs = (
                Proof(point.snapshot, point.created, "", instance)
                for instance, points in candidates.items()
                for point in points
                if point.created > resource.created
                and (
                    (point.region and instance.client in self.account_of) or self.is_unique(resource.name, point.region)
                )
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

    def unlisted(self, instance: Instance, oldest: float) -> Problem | None:
        """Return why restore points since a time are not all known, unless Commvault refuses to list them."""
        match self.listed.get(instance):
            case None:
                return Problem("NOT_ASKED", "They were not asked for.", "")
            case Problem() as problem:
                return None if problem.code not in NOT_ASKED else problem
            case Listed(since=since) if since > oldest:
                return Problem("NOT_ASKED", "The list of all of them is too long.", "")
        return None

    def by_jobs(self, coverage: Coverage) -> list[Group]:
        """Return the groups that select a database and whose restore points Commvault does not list: their jobs count."""
        unlisted = {
            each for each, points in self.listed.items() if isinstance(points, Problem) and points.code not in NOT_ASKED
        }
        return [group for group in coverage.certain if group.instance in unlisted]

    def job_proof(self, resource: Resource, job: Job) -> Proof | None:
        """Return the newest snapshot of a database that a job made."""
        taken = self.taken.get(resource.place, ())
        made = (
            Proof(snapshot.name, snapshot.created, snapshot.arn)
            for snapshot in (() if isinstance(taken, Problem) else taken)
            if ran_at(job, snapshot.created) and snapshot.is_available and snapshot.is_of(resource)
        )
        return max(made, key=lambda proof: proof.created, default=None)


def ran_at(job: Job, time: float) -> bool:
    """Tell whether a job that has ended ran at a time."""
    return job.started - CLOCK_SECONDS <= time <= job.ended + CLOCK_SECONDS
