"""The verdicts on databases and on associations: is there a recent backup? Pure.

Evidence is the last completed job of a subclient that Commvault shows, whoever started it, else the one that the ledger
has. An association is judged if a database is known for it. Of the other associations those are judged that must have
recent backups because of a schedule: of the target `default` if the stack schedules it, and of a target with
`maxAgeHours`. The function does not read schedules, so `maxAgeHours` is how a further schedule makes itself known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rds_snap_backup.audit.coverage import Candidate, Coverage
from rds_snap_backup.audit.documents import names_of
from rds_snap_backup.audit.evidence import Jobs, began, names_in
from rds_snap_backup.audit.inventory import Inventory
from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.core.record import Subclients
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Resource
from rds_snap_backup.targets import Target

type VerdictName = Literal["protected", "stale", "new", "uncovered", "excluded", "unreadable"]

DEFAULT = "default"
EXCLUDE_TAG = "rds-snap-backup:exclude"
WITH_ERRORS = "It completed with errors."
STALE_HINT = (
    "Find out how its last submission ended: its messages, the dead-letter queue, the job in Commvault. Then start the "
    "target by hand. If its backups may be older, set maxAgeHours in its document."
)
MAX_NAMED = 3


@dataclass(frozen=True)
class Evidence:
    """A completed job. `by` is who started it, None if that is not known."""

    job_id: str
    began: float
    by: Literal["stack", "commvault"] | None
    has_errors: bool = False


@dataclass(frozen=True)
class Verdict:
    """A verdict, and its reason; `backup` is the subclient that was judged, `completed` its last completed job."""

    name: VerdictName
    reason: str
    backup: Candidate | None = None
    completed: Evidence | None = None


@dataclass(frozen=True)
class DatabaseVerdict:
    """The verdict on a database."""

    database: Database
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return its row in the answer to a run by hand."""
        backup, completed = self.verdict.backup, self.verdict.completed
        return {
            "arn": self.database.resource.arn,
            "verdict": self.verdict.name,
            "subclient": names_of(backup.association) if backup else None,
            "jobId": completed.job_id if completed else None,
            "startedAt": iso(completed.began) if completed else None,
            "by": completed.by if completed else None,
            "reason": self.verdict.reason,
        }


@dataclass(frozen=True)
class Ages:
    """The maximum age of backups, as the stack's settings and the documents say."""

    default_hours: int
    is_default_scheduled: bool

    @classmethod
    def of(cls, config: Config) -> "Ages":
        """Read the settings."""
        return cls(config.backup_max_age_hours, config.is_default_scheduled)

    def hours(self, target: Target | None) -> int:
        """Return the maximum age of a target's backups, or of those that only Commvault knows."""
        return self.default_hours if target is None or target.max_age_hours is None else target.max_age_hours

    def is_required(self, target: Target | None) -> bool:
        """Tell whether a target must have recent backups, whether or not a database is known for it."""
        if target is None:
            return False
        return target.max_age_hours is not None or (target.name == DEFAULT and self.is_default_scheduled)


