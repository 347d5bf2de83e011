"""The audit, `{"audit": true}`: whether every database is protected, and whether triggers would start backups.

The preflight's checks are its first findings. It asks RDS, here and in all members, for the databases, Commvault for the
instance groups and their restore points, and RDS for the snapshots of these. Only a scheduled run publishes, counts, and
sends lost messages again. A run by hand only answers.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import Any, Self, get_args

from rds_snap_backup.audit import findings as found
from rds_snap_backup.audit import stuck
from rds_snap_backup.audit.access import UNREADABLE
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import HINTS, SERVER
from rds_snap_backup.audit.digest import Day
from rds_snap_backup.audit.estate import Estate, home_of, judge_of, members_of, read_estate
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.findings import ORDER, Finding, Unasked
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.job_history import Wanted, read_jobs
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.pages import MAX_ANSWER, Reading, Readings
from rds_snap_backup.audit.preflight import Preflight, run_preflight
from rds_snap_backup.audit.proving import Prover
from rds_snap_backup.audit.publication import news_of, publish, publish_pending
from rds_snap_backup.audit.schedules import Schedules
from rds_snap_backup.audit.verdicts import Judge, Verdict, VerdictName, is_excluded
from rds_snap_backup.bootstrap import SDK, Clients, Services, bootstrap
from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.core.backups import DAY
from rds_snap_backup.core.record import Submission
from rds_snap_backup.core.subclients import Subclients
from rds_snap_backup.ledger.audits import Audits, AuditState
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, title
from rds_snap_backup.messaging.notifications import VERSION, iso
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases, Place
from rds_snap_backup.rds.members import Listing, Members

# Kept back from the function's time for recording and publishing.
RESERVE_SECONDS = 40.0
# Of 1,300 characters each at most.
MAX_ANSWERED = 1000
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

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        services = bootstrap(config, clients, clock)
        audits = Audits(services.table, config.ledger_days, clock)
        databases, members = Databases(clients.rds), members_of(config, clients.client)
        prover = Prover(services, databases, members, home_of(config))
        schedules = Schedules(config.schedule_group, cache(partial(clients.client, "scheduler", config=SDK)))
        return cls(services, databases, members, audits, Readings(clock), prover, schedules)

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
        counts = Counter({group.key: 0 for group in self.judge.contents.groups})
        counts.update(group.key for verdict in self.verdicts for group in verdict.coverage.certain)
        kept: dict[str, int] = {}
        left = MAX_KEPT_CHARACTERS
        for key, number in counts.items():
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
    day: Day
    target_count: int
    calls: int
    places: Mapping[str, tuple[int, float]]


def make_audit(auditor: Auditor, seconds_left: Callable[[], float], run: str | None = None) -> Reading:
    """Audit and answer; `run` is the identity of a scheduled run, and None of one by hand, which gets the databases' rows."""
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
    answer = _answer(services.config, audit, is_news=news.is_news)
    for finding in audit.findings:
        logger.warning("Finding", finding=finding.to_json())
    logger.info("Audited", counts=answer["counts"], run=run)
    if run is None:
        return Reading(answer, "databases", _rows(services.config, audit), MAX_ANSWER // 2)
    if known.run == run:
        logger.info("This run was recorded before", run=run)
    else:
        places = dict(islice(audit.places.items(), MAX_KEPT_PLACES))
        recorded = news.recorded(known, now)
        recorded = replace(recorded, run=run, ran_at=now, places=places, groups=audit.assessment.selected)
        publish(services, audits, replace(recorded, pending=notification_of(answer)))
    count("AuditCompleted", services.config.service)
    return Reading(answer, "", ())


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
    since = known.ran_at or now - DAY
    estate = read_estate(services.config, auditor.databases, auditor.members, aws)
    opened = aws.result(services.submissions.open)
    preflight = run_preflight(services, aws, known.groups)
    assessment = Assessor(services, commvault, aws, since).assess(estate, preflight)
    day = _day(auditor, aws, assessment, opened if isinstance(opened, Problem) else opened[0], since)

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
    if isinstance(day, Problem):
        unasked.append(Unasked("rate", day))
        day = Day(since)
    findings += day.rate_findings(now)
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
    return Audit(findings, estate, assessment, unanswered, day, targets, commvault.calls, places)


@dataclass(frozen=True)
class Assessor:
    """Judges an estate by what Commvault, RDS and the ledger show. `recent` is when the last daily audit ran."""

    services: Services
    commvault: Metered
    aws: Calls
    recent: float

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
        jobs = read_jobs(self.commvault, Wanted(dict.fromkeys(names, since), self.recent), judge.now, aws.seconds_left)
        keys = judge.ages.naming.keys() | {association.key for association in selecting}
        subclients = aws.result(lambda: services.submissions.subclients(sorted(keys)))
        judge = replace(judge, jobs=jobs, ours=None if isinstance(subclients, Problem) else _jobs_of(subclients))
        return Assessment(judge, [judge.judge(database) for database in judge.databases], subclients)


def _jobs_of(subclients: Subclients) -> frozenset[str]:
    """Return the IDs of jobs that the ledger has."""
    completed = (item.completed.id for item in subclients.values() if item.completed)
    return frozenset(job_id for item in subclients.values() for job_id in item.known_ids).union(completed)


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


def _answer(config: Config, audit: Audit, *, is_news: bool) -> dict[str, Any]:
    """Return the answer, with as many findings as it holds; the counts are of all."""
    verdicts = Counter(verdict.name for verdict in audit.assessment.verdicts)
    # The databases of a place that could not be listed, when it was last read.
    unread = sum(audit.places[str(place)][0] for place in audit.estate.unread)
    verdicts["unreadable"] += unread
    return {
        "version": VERSION,
        "status": "audit",
        "ok": not audit.findings,
        "news": is_news,
        "findings": [finding.to_json() for finding in audit.findings[:MAX_ANSWERED]],
        "counts": {
            "databases": verdicts.total(),
            **{name: verdicts[name] for name in get_args(VerdictName.__value__)},
            "places": len(audit.estate.listings),
            "targets": audit.target_count,
            "stuck": sum(finding.question == "stuck" for finding in audit.findings),
            "findings": len(audit.findings),
            "commvaultCalls": audit.calls,
        },
        "since": audit.day.to_json(audit.assessment.judge.jobs.ends),
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


def _rows(config: Config, audit: Audit) -> list[dict[str, Any]]:
    """Return a row for each database, and one for each place that could not be listed."""
    rows = [verdict.to_json() for verdict in audit.assessment.verdicts]
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
