"""The audit, `{"audit": true}`: whether every database is protected, and whether triggers would start backups.

The preflight's checks are its first findings; it also asks RDS for the databases and the ledger for stuck submissions.
Only a scheduled run publishes, counts, and sends lost messages again. A run by hand only answers.

Members, Commvault's own jobs as evidence and further findings belong into `_audit`, between the preflight and the findings.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from rds_snap_backup.audit import findings as found
from rds_snap_backup.audit import stuck
from rds_snap_backup.audit.aws_calls import AwsCalls
from rds_snap_backup.audit.checks import MAX_ANSWER, fitting
from rds_snap_backup.audit.findings import ORDER, Finding, Question, Unasked
from rds_snap_backup.audit.preflight import run_preflight
from rds_snap_backup.audit.publication import news_of, publish, publish_pending
from rds_snap_backup.audit.verdicts import DatabaseVerdict, Verdict, VerdictName, required_verdicts
from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.audits import Audits, AuditState
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, title
from rds_snap_backup.messaging.notifications import VERSION
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Databases, databases_of

# Kept back from the function's time for recording and publishing.
RESERVE_SECONDS = 40.0


@dataclass(frozen=True)
class Auditor:
    """The systems that a sandbox of the Audit function works with."""

    services: Services
    databases: Databases
    audits: Audits

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        services = bootstrap(config, clients, clock)
        return cls(services, Databases(clients.rds), Audits(services.table, config.ledger_days, clock))


@dataclass(frozen=True)
class Audit:
    """The result of one audit. `unanswered` are questions whose earlier findings still stand."""

    findings: list[Finding]
    databases: list[DatabaseVerdict]
    unanswered: frozenset[Question]
    target_count: int


def make_audit(auditor: Auditor, seconds_left: Callable[[], float], run: str | None = None) -> dict[str, Any]:
    """Audit and answer; `run` is the identity of a scheduled run, and None of one by hand."""
    services, audits = auditor.services, auditor.audits
    aws = AwsCalls(lambda: seconds_left() - RESERVE_SECONDS)
    if run is None:
        state = aws.result(audits.load)
        known = AuditState() if isinstance(state, Problem) else state
    else:
        known = publish_pending(services, audits, audits.load())
    audit = _audit(auditor, aws, is_scheduled=run is not None)
    news = news_of(known, audit.findings, audit.unanswered, services.clock())
    answer = _answer(audit, is_news=news.is_news)
    for finding in audit.findings:
        logger.warning("Finding", finding=finding.to_json())
    logger.info("Audited", counts=answer["counts"], run=run)
    if run is None:
        rows = [row.to_json() for row in audit.databases]
        room = MAX_ANSWER - len(json.dumps(answer))
        return {**answer, "databases": fitting(rows, room, lambda row: row["verdict"] == "protected")}
    if known.run == run:
        logger.info("This run was recorded before", run=run)
    else:
        notification = {**answer, "findings": answer["findings"][:MAX_FINDINGS], "title": title(answer["counts"])}
        recorded = news.recorded(known, services.clock())
        publish(services, audits, replace(recorded, run=run, pending=notification))
    count("AuditCompleted", services.config.service)
    return answer


def _audit(auditor: Auditor, aws: AwsCalls, *, is_scheduled: bool) -> Audit:
    services = auditor.services
    resources = aws.rows(auditor.databases.resources)
    open_stuck = aws.result(services.submissions.stuck)
    preflight = run_preflight(services, aws)

    judge, coverage = preflight.judge, preflight.coverage
    listed = [] if isinstance(resources, Problem) else databases_of(resources)
    databases = [judge.judge_database(database, coverage) for database in listed]
    required: Mapping[str, Verdict] = {}
    unasked = found.unasked_in(preflight.checks)
    if not isinstance(resources, Problem):
        required = required_verdicts(judge, coverage, databases)
    else:
        unreadable = replace(resources, code="ACCOUNT_UNREADABLE")
        unasked += [Unasked("coverage", unreadable), Unasked("freshness", unreadable)]
    if isinstance(coverage, Problem):
        unasked += [Unasked(question, coverage) for question in ("names", "freshness", "coverage")]
    findings = [*found.of_checks(preflight.checks), *found.of_verdicts(databases, required.values())]
    if isinstance(open_stuck, Problem):
        unasked.append(Unasked("stuck", open_stuck))
    else:
        findings += stuck.findings_of(open_stuck, is_scheduled=is_scheduled)
        if is_scheduled:
            unasked += [Unasked("stuck", problem) for problem in stuck.send_again(services, aws, open_stuck)]
    findings += found.of_unasked(unasked, preflight.checks)
    findings.sort(key=lambda finding: ORDER.index(finding.question))
    return Audit(findings, databases, frozenset(entry.question for entry in unasked), preflight.target_count)


def _answer(audit: Audit, *, is_news: bool) -> dict[str, Any]:
    """Return the answer, with as many findings as it holds; the counts are of all."""
    verdicts = Counter(row.verdict.name for row in audit.databases)
    return {
        "version": VERSION,
        "status": "audit",
        "ok": not audit.findings,
        "news": is_news,
        "findings": fitting([finding.to_json() for finding in audit.findings], MAX_ANSWER // 2, lambda _: False),
        "counts": {
            "databases": len(audit.databases),
            **{name: verdicts[name] for name in get_args(VerdictName.__value__)},
            "targets": audit.target_count,
            "stuck": sum(finding.question == "stuck" for finding in audit.findings),
            "findings": len(audit.findings),
        },
    }