@dataclass(frozen=True)
class Judge:
    """Judges as of `now`, by the ledger's items of all subclients and, if `jobs` were read, by Commvault's jobs."""

    subclients: Subclients | Problem
    ages: Ages
    now: float
    jobs: Jobs | None = None

    def judge(self, backup: Candidate, created: float = 0) -> Verdict:
        """Judge a subclient, for a database that was created then.

        One maximum age of grace is given from the last change of the document and from the creation of the database.
        """
        hours = self.ages.hours(backup.target)
        oldest = self.now - hours * HOUR
        shown = self._shown(backup)
        if shown and shown.began >= oldest:
            return Verdict("protected", WITH_ERRORS if shown.has_errors else "", backup, shown)
        problem = self.jobs.problem if self.jobs else None
        if self.jobs and problem and not self.jobs.is_begun:
            return Verdict("unreadable", f"Commvault's jobs cannot be read: {problem.message}", backup)
        if isinstance(self.subclients, Problem):
            return Verdict("unreadable", f"The ledger cannot be read: {self.subclients.message}", backup)
        recorded = self._recorded(backup, self.subclients)
        if recorded and recorded.began >= oldest:
            return Verdict("protected", "", backup, recorded)
        if problem:
            return Verdict("unreadable", f"Not all of Commvault's jobs were read: {problem.message}", backup)
        completed = max(filter(None, (shown, recorded)), key=lambda job: job.began, default=None)
        last = f"The last completed one began at {iso(completed.began)} (job {completed.job_id})." if completed else ""
        reason = f"No backup completed within {hours} h. {last}".strip()
        is_new = max(backup.changed_at, created) >= oldest
        return Verdict("new" if is_new else "stale", reason, backup, completed)

    def judge_database(self, database: Database, found: Iterable[Candidate], inventory: Inventory) -> Verdict:
        """Judge a database by the one subclient that may back it up."""
        resource = database.resource
        if is_excluded(resource):
            return Verdict("excluded", f"It has the tag {EXCLUDE_TAG}.")
        match list(found):
            case [backup] if inventory.knows(backup.association) is False:
                return Verdict("uncovered", f"Commvault has no {names_of(backup.association)}.", backup)
            case [backup]:
                return self.judge(backup, resource.created)
            case [] if resource.is_replica:
                return Verdict("excluded", "It is a read replica that no target names.")
            case [] if inventory.problem:
                return Verdict("unreadable", f"Commvault's subclients cannot be read: {inventory.problem.message}")
            case []:
                return Verdict(
                    "uncovered", "No association of an enabled target and no subclient of Commvault names it."
                )
            case several:
                shown = ", ".join(names_of(backup.association) for backup in several[:MAX_NAMED])
                more = f" and {len(several) - MAX_NAMED} more" if len(several) > MAX_NAMED else ""
                return Verdict("uncovered", f"Several subclients could be meant: {shown}{more}.")

    def _shown(self, backup: Candidate) -> Evidence | None:
        """Return the last completed job that Commvault shows."""
        job = self.jobs.completed.get(names_in(backup.association)) if self.jobs else None
        if job is None:
            return None
        by: Literal["stack", "commvault"] | None = None
        if not isinstance(self.subclients, Problem):
            item = self.subclients.get(backup.key)
            ours = {*item.known_ids, item.completed.id if item.completed else ""} if item else set()
            by = "stack" if job.id in ours else "commvault"
        return Evidence(job.id, began(job), by, job.end == "completed_with_errors")

    @staticmethod
    def _recorded(backup: Candidate, subclients: Subclients) -> Evidence | None:
        """Return the last completed job that the ledger has."""
        item = subclients.get(backup.key)
        return Evidence(item.completed.id, item.completed.started, "stack") if item and item.completed else None


def is_excluded(resource: Resource) -> bool:
    """Tell whether a tag excludes a database."""
    return resource.tags.get(EXCLUDE_TAG, "").strip().lower() == "true"


def is_exempt(resource: Resource) -> bool:
    """Tell whether a database needs no backup unless a target names it."""
    return is_excluded(resource) or resource.is_replica


def required_verdicts(
    judge: Judge, coverage: Coverage | Problem, databases: Iterable[DatabaseVerdict]
) -> Mapping[str, Verdict]:
    """Judge the associations that must have recent backups and that no database is known for, by their keys.

    Of several targets with the same association the one with the least maximum age counts.
    """
    if isinstance(coverage, Problem):
        return {}
    known = {row.verdict.backup.key for row in databases if row.verdict.backup}
    required = [backup for backup in coverage.associations if judge.ages.is_required(backup.target)]
    required.sort(key=lambda backup: -judge.ages.hours(backup.target))
    return {backup.key: judge.judge(backup) for backup in required if backup.key not in known}
