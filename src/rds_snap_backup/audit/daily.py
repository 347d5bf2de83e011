"""The audit, `{"audit": true}`: whether every database is protected, and whether triggers would start backups.

The preflight's checks are its first findings. It asks RDS, here and in all members, for the databases, Commvault for the
instance groups and their restore points, and RDS for the snapshots of these. Only a scheduled run writes a report,
publishes, counts, and sends lost messages again. A run by hand only answers.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from rds_snap_backup.audit import findings as found
from rds_snap_backup.audit import stuck
from rds_snap_backup.audit.assessment import assess
from rds_snap_backup.audit.auditor import Auditor
from rds_snap_backup.audit.aws_calls import RESERVE_SECONDS, aws_calls
from rds_snap_backup.audit.conclusion import Audit
from rds_snap_backup.audit.digest import Digest, Span
from rds_snap_backup.audit.documents import Counts
from rds_snap_backup.audit.estate import read_estate
from rds_snap_backup.audit.findings import ORDER, Finding, Unasked
from rds_snap_backup.audit.pages import MAX_ANSWER, Reading
from rds_snap_backup.audit.preflight import Preflight, run_preflight
from rds_snap_backup.audit.publication import notification_of, publish, publish_pending
from rds_snap_backup.ledger.audits import AuditState, ReportLink
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.triggers import Trigger

# Of 1,300 characters each at most; a report in the bucket has all.
MAX_ANSWERED = 1000
DEFAULT = "default"


def make_audit(auditor: Auditor, seconds_left: Callable[[], float], run: Trigger | None = None) -> Reading:
    """Audit and answer; `run` is the trigger of a scheduled run, and None of one by hand, which gets the databases' rows."""
    services, audits, reports = auditor.services, auditor.audits, auditor.reports
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    if run is None:
        state = aws.result(audits.load)
        known = AuditState() if isinstance(state, Problem) else state
    else:
        known = publish_pending(services, audits, audits.load())
    audit = _audit(auditor, aws, run, known)
    is_recorded = run is not None and run.id == known.run
    report = known.report if is_recorded else None
    if run and reports.bucket and not is_recorded:
        written = _write(auditor, aws_calls(seconds_left), audit, reports.key(run.time, audit.at))
        if isinstance(written, Problem):
            audit = replace(audit, findings=[*audit.findings, found.of_report(reports.bucket, written)])
        else:
            report = written
    answer = audit.answer(services.config, reports, report.key if report else None)
    for finding in answer["findings"]:
        logger.warning("Finding", finding=finding)
    logger.info("Audited", counts=answer["counts"], run=run and run.id)
    answer["findings"] = answer["findings"][:MAX_ANSWERED]
    if run is None:
        return Reading(answer, "databases", audit.rows(services.config), MAX_ANSWER // 2)
    if is_recorded:
        logger.info("This run was recorded before", run=run.id)
    else:
        publish(services, audits, replace(audit.state(report), pending=notification_of(answer)))
    count("AuditCompleted", services.config.service)
    return Reading(answer, "", ())


def _audit(auditor: Auditor, aws: Calls, run: Trigger | None, known: AuditState) -> Audit:
    """Ask all questions; `known` is the state of the last scheduled audit."""
    commvault = auditor.metered()
    services = replace(auditor.services, commvault=commvault)
    now = services.clock()
    estate = read_estate(services.config, auditor.databases, auditor.members, aws)
    opened = aws.result(services.submissions.open)
    preflight = run_preflight(services, aws, lambda *_: Counts(known.groups))
    assessment = assess(services, commvault, aws, estate, preflight)
    judge = assessment.judge
    span = Span.since(known.digest_end, now)
    digest = Digest(span, aws.result(lambda: auditor.sums.read(span)))
    overlaps, unasked_overlaps = _overlaps(auditor, aws, preflight)
    lost, unasked_lost = stuck.ask(services, aws, opened, is_scheduled=run is not None)
    unasked = [
        *found.unasked_in(preflight.checks),
        *assessment.unasked,
        *unasked_overlaps,
        *unasked_lost,
        *digest.unasked,
    ]
    unread_snapshots = {place: each for place, each in judge.found.items() if isinstance(each, Problem)}
    findings = [
        *found.of_checks(preflight.checks),
        *found.of_places(estate.listings, estate.home, unread_snapshots),
        *found.of_verdicts(assessment.verdicts, judge.ages.naming),
        *found.of_empty_groups(preflight.targets, judge),
        *overlaps,
        *lost,
        *digest.rate_findings(),
        *found.of_unasked(unasked, preflight.checks),
    ]
    findings.sort(key=lambda finding: ORDER.index(finding.question))
    unanswered = frozenset(entry.group for entry in [*unasked, *found.unasked_at(estate.listings)])
    targets = 0 if isinstance(preflight.stored, Problem) else len(preflight.stored)
    return Audit(run, known, now, findings, unanswered, estate, assessment, digest, targets, commvault.calls)


def _overlaps(auditor: Auditor, aws: Calls, preflight: Preflight) -> tuple[list[Finding], list[Unasked]]:
    """Return the findings of targets that overlap, and the questions about targets that could not be asked."""
    if isinstance(preflight.stored, Problem):
        return [], [Unasked(question, preflight.stored) for question in ("names", "overlap", "empty", "freshness")]
    scheduled = aws.rows(auditor.schedules.names)
    if isinstance(scheduled, Problem):
        return [], [Unasked("overlap", scheduled)]
    own = [DEFAULT] if auditor.services.config.is_default_scheduled else []
    return found.of_overlaps(preflight.targets, frozenset([*scheduled, *own])), []


def _write(auditor: Auditor, aws: Calls, audit: Audit, key: str) -> ReportLink | Problem:
    """Write the full answer to the bucket, with the link to the report before it."""
    config, reports = auditor.services.config, auditor.reports
    previous = asdict(audit.known.report) if audit.known.report else None
    report = {**audit.answer(config, reports, key), "previous": previous, "databases": audit.rows(config)}
    return aws.result(lambda: reports.write(key, json.dumps(report, separators=(",", ":")).encode()))
