"""The result of one audit: its answer, a row for each database, and the state that a scheduled run records. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, get_args

from rds_snap_backup.audit.assessment import Assessment
from rds_snap_backup.audit.digest import Digest
from rds_snap_backup.audit.estate import Estate
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.publication import News, news_of
from rds_snap_backup.audit.reports import Reports
from rds_snap_backup.audit.verdicts import VerdictName
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.audits import AuditState, ReportLink
from rds_snap_backup.messaging.notifications import VERSION, iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Place
from rds_snap_backup.rds.members import Listing
from rds_snap_backup.triggers import Trigger

# The places that the audit's item keeps: DynamoDB limits it to 400 KB.
MAX_KEPT_PLACES = 2000


@dataclass(frozen=True)
class Audit:
    """One audit at `at`; `run` is the trigger of a scheduled run, and `known` the state of the last one.

    `unanswered` are the groups of questions whose earlier findings still stand.
    """

    run: Trigger | None
    known: AuditState
    at: float
    findings: list[Finding]
    unanswered: frozenset[str]
    estate: Estate
    assessment: Assessment
    digest: Digest
    targets: int
    calls: int

    @cached_property
    def news(self) -> News:
        """The changes since the last scheduled audit."""
        return news_of(self.known, self.findings, self.unanswered, self.at)

    @cached_property
    def places(self) -> Mapping[str, tuple[int, float]]:
        """The number of databases of each place, and when it was read."""
        return {
            str(place): self.known.places.get(str(place), (0, 0.0))
            if place in self.estate.unread
            else (self.estate.databases_in(place), self.at)
            for place in self.estate.listings
        }

    @property
    def is_readable(self) -> bool:
        """Whether all databases could be listed and judged."""
        return not self.estate.unread and all(each.name != "unreadable" for each in self.assessment.verdicts)

    def state(self, report: ReportLink | None) -> AuditState:
        """Return the state that a scheduled run records; `report` is the one that it wrote."""
        state = replace(
            self.news.recorded(self.known, self.at),
            run=self.run.id if self.run else "",
            places=dict(islice(self.places.items(), MAX_KEPT_PLACES)),
            groups=self.assessment.selected,
            digest_end=self.known.digest_end if isinstance(self.digest.sums, Problem) else self.digest.span.end,
            report=report or self.known.report,
        )
        return replace(state, read_at=self.at, read_report=report.key if report else "") if self.is_readable else state

    def answer(self, config: Config, reports: Reports, key: str | None = None) -> dict[str, Any]:
        """Return the answer with all findings; `key` is that of its report."""
        known, digest, contents = self.known, self.digest, self.assessment.judge.contents
        last = {"time": iso(known.read_at), "report": reports.address(known.read_report)}
        return {
            "version": VERSION,
            "status": "audit",
            "ok": not self.findings,
            "news": self.news.is_news,
            "findings": [finding.to_json() for finding in self.findings],
            "counts": self._counts(),
            "since": digest.to_json(),
            "scope": {
                "accounts": [self._account(place, listing) for place, listing in self.estate.listings.items()],
                "groups": len(contents.groups),
                "maxAgeHours": config.backup_max_age_hours,
                "commvault": config.commvault_api_url,
                "stack": config.stack_arn,
                "version": config.product_version,
            },
            "time": iso(self.at),
            "askedBy": self.run.id if self.run else "by hand",
            "lastRead": last if known.read_at else None,
            "report": reports.address(key),
        }

    def rows(self, config: Config) -> list[dict[str, Any]]:
        """Return a row for each database, and one for each place that could not be listed."""
        rows = [verdict.to_json() for verdict in self.assessment.verdicts]
        for row in rows:
            row["lastRead"] = iso(self.known.read_at) if row["verdict"] == "unreadable" else None
        partition = config.stack_arn.split(":")[1]
        nothing = dict.fromkeys(("restorePoint", "jobId", "startedAt", "endedAt", "by"))
        for place, problem in self.estate.unread.items():
            number, read_at = self.places[str(place)]
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

    def _counts(self) -> dict[str, int]:
        verdicts = Counter(verdict.name for verdict in self.assessment.verdicts)
        # The databases of a place that could not be listed, when it was last read.
        verdicts["unreadable"] += sum(self.places[str(place)][0] for place in self.estate.unread)
        return {
            "databases": verdicts.total(),
            **{name: verdicts[name] for name in get_args(VerdictName.__value__)},
            "places": len(self.estate.listings),
            "targets": self.targets,
            "stuck": sum(finding.question == "stuck" for finding in self.findings),
            "findings": len(self.findings),
            "commvaultCalls": self.calls,
        }

    def _account(self, place: Place, listing: Listing) -> dict[str, Any]:
        """Return a place of the audit; what could not be read of it is null."""
        is_read = place not in self.estate.unread
        return {
            "account": place.account,
            "region": place.region,
            "databases": self.estate.databases_in(place) if is_read else None,
            "role": "own" if place == self.estate.home else "assumed" if listing.databases else "failed",
            "undeliveredEvents": None if isinstance(listing.waiting, Problem) else listing.waiting,
        }
