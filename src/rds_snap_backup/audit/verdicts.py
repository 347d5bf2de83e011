"""The verdicts on databases, by their coverage and their proofs. Pure."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from rds_snap_backup.audit.coverage import EXCLUDE_TAG, Coverage, is_excluded, names_of
from rds_snap_backup.audit.job_history import Jobs
from rds_snap_backup.audit.proofs import CLOCK_SECONDS, Proof, Proofs, ran_at
from rds_snap_backup.commvault.inventory import Group
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.policy import HOUR
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Resource

type VerdictName = Literal["excluded", "unreadable", "uncovered", "protected", "ambiguous", "unproven", "new", "stale"]

MAX_NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """The verdict on a database, and its reason; `proof` is the newest restore point that is known.

    `job` is the one that made it, else the last one of the groups. `problem` is why it is unreadable.
    """

    database: Database
    name: VerdictName
    reason: str = ""
    coverage: Coverage = field(default_factory=Coverage)
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


@dataclass(frozen=True)
class Judge(Proofs):
    """Judges databases. `ours` are the IDs of jobs that the stack started, None if the ledger cannot be read."""

    jobs: Jobs = field(default_factory=Jobs)
    ours: AbstractSet[str] | None = frozenset()

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
            proof = self.proof(resource)
            reason = "No instance group of Commvault selects it." + _last(proof)
            return Verdict(database, "uncovered", reason, coverage, proof)
        return self._judge_evidence(database, coverage)

    def _judge_evidence(self, database: Database, coverage: Coverage) -> Verdict:
        resource, hours = database.resource, self.ages.hours(coverage.certain)
        oldest = self.now - hours * HOUR
        proof = self.proof(resource)
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
        problem = next(filter(None, (self.unlisted(instance, oldest) for instance in coverage.instances)), None)
        if problem:
            return unreadable(problem, "Commvault's restore points were not read")
        refused = self.by_jobs(coverage)
        is_unproven = False
        for group in refused:
            job = self.jobs.completed(group.association.names, since=resource.created)
            if job is None:
                continue
            made = self.job_proof(resource, job)
            if made and (proof is None or made.created > proof.created):
                proof = made
            if made and made.created >= oldest:
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
        words = self._job_words(resource, last, proof, refused)
        return verdict("stale", f"No restore point within {hours} h.{_last(proof)}{words}")

    def _starter(self, job: Job | None) -> Literal["stack", "commvault"] | None:
        if job is None or self.ours is None:
            return None
        return "stack" if job.id in self.ours else "commvault"

    def _last_job(self, coverage: Coverage) -> Job | None:
        """Return the last job that has ended of the groups that select a database."""
        ended = (self.jobs.last(group.association.names) for group in coverage.certain)
        return max(filter(None, ended), key=lambda job: job.started, default=None)

    def _job_words(self, resource: Resource, job: Job | None, proof: Proof | None, refused: Sequence[Group]) -> str:
        """Return what a group's last job did for a database without a recent restore point.

        `refused` are the groups whose restore points Commvault does not list.
        """
        if job is None or (proof and ran_at(job, proof.created)):
            return ""
        if job.end in {"failed", "killed"}:
            return f" Job {job.id} {'was ' if job.end == 'killed' else ''}{job.end}."
        end = (job.end or "").replace("_", " ")
        if job.names in (group.association.names for group in refused):
            return f" Job {job.id} {end}, and Commvault does not list restore points."
        listed = (point for points in self.candidates(resource).values() for point in points)
        if any(ran_at(job, point.created) for point in listed):
            if isinstance(self.found.get(resource.place), Problem):
                return f" Job {job.id} {end}, and RDS's snapshots could not be read."
            return f" Job {job.id} {end}, and RDS does not show the snapshot of its restore point as available."
        return f" Job {job.id} {end}, and made no restore point of this database."

    def _job_of(self, proof: Proof, coverage: Coverage) -> Job | None:
        """Return the job that made a restore point, if one ran then; another group's if its instance is not known."""
        names = [group.association.names for group in coverage.certain if proof.instance in {None, group.instance}]
        found = (self.jobs.at(name, proof.created, CLOCK_SECONDS) for name in names)
        return next(filter(None, found), None)


def _last(proof: Proof | None) -> str:
    return f" The last one is {proof.name or 'one without a name'} of {iso(proof.created)}." if proof else ""


def _error_words(job: Job | None) -> str:
    """Return how a group's last job ended, for a database with a restore point; nothing if it completed."""
    if job is None or job.end == "completed":
        return ""
    reason = f": {job.reason.rstrip('.')}" if job.reason else ""
    return f"The last job of its groups, {job.id}, ended as {(job.end or 'running').replace('_', ' ')}{reason}."
