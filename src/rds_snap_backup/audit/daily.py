"""The audit, `{"audit": true}`: whether every database is protected, and whether triggers would start backups.

The preflight's checks are its first findings. It asks RDS, here and in all members, for the databases, Commvault for the
instance groups and their restore points, and RDS for the snapshots of these. Only a scheduled run publishes, counts, and
sends lost messages again. A run by hand only answers.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import Any, Self, get_args

from botocore.config import Config as SdkConfig

from rds_snap_backup.audit import findings as found
from rds_snap_backup.audit import stuck
from rds_snap_backup.audit.access import UNREADABLE
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import HINTS, SERVER
from rds_snap_backup.audit.digest import Digest, Span
from rds_snap_backup.audit.documents import Counts
from rds_snap_backup.audit.estate import Estate, home_of, judge_of, members_of, read_estate, selected_by
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.findings import ORDER, Finding, Unasked
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.job_history import read_jobs
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.metric_sums import MetricSums
from rds_snap_backup.audit.pages import MAX_ANSWER, Reading, Readings
from rds_snap_backup.audit.preflight import Preflight, run_preflight
from rds_snap_backup.audit.proving import Prover
from rds_snap_backup.audit.publication import News, news_of, publish, publish_pending
from rds_snap_backup.audit.reports import Reports
from rds_snap_backup.audit.schedules import Schedules
from rds_snap_backup.audit.verdicts import Judge, Verdict, VerdictName, is_excluded
from rds_snap_backup.bootstrap import SDK, Clients, Services, bootstrap
from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.core.subclients import Subclients
from rds_snap_backup.ledger.audits import Audits, AuditState, ReportLink
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, title
from rds_snap_backup.messaging.notifications import VERSION, iso
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases, Place
from rds_snap_backup.rds.members import Listing, Members
from rds_snap_backup.triggers import Trigger

# Kept back from the function's time for recording and publishing.
RESERVE_SECONDS = 40.0
# Of 1,300 characters each at most; a report in the bucket has all.
MAX_ANSWERED = 1000
# A report of thousands of databases is some megabytes.
PATIENT = SDK.merge(SdkConfig(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}))
DEFAULT = "default"
# The item holds 400 KB: the characters of groups, and the places, that are kept; and the places that a message has.
MAX_KEPT_CHARACTERS = 50_000
MAX_KEPT_PLACES = 2000
MAX_SHOWN_PLACES = 300


@dataclass(frozen=True)
class Auditor:
    """The systems that a sandbox of the Audit function works with."""

    services: Services
    databases: Databases
    members: Members
    audits: Audits
    readings: Readings
    prover: Prover
    schedules: Schedules
    sums: MetricSums
    reports: Reports

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        services = bootstrap(config, clients, clock)
        audits = Audits(services.table, config.ledger_days, clock)
        databases, members = Databases(clients.rds), members_of(config, clients.client)
        prover = Prover(services, databases, members, home_of(config))
        schedules = Schedules(config.schedule_group, cache(partial(clients.client, "scheduler", config=SDK)))
        sums = MetricSums(config.service, cache(partial(clients.client, "cloudwatch", config=PATIENT)))
        reports = Reports(config, cache(partial(clients.client, "s3", config=PATIENT)))
        return cls(services, databases, members, audits, Readings(clock), prover, schedules, sums, reports)

    def metered(self) -> Metered:
        """Return a client of Commvault whose calls are limited to those of one audit."""
        return Metered(self.services.commvault, self.services.config.commvault_api_url)


@dataclass(frozen=True)
class Assessment:
    """The verdicts on all databases that could be listed, the facts behind them, and the ledger's items of their groups."""

    judge: Judge
    verdicts: list[Verdict]
    subclients: Subclients | Problem

    @property
    def unasked(self) -> list[Unasked]:
        """The questions that could not be asked of Commvault, or not of all."""
        problems = [("coverage", problem) for problem in self.judge.contents.problems]
        problems += [
            ("freshness" if verdict.coverage.groups else "coverage", verdict.problem)
            for verdict in self.verdicts
            if verdict.problem
        ]
        if self.judge.jobs.problem:
            problems.append(("freshness", self.judge.jobs.problem))
        return [
            Unasked(question, Problem(UNREADABLE, problem.message, HINTS.get(problem.code, SERVER)))  # type: ignore[arg-type]
            for question, problem in problems
        ]

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


