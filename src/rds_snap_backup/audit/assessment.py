"""Assesses an estate: reads what Commvault, RDS and the ledger show of it, and judges each database."""

from dataclasses import dataclass, replace

from rds_snap_backup.audit.access import UNREADABLE
from rds_snap_backup.audit.checks import HINTS, SERVER
from rds_snap_backup.audit.coverage import is_excluded
from rds_snap_backup.audit.estate import Estate, judge_of, selected_by
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.findings import Question, Unasked
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.job_history import read_jobs
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.preflight import Preflight
from rds_snap_backup.audit.verdicts import Judge, Verdict
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.policy import HOUR
from rds_snap_backup.core.subclients import Subclients
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls

# The characters of groups that the audit's item keeps: DynamoDB limits it to 400 KB.
MAX_KEPT_CHARACTERS = 50_000


@dataclass(frozen=True)
class Assessment:
    """The verdicts on all databases that could be listed, the facts behind them, and the ledger's items of their groups."""

    judge: Judge
    verdicts: list[Verdict]
    subclients: Subclients | Problem

    @property
    def unasked(self) -> list[Unasked]:
        """The questions that could not be asked, or not of all."""
        problems: list[tuple[Question, Problem]] = []
        for problem in self.judge.contents.problems:
            problems += [("coverage", problem), ("empty", problem)]
        for verdict in self.verdicts:
            if verdict.problem:
                problems += [] if verdict.coverage.groups else [("coverage", verdict.problem)]
                problems.append(("freshness", verdict.problem))
        if self.judge.jobs.problem:
            problems.append(("freshness", self.judge.jobs.problem))
        unasked = [
            Unasked(question, Problem(UNREADABLE, problem.message, HINTS.get(problem.code, SERVER)))
            for question, problem in problems
        ]
        return [*unasked, *([Unasked("freshness", self.subclients)] if isinstance(self.subclients, Problem) else [])]

    @property
    def selected(self) -> dict[str, int]:
        """How many databases each group selects, by its key, of as many groups as are kept."""
        kept: dict[str, int] = {}
        left = MAX_KEPT_CHARACTERS
        for key, number in selected_by(self.judge).items():
            left -= len(key)
            if left > 0:
                kept[key] = number
        return kept


def assess(services: Services, commvault: Metered, aws: Calls, estate: Estate, preflight: Preflight) -> Assessment:
    """Read groups, restore points, snapshots and jobs as far as they are needed, and judge."""
    judge = judge_of(services.config, services.clock(), estate, preflight.targets)
    judge = replace(judge, contents=read_groups(preflight.discovery, commvault, judge.named))
    judge = gather(judge, preflight.discovery, estate, aws.seconds_left)
    wanted = (database for database in judge.databases if not is_excluded(database.resource))
    selecting = {group.association for database in wanted for group in judge.coverage(database).certain}
    names = judge.named | {association.names for association in selecting}
    since = judge.now - max(judge.ages.all_hours) * HOUR
    jobs = read_jobs(commvault, dict.fromkeys(names, since), judge.now, aws.seconds_left)
    keys = judge.ages.naming.keys() | {association.key for association in selecting}
    subclients = aws.result(lambda: services.submissions.subclients(sorted(keys)))
    judge = replace(judge, jobs=jobs, ours=None if isinstance(subclients, Problem) else _jobs_of(subclients))
    return Assessment(judge, [judge.judge(database) for database in judge.databases], subclients)


def _jobs_of(subclients: Subclients) -> frozenset[str]:
    """Return the IDs of jobs that the ledger has."""
    completed = (item.completed.id for item in subclients.values() if item.completed)
    return frozenset(job_id for item in subclients.values() for job_id in item.known_ids).union(completed)
