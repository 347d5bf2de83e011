"""The audit, `{"audit": true}`: whether every database is protected, and whether triggers would start backups.

The preflight's checks are its first findings. It asks RDS, here and in all members, for the databases, and Commvault for
its subclients and jobs. Only a scheduled run publishes, counts, and sends lost messages again. A run by hand only answers.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from rds_snap_backup.audit import findings as found
from rds_snap_backup.audit import stuck
from rds_snap_backup.audit.access import UNREADABLE
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import HINTS, MAX_ANSWER, SERVER, page_of
from rds_snap_backup.audit.digest import Day
from rds_snap_backup.audit.estate import Assessment, Assessor, Estate, members_of, read_estate
from rds_snap_backup.audit.findings import ORDER, Finding, Unasked
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.preflight import Preflight, run_preflight
from rds_snap_backup.audit.publication import news_of, publish, publish_pending
from rds_snap_backup.audit.verdicts import VerdictName
from rds_snap_backup.bootstrap import Clients, Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.core.record import DAY, Submission
from rds_snap_backup.ledger.audits import Audits, AuditState
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, title
from rds_snap_backup.messaging.notifications import VERSION
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases
from rds_snap_backup.rds.members import Members

# Kept back from the function's time for recording and publishing.
RESERVE_SECONDS = 40.0
# Of 1,300 characters each at most.
MAX_ANSWERED = 1000


@dataclass(frozen=True)
class Auditor:
    """The systems that a sandbox of the Audit function works with."""

    services: Services
    databases: Databases
    members: Members
    audits: Audits

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        services = bootstrap(config, clients, clock)
        audits = Audits(services.table, config.ledger_days, clock)
        return cls(services, Databases(clients.rds), members_of(config, clients.client), audits)


@dataclass(frozen=True)
class Audit:
    """The result of one audit. `unanswered` are the groups of questions whose earlier findings still stand."""

    findings: list[Finding]
    estate: Estate
    assessment: Assessment
    unanswered: frozenset[str]
    day: Day
    target_count: int
    calls: int


def make_audit(
    auditor: Auditor, seconds_left: Callable[[], float], run: str | None = None, page: int = 1
) -> dict[str, Any]:
    """Audit and answer; `run` is the identity of a scheduled run, and None of one by hand, which gets a page of rows."""
    services, audits = auditor.services, auditor.audits
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    if run is None:
        state = aws.result(audits.load)
        known = AuditState() if isinstance(state, Problem) else state
    else:
        known = publish_pending(services, audits, audits.load())
    audit = _audit(auditor, aws, known, is_scheduled=run is not None)
    now = services.clock()
    news = news_of(known, audit.findings, audit.unanswered, now)
    answer = _answer(audit, is_news=news.is_news)
    for finding in audit.findings:
        logger.warning("Finding", finding=finding.to_json())
    logger.info("Audited", counts=answer["counts"], run=run)
    if run is None:
        rows = [row.to_json() for row in audit.assessment.databases]
        return {**answer, **page_of("databases", rows, MAX_ANSWER // 2, page)}
    if known.run == run:
        logger.info("This run was recorded before", run=run)
    else:
        notification = {**answer, "findings": answer["findings"][:MAX_FINDINGS], "title": title(answer)}
        recorded = replace(news.recorded(known, now), run=run, ran_at=now, databases=audit.estate.remembered())
        publish(services, audits, replace(recorded, pending=notification))
    count("AuditCompleted", services.config.service)
    return answer


def _audit(auditor: Auditor, aws: Calls, known: AuditState, *, is_scheduled: bool) -> Audit:
    commvault = Metered(auditor.services.commvault)
    services = replace(auditor.services, commvault=commvault)
    now = services.clock()
    since = known.ran_at or now - DAY
    estate = read_estate(services.config, auditor.databases, auditor.members, aws, known.databases)
    opened = aws.result(services.submissions.open)
    preflight = run_preflight(services, aws)
    assessment = Assessor(commvault, services.submissions, aws, since).assess(estate, preflight)
    day = _day(auditor, aws, assessment, opened if isinstance(opened, Problem) else opened[0], since)

    unasked = [*found.unasked_in(preflight.checks), *_unasked(preflight, assessment)]
    findings = [
        *found.of_checks(preflight.checks),
        *found.of_places(estate.listings, estate.home),
        *found.of_verdicts(assessment.databases, assessment.required),
    ]
    if not isinstance(preflight.coverage, Problem):
        findings += found.of_overlaps(preflight.coverage.associations, preflight.judge.ages)
    if isinstance(opened, Problem):
        unasked.append(Unasked("stuck", opened))
    else:
        submissions, unreadable = opened
        are_stuck = [submission for submission in submissions if submission.is_stuck(now)]
        findings += stuck.findings_of(are_stuck, is_scheduled=is_scheduled)
        findings += stuck.findings_of_unreadable(unreadable)
        if is_scheduled:
            unasked += [Unasked("stuck", problem) for problem in stuck.send_again(services, aws, are_stuck)]
    if isinstance(day, Problem):
        unasked.append(Unasked("rate", day))
        day = Day(since)
    findings += day.rate_findings(now)
    findings += found.of_unasked(unasked, preflight.checks)
    findings.sort(key=lambda finding: ORDER.index(finding.question))
    unanswered = frozenset(entry.group for entry in [*unasked, *found.unasked_at(estate.listings)])
    return Audit(findings, estate, assessment, unanswered, day, preflight.target_count, commvault.calls)


def _unasked(preflight: Preflight, assessment: Assessment) -> list[Unasked]:
    """Return the questions that could not be asked because of Commvault, the targets or the ledger."""
    unasked: list[Unasked] = []
    if isinstance(preflight.coverage, Problem):
        unasked += [Unasked(question, preflight.coverage) for question in ("names", "overlap", "freshness", "coverage")]
    for question, problem in (("coverage", assessment.inventory.problem), ("freshness", assessment.jobs.problem)):
        if problem:
            hint = HINTS.get(problem.code, SERVER)
            unasked.append(Unasked(question, Problem(UNREADABLE, problem.message, hint)))  # type: ignore[arg-type]
    if isinstance(assessment.subclients, Problem):
        unasked.append(Unasked("freshness", assessment.subclients))
    return unasked


def _day(
    auditor: Auditor, aws: Calls, assessment: Assessment, opened: list[Submission] | Problem, since: float
) -> Day | Problem:
    """Return the day's submissions: those that are open, and the last one of each subclient."""
    if isinstance(opened, Problem):
        return opened
    if isinstance(assessment.subclients, Problem):
        return assessment.subclients
    submissions = {submission.key: submission for submission in opened}
    claimers = {item.claimer for item in assessment.subclients.values()} - {"", *submissions}
    claiming = aws.result(lambda: auditor.services.submissions.load_all(sorted(claimers)))
    throttled = aws.result(auditor.audits.throttled_until)
    if isinstance(claiming, Problem):
        return claiming
    if isinstance(throttled, Problem):
        return throttled
    return Day.of(since, (submissions | claiming).values(), throttled)


def _answer(audit: Audit, *, is_news: bool) -> dict[str, Any]:
    """Return the answer, with as many findings as it holds; the counts are of all."""
    rows = audit.assessment.databases
    verdicts = Counter(row.verdict.name for row in rows)
    return {
        "version": VERSION,
        "status": "audit",
        "ok": not audit.findings,
        "news": is_news,
        "findings": [finding.to_json() for finding in audit.findings[:MAX_ANSWERED]],
        "counts": {
            "databases": len(rows),
            **{name: verdicts[name] for name in get_args(VerdictName.__value__)},
            "places": len(audit.estate.listings),
            "targets": audit.target_count,
            "stuck": sum(finding.question == "stuck" for finding in audit.findings),
            "findings": len(audit.findings),
            "commvaultCalls": audit.calls,
        },
        "since": audit.day.to_json(audit.assessment.jobs.ends),
    }
