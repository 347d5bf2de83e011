"""The audit, `{"audit": true}`: the questions that nobody asks until it is too late. It submits nothing.

The preflight's rows are its first findings; RDS's databases and the ledger's open submissions are asked about besides.
Only a run that the schedule started publishes, counts and wakes. A run by hand only answers, with the newest snapshots.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from rds_snap_backup.audit import coverage, stuck
from rds_snap_backup.audit.asking import Asking
from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.findings import ORDER, Question, Unasked, findings_of, findings_of_unasked, unasked_in
from rds_snap_backup.audit.preflight import Checked, examine
from rds_snap_backup.audit.publication import Publication
from rds_snap_backup.audit.summary import Snapshots, summary
from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.audits import Audits
from rds_snap_backup.ledger.stuck import OpenSubmissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Databases, Resource, databases_of, newest_of

# Kept back from the function's time, for recording and publishing what was found.
RESERVE_SECONDS = 40.0


@dataclass(frozen=True)
class Auditor:
    """What a sandbox of the Audit function works with."""

    services: Services
    databases: Databases
    audits: Audits
    open_submissions: OpenSubmissions

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        table = Table(config.ledger_table, clients.dynamodb)
        return cls(
            services=bootstrap(config, clients, clock),
            databases=Databases(clients.rds),
            audits=Audits(table, config.ledger_days * 86400, clock),
            open_submissions=OpenSubmissions(table, clock),
        )


def make_audit(auditor: Auditor, seconds_left: Callable[[], float], run: str | None) -> dict[str, Any]:
    """Ask all questions and answer them; `run` identifies what the schedule started, and is None of a run by hand."""
    services = auditor.services

    def left() -> float:
        return seconds_left() - RESERVE_SECONDS

    asking = Asking(left)
    resources = asking.all(auditor.databases.resources)
    snapshots = asking.all(auditor.databases.snapshots) if run is None else []
    overdue = asking.all(lambda: auditor.open_submissions.overdue(stuck.STUCK_SECONDS))
    found = [] if isinstance(overdue, Problem) else overdue
    waking = stuck.wake(services.queues, auditor.open_submissions, asking, found, is_scheduled=run is not None)
    checked = examine(services, left)

    covered = _covered(resources, checked)
    unasked = [*unasked_in(checked.rows), *waking.unasked, *_unread(checked, resources, snapshots, overdue)]
    findings = [*findings_of(checked.rows), *findings_of_unasked(unasked, checked.rows)]
    findings += [*waking.findings, *coverage.findings_of(covered)]
    findings.sort(key=lambda one: ORDER.index(one.question))
    targets = [] if isinstance(checked.targets, Problem) else checked.targets
    report = summary(findings, covered, targets, checked.freshness, _newest(snapshots))
    for one in findings:
        logger.warning("Finding", finding=one.to_json())
    if run is not None:
        Publication(services, auditor.audits, run).publish(report, findings, {one.question for one in unasked})
        count("AuditCompleted", services.config.service)
    logger.info("Audited", counts=report["counts"], run=run)
    return report


def _covered(resources: list[Resource] | Problem, checked: Checked) -> list[Coverage]:
    if isinstance(resources, Problem) or isinstance(checked.targets, Problem):
        return []
    return coverage.cover(databases_of(resources), checked.targets)


def _newest(snapshots: Any) -> Snapshots:
    return {} if isinstance(snapshots, Problem) else newest_of(snapshots)


def _unread(checked: Checked, resources: object, snapshots: object, overdue: object) -> list[Unasked]:
    """Return the questions beside the preflight's that could not be asked; without the targets there are no rows of them."""
    lists: Mapping[Question, object] = {"coverage": resources, "snapshots": snapshots, "stuck": overdue}
    unread = [Unasked(question, found) for question, found in lists.items() if isinstance(found, Problem)]
    if isinstance(checked.targets, Problem):
        of_targets: tuple[Question, ...] = ("names", "freshness", "coverage")
        unread += [Unasked(question, checked.targets) for question in of_targets]
    return unread
