"""The verdicts on databases and on associations: is there a recent backup? Pure.

Evidence is the last completed job that the ledger has of a subclient. An association is judged if a database is known for
it, whoever starts its backups. Of the other associations those are judged that must have recent backups because of a
schedule: of the target `default` if the stack schedules it, and of a target with `maxAgeHours`. The function does not
read schedules, so `maxAgeHours` is how a further schedule makes itself known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rds_snap_backup.audit.coverage import Coverage, TargetAssociation
from rds_snap_backup.audit.documents import names_of
from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database
from rds_snap_backup.submission import CompletedJob, Subclients
from rds_snap_backup.targets import Target

type VerdictName = Literal["protected", "stale", "new", "uncovered", "excluded", "unreadable"]

DEFAULT = "default"
EXCLUDE_TAG = "rds-snap-backup:exclude"
STARTED_BY_COMMVAULT = "Commvault starts its jobs (taskType SCHEDULE), and the ledger does not have them."
STALE_HINT = (
    "Find out how its last submission ended: its messages, the dead-letter queue, the job in Commvault. Then start the "
    "target by hand. If its backups may be older, set maxAgeHours in its document."
)
MAX_NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """A verdict, and its reason; `backup` is the association that was judged, `completed` its last completed job."""

    name: VerdictName
    reason: str
    backup: TargetAssociation | None = None
    completed: CompletedJob | None = None


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
            "jobId": completed.id if completed else None,
            "startedAt": iso(completed.started) if completed else None,
            "by": "stack" if completed else None,
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

    def hours(self, target: Target) -> int:
        """Return the maximum age of a target's backups."""
        return self.default_hours if target.max_age_hours is None else target.max_age_hours

    def is_required(self, target: Target) -> bool:
        """Tell whether a target must have recent backups, whether or not a database is known for it."""
        return target.max_age_hours is not None or (target.name == DEFAULT and self.is_default_scheduled)


@dataclass(frozen=True)
class Judge:
    """Judges as of `now`; `subclients` are the ledger's items of all associations."""

    subclients: Subclients | Problem
    ages: Ages
    now: float

    def judge(self, backup: TargetAssociation, created: float = 0) -> Verdict:
        """Judge an association, of a database that was created then.

        One maximum age of grace is given from the last change of the document and from the creation of the database.
        """
        if isinstance(self.subclients, Problem):
            return Verdict("unreadable", f"The ledger cannot be read: {self.subclients.message}", backup)
        if backup.target.request.task_type == "SCHEDULE":
            return Verdict("unreadable", STARTED_BY_COMMVAULT, backup)
        hours, completed = self.ages.hours(backup.target), self.subclients[backup.key].completed
        oldest = self.now - hours * HOUR
        if completed and completed.started >= oldest:
            return Verdict("protected", "", backup, completed)
        last = f"The last completed one began at {iso(completed.started)} (job {completed.id})." if completed else ""
        reason = f"No backup completed within {hours} h. {last}".strip()
        is_new = max(backup.changed_at, created) >= oldest
        return Verdict("new" if is_new else "stale", reason, backup, completed)

    def judge_database(self, database: Database, coverage: Coverage | Problem) -> DatabaseVerdict:
        """Judge a database by the one association that names it."""
        return DatabaseVerdict(database, self._of_database(database, coverage))

    def _of_database(self, database: Database, coverage: Coverage | Problem) -> Verdict:
        resource = database.resource
        if resource.tags.get(EXCLUDE_TAG, "").strip().lower() == "true":
            return Verdict("excluded", f"It has the tag {EXCLUDE_TAG}.")
        if isinstance(coverage, Problem):
            return Verdict("unreadable", f"The targets cannot be read: {coverage.message}")
        match coverage.find(database):
            case [backup]:
                return self.judge(backup, resource.created)
            case [] if resource.is_replica:
                return Verdict("excluded", "It is a read replica that no target names.")
            case []:
                return Verdict("uncovered", "No association of an enabled target names it.")
            case several:
                shown = ", ".join(names_of(backup.association) for backup in several[:MAX_NAMED])
                more = f" and {len(several) - MAX_NAMED} more" if len(several) > MAX_NAMED else ""
                return Verdict("uncovered", f"Several subclients could be meant: {shown}{more}.")


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