@dataclass(frozen=True)
class Audit:
    """The result of one audit. `unanswered` are the groups of questions whose earlier findings still stand.

    `places` has the number of databases of each place, and when it was read.
    """

    findings: list[Finding]
    estate: Estate
    assessment: Assessment
    unanswered: frozenset[str]
    digest: Digest
    target_count: int
    calls: int
    places: Mapping[str, tuple[int, float]]

    @property
    def is_readable(self) -> bool:
        """Whether all databases could be listed and judged."""
        return not self.estate.unread and all(each.name != "unreadable" for each in self.assessment.verdicts)


def make_audit(auditor: Auditor, seconds_left: Callable[[], float], run: Trigger | None = None) -> Reading:
    """Audit and answer; `run` is the trigger of a scheduled run, and None of one by hand, which gets the databases' rows."""
    services, audits = auditor.services, auditor.audits
    aws = aws_calls(lambda: seconds_left() - RESERVE_SECONDS)
    if run is None:
        state = aws.result(audits.load)
        known = AuditState() if isinstance(state, Problem) else state
    else:
        known = publish_pending(services, audits, audits.load())
    audit = _audit(auditor, aws, known, is_scheduled=run is not None)
    if run is None:
        done = Concluded.of(auditor, known, audit, run)
    else:
        done = _write(auditor, aws_calls(seconds_left), Concluded.of(auditor, known, audit, run))
    for finding in done.audit.findings:
        logger.warning("Finding", finding=finding.to_json())
    logger.info("Audited", counts=done.answer["counts"], run=run and run.id)
    answer = {**done.answer, "findings": done.answer["findings"][:MAX_ANSWERED]}
    if run is None:
        return Reading(answer, "databases", done.rows, MAX_ANSWER // 2)
    if known.run == run.id:
        logger.info("This run was recorded before", run=run.id)
    else:
        publish(services, audits, replace(done.state, pending=notification_of(answer)))
    count("AuditCompleted", services.config.service)
    return Reading(answer, "", ())


@dataclass(frozen=True)
class Concluded:
    """An audit with its news: the answer with all findings, and the state that a scheduled run records.

    `known` is the state before it, `report` where its report is.
    """

    auditor: Auditor
    known: AuditState
    audit: Audit
    run: Trigger | None
    at: float
    news: News
    report: ReportLink | None

    @classmethod
    def of(
        cls, auditor: Auditor, known: AuditState, audit: Audit, run: Trigger | None, report: ReportLink | None = None
    ) -> Self:
        """Compare an audit with the last one."""
        now = auditor.services.clock()
        if run and run.id == known.run:
            report = known.report
        return cls(auditor, known, audit, run, now, news_of(known, audit.findings, audit.unanswered, now), report)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each database, and one for each place that could not be listed."""
        return _rows(self.auditor.services.config, self.audit, self.known)

    @property
    def answer(self) -> dict[str, Any]:
        """The answer; its counts are of all findings."""
        config, known, reports = self.auditor.services.config, self.known, self.auditor.reports
        last = {"time": iso(known.read_at), "report": known.read_report and reports.address(known.read_report)}
        return {
            **_answer(config, self.audit, is_news=self.news.is_news),
            "time": iso(self.at),
            "askedBy": self.run.id if self.run else "by hand",
            "lastRead": {**last, "report": last["report"] or None} if known.read_at else None,
            "report": reports.address(self.report.key) if self.report else None,
        }

    @property
    def state(self) -> AuditState:
        """The state that this run records."""
        audit, known, digest = self.audit, self.known, self.audit.digest
        state = replace(
            self.news.recorded(known, self.at),
            run=self.run.id if self.run else "",
            places=dict(islice(audit.places.items(), MAX_KEPT_PLACES)),
            groups=audit.assessment.selected,
            digest_end=known.digest_end if isinstance(digest.sums, Problem) else digest.span.end,
            report=self.report or known.report,
        )
        if audit.is_readable:
            return replace(state, read_at=self.at, read_report=self.report.key if self.report else "")
        return state


def _write(auditor: Auditor, aws: Calls, done: Concluded) -> Concluded:
    """Write the report of a scheduled run, unless it was recorded before; a failure is one more finding."""
    reports, known, run, audit = auditor.reports, done.known, done.run, done.audit
    if not reports.bucket or run is None or run.id == known.run:
        return done
    key = reports.key(run.time, done.at)
    previous = asdict(known.report) if known.report else None
    answer = {**done.answer, "report": reports.address(key), "previous": previous, "databases": done.rows}
    written = aws.result(lambda: reports.write(key, json.dumps(answer, separators=(",", ":")).encode()))
    if isinstance(written, ReportLink):
        return replace(done, report=written)
    findings = [*audit.findings, found.of_report(reports.bucket, written)]
    return Concluded.of(auditor, known, replace(audit, findings=findings), run)


def notification_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is published of an answer: the first findings, and no long list of accounts; `counts` has their numbers."""
    scope = answer["scope"]
    accounts = scope["accounts"] if len(scope["accounts"]) <= MAX_SHOWN_PLACES else []
    shown = {"findings": answer["findings"][:MAX_FINDINGS], "scope": {**scope, "accounts": accounts}}
    return {**answer, **shown, "title": title(answer)}


def _audit(auditor: Auditor, aws: Calls, known: AuditState, *, is_scheduled: bool) -> Audit:
    commvault = auditor.metered()
    services = replace(auditor.services, commvault=commvault)
    now = services.clock()
    estate = read_estate(services.config, auditor.databases, auditor.members, aws)
    opened = aws.result(services.submissions.open)
    preflight = run_preflight(services, aws, lambda *_: Counts(known.groups))
    assessment = Assessor(services, commvault, aws).assess(estate, preflight)
    span = Span.since(known.digest_end, now)
    digest = Digest(span, aws.result(lambda: auditor.sums.read(span)))

    unasked = [*found.unasked_in(preflight.checks), *assessment.unasked]
    unread = {place: each for place, each in assessment.judge.found.items() if isinstance(each, Problem)}
    findings = [
        *found.of_checks(preflight.checks),
        *found.of_places(estate.listings, estate.home, unread),
        *found.of_verdicts(assessment.verdicts, assessment.judge.ages.naming),
        *found.of_empty_groups(preflight.targets, assessment.judge),
    ]
    if isinstance(preflight.stored, Problem):
        unasked += [Unasked(question, preflight.stored) for question in ("names", "overlap", "empty", "freshness")]
    elif isinstance(scheduled := aws.rows(auditor.schedules.names), Problem):
        unasked.append(Unasked("overlap", scheduled))
    else:
        own = [DEFAULT] if services.config.is_default_scheduled else []
        findings += found.of_overlaps(preflight.targets, frozenset([*scheduled, *own]))
    if isinstance(assessment.subclients, Problem):
        unasked.append(Unasked("freshness", assessment.subclients))
    if isinstance(opened, Problem):
        unasked.append(Unasked("stuck", opened))
    else:
        submissions, unreadable = opened
        are_stuck = [submission for submission in submissions if submission.is_stuck(now)]
        findings += stuck.findings_of(are_stuck, is_scheduled=is_scheduled)
        findings += stuck.findings_of_unreadable(unreadable)
        if is_scheduled:
            unasked += [Unasked("stuck", problem) for problem in stuck.send_again(services, aws, are_stuck)]
    if isinstance(digest.sums, Problem):
        unasked.append(Unasked("rate", digest.sums))
    findings += digest.rate_findings()
    findings += found.of_unasked(unasked, preflight.checks)
    findings.sort(key=lambda finding: ORDER.index(finding.question))
    unanswered = frozenset(entry.group for entry in [*unasked, *found.unasked_at(estate.listings)])
    targets = 0 if isinstance(preflight.stored, Problem) else len(preflight.stored)
    places = {
        str(place): (estate.databases_in(place), now)
        if place not in estate.unread
        else known.places.get(str(place), (0, 0.0))
        for place in estate.listings
    }
    return Audit(findings, estate, assessment, unanswered, digest, targets, commvault.calls, places)


@dataclass(frozen=True)
class Assessor:
    """Judges an estate by what Commvault, RDS and the ledger show."""

    services: Services
    commvault: Metered
    aws: Calls

    def assess(self, estate: Estate, preflight: Preflight) -> Assessment:
        """Read groups, restore points, snapshots and jobs as far as they are needed, and judge."""
        services, aws = self.services, self.aws
        judge = judge_of(services.config, services.clock(), estate, preflight.targets)
        judge = replace(judge, contents=read_groups(preflight.discovery, self.commvault, judge.named))
        judge = gather(judge, preflight.discovery, estate, aws.seconds_left)
        wanted = (database for database in judge.databases if not is_excluded(database.resource))
        selecting = {group.association for database in wanted for group in judge.coverage(database).certain}
        names = judge.named | {association.names for association in selecting}
        since = judge.now - max(judge.ages.all_hours) * HOUR
        jobs = read_jobs(self.commvault, dict.fromkeys(names, since), judge.now, aws.seconds_left)
        keys = judge.ages.naming.keys() | {association.key for association in selecting}
        subclients = aws.result(lambda: services.submissions.subclients(sorted(keys)))
        judge = replace(judge, jobs=jobs, ours=None if isinstance(subclients, Problem) else _jobs_of(subclients))
        return Assessment(judge, [judge.judge(database) for database in judge.databases], subclients)


def _jobs_of(subclients: Subclients) -> frozenset[str]:
    """Return the IDs of jobs that the ledger has."""
    completed = (item.completed.id for item in subclients.values() if item.completed)
    return frozenset(job_id for item in subclients.values() for job_id in item.known_ids).union(completed)


def _answer(config: Config, audit: Audit, *, is_news: bool) -> dict[str, Any]:
    """Return the answer with all findings."""
    verdicts = Counter(verdict.name for verdict in audit.assessment.verdicts)
    # The databases of a place that could not be listed, when it was last read.
    unread = sum(audit.places[str(place)][0] for place in audit.estate.unread)
    verdicts["unreadable"] += unread
    return {
        "version": VERSION,
        "status": "audit",
        "ok": not audit.findings,
        "news": is_news,
        "findings": [finding.to_json() for finding in audit.findings],
        "counts": {
            "databases": verdicts.total(),
            **{name: verdicts[name] for name in get_args(VerdictName.__value__)},
            "places": len(audit.estate.listings),
            "targets": audit.target_count,
            "stuck": sum(finding.question == "stuck" for finding in audit.findings),
            "findings": len(audit.findings),
            "commvaultCalls": audit.calls,
        },
        "since": audit.digest.to_json(),
        "scope": {
            "accounts": [_account(audit.estate, place, each) for place, each in audit.estate.listings.items()],
            "groups": len(audit.assessment.judge.contents.groups),
            "maxAgeHours": config.backup_max_age_hours,
            "commvault": config.commvault_api_url,
            "stack": config.stack_arn,
            "version": config.product_version,
        },
    }


def _account(estate: Estate, place: Place, listing: Listing) -> dict[str, Any]:
    """Return a place of the audit; what could not be read of it is null."""
    is_read = place not in estate.unread
    return {
        "account": place.account,
        "region": place.region,
        "databases": estate.databases_in(place) if is_read else None,
        "role": "own" if place == estate.home else "assumed" if listing.databases else "failed",
        "undeliveredEvents": None if isinstance(listing.waiting, Problem) else listing.waiting,
    }


def _rows(config: Config, audit: Audit, known: AuditState) -> list[dict[str, Any]]:
    """Return a row for each database, and one for each place that could not be listed."""
    rows = [
        verdict.to_json() | ({"lastRead": iso(known.read_at)} if verdict.name == "unreadable" else {})
        for verdict in audit.assessment.verdicts
    ]
    partition = config.stack_arn.split(":")[1]
    nothing = dict.fromkeys(("restorePoint", "jobId", "startedAt", "endedAt", "by"))
    for place, problem in audit.estate.unread.items():
        number, read_at = audit.places[str(place)]
        had = f" It had {number} database{'' if number == 1 else 's'} when it was last read." if read_at else ""
        rows.append(
            {
                "arn": f"arn:{partition}:rds:{place.region}:{place.account}:*",
                "verdict": "unreadable",
                "groups": [],
                **nothing,
                "reason": f"Its databases cannot be listed: {problem.message}{had}",
                "lastRead": iso(read_at),
            }
        )
    return rows
