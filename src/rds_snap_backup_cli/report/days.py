"""The history of a stack's reports: whether their chain holds, and each database's verdict on each day. Pure."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from itertools import groupby, pairwise
from typing import Any

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.report.content import MALFORMED, Verdict, text, utc
from rds_snap_backup_cli.report.form import parsed

# Of an account and region that could not be listed it ends in `:*`.
ARN = re.compile(r"arn:[^:]*:rds:[^:]*:[^:]*:(?:[^:]+:.+|\*)")
# The days of these verdicts ask for no restore point.
NOT_ASKED = frozenset({Verdict.EXCLUDED, Verdict.NEW})
# A row of these verdicts without a restore point says that there is none.
CERTAIN = frozenset({Verdict.UNCOVERED, Verdict.STALE})


@dataclass(frozen=True)
class Link:
    """A report as another one, or the ledger, names it."""

    key: str
    sha256: str


@dataclass(frozen=True)
class Stored:
    """A report of the bucket."""

    key: str
    body: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes."""
        return hashlib.sha256(self.body).hexdigest()


def day_of(key: str) -> date | None:
    """Return the day on which a report was due: its key is `…/YYYY/MM/DD/TIME.json`; None for another key."""
    try:
        return date(*map(int, key.split("/")[-4:-1]))
    except (OverflowError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Report:
    """A report that was read: its day, the time of its audit, its rows by ARN, and the report before it.

    A row is the verdict, and when the newest restore point was made, if there is one.
    """

    key: str
    day: date
    at: datetime
    rows: Mapping[str, tuple[str, datetime | None]]
    previous: Link | None

    @classmethod
    def read(cls, stored: Stored) -> "Report":
        """Read a report. Raises `CannotRun`."""
        answer, day = parsed(stored.body, stored.key), day_of(stored.key)
        if day is None:
            raise CannotRun(f"{stored.key} is no report of a day: its key has no date.")
        try:
            rows = {
                name(row["arn"]): (Verdict(row["verdict"]).value, created_at(row["restorePoint"]))
                for row in answer["databases"]
            }
            at = utc(answer["time"])
        except MALFORMED as error:
            raise CannotRun(f"{stored.key} is no report ({type(error).__name__}: {error}).") from None
        return cls(stored.key, day, at, rows, link_of(answer.get("previous")))


@cache
def name(arn: str) -> str:
    """Return an ARN as one line of text. Each is in many reports. Raises one of `MALFORMED`."""
    found = text(arn)
    if not ARN.fullmatch(found):
        raise ValueError(f"{found!r} is not the ARN of a database")
    return found


def created_at(point: Mapping[str, Any] | None) -> datetime | None:
    """Return when a restore point was made, None without one. Raises one of `MALFORMED`."""
    at = (point or {}).get("createdAt")
    return utc(at) if at else None


def link_of(value: object) -> Link | None:
    """Return the link in a report or in the ledger; None if there is none."""
    match value:
        case {"key": str(key), "sha256": str(sha256)}:
            return Link(clean_text(key), clean_text(sha256))
        case _:
            return None


def chain_problems(stored: Sequence[Stored], read: Mapping[str, Report], last: Link | None, first: date) -> list[str]:
    """Return what is wrong with the chain of the reports since a day, the newest first; `last` is the ledger's."""
    by_key = {each.key: each for each in stored}
    problems: list[str] = []
    linked: set[str] = set()
    link, by = last, "the ledger"
    left = sorted(by_key, reverse=True)
    if last is None and left:
        problems.append("The ledger names no report: whether the last one is there is not known.")
        link, by = Link(left[0], by_key[left[0]].sha256), "nothing"
    while link and link.key not in linked and (day_of(link.key) or first) >= first:
        linked.add(link.key)
        found, report = by_key.get(link.key), read.get(link.key)
        if found is None:
            problems.append(f"{link.key} is missing: {by} names it.")
        elif found.sha256 != link.sha256:
            problems.append(f"{link.key} was changed: its SHA-256 is not the one that {by} names.")
        by = link.key
        if report:
            link = report.previous
        else:  # Beyond a report that cannot be read the chain goes on at the newest one before it.
            older = next((key for key in left if key < by), None)
            link = Link(older, by_key[older].sha256) if older else None
    return problems + [f"{key} is not linked: no report and no ledger names it." for key in left if key not in linked]


@dataclass(frozen=True)
class Line:
    """The days of one database. A day without a report, or on which it did not exist, has no verdict.

    `points` are the restore points that its reports name; `lacked` is when a report first found none, `last` its last report.
    """

    arn: str
    verdicts: Sequence[str]
    points: Sequence[datetime]
    lacked: datetime | None
    last: datetime

    @property
    def name(self) -> str:
        """Its identifier."""
        return self.arn.split(":", 6)[-1]

    @property
    def place(self) -> str:
        """Its account and region."""
        region, account = self.arn.split(":", 6)[3:5]
        return f"{account} {region}"

    @property
    def asked(self) -> int:
        """On how many days a restore point was asked for."""
        return sum(bool(verdict) and verdict not in NOT_ASKED for verdict in self.verdicts)

    @property
    def protected(self) -> int:
        """On how many days it was protected."""
        return sum(verdict == Verdict.PROTECTED for verdict in self.verdicts)

    @cached_property
    def longest_gap(self) -> float | None:
        """The most hours without a restore point, from the first one or the first report that found none; None without one."""
        points = sorted(set(self.points))
        if not points:
            return None
        times = [*([self.lacked] if self.lacked and self.lacked < points[0] else []), *points, self.last]
        return max((later - earlier).total_seconds() / 3600 for earlier, later in pairwise(times))

    @property
    def runs(self) -> Iterator[tuple[str, int, int]]:
        """Each verdict with its first day, and its number of days, as long as it lasted."""
        at = 0
        for verdict, days in groupby(self.verdicts):
            length = sum(1 for _ in days)
            yield verdict, at, length
            at += length


@dataclass(frozen=True)
class History:
    """The days of a stack's databases, the worst first, and what is wrong with the chain of reports."""

    stack: str
    days: Sequence[date]
    lines: Sequence[Line]
    reports: Mapping[date, str]
    problems: Sequence[str]

    @property
    def without_report(self) -> list[date]:
        """The days without a report, since the first one that has one."""
        first = min(self.reports, default=None)
        return [day for day in self.days if first and day > first and day not in self.reports]

    @property
    def is_ok(self) -> bool:
        """Whether the chain holds."""
        return not self.problems

    def change(self, line: Line) -> str:
        """Return when a database appeared or went, in words."""
        known = [day for day, verdict in zip(self.days, line.verdicts, strict=True) if verdict]
        first, last = min(self.reports), max(self.reports)
        appeared = [f"appeared {known[0]}"] if known and known[0] > first else []
        return ", ".join(appeared + ([f"went after {known[-1]}"] if known and known[-1] < last else []))

    def row(self, line: Line) -> dict[str, Any]:
        """Return a database's row, without its days."""
        gap = line.longest_gap
        return {
            "arn": line.arn,
            "protectedDays": line.protected,
            "askedDays": line.asked,
            "longestGapHours": None if gap is None else round(gap, 1),
            "change": self.change(line),
        }


def last_days(today: date, number: int) -> list[date]:
    """Return the last days, the oldest first."""
    return [today - timedelta(days=back) for back in reversed(range(number))]


def history_of(
    stack: str, stored: Sequence[Stored], last: Link | None, days: Sequence[date], database: str = ""
) -> History:
    """Return the history of all databases, or of those of a name or ARN. Of several reports of a day the last one counts."""
    read: dict[str, Report] = {}
    problems: list[str] = []
    for each in stored:
        try:
            read[each.key] = Report.read(each)
        except CannotRun as error:
            problems.append(str(error))
    problems += chain_problems(stored, read, last, days[0])
    by_day = {report.day: report for report in sorted(read.values(), key=lambda report: report.key)}
    arns = {arn: None for day in days if day in by_day for arn in by_day[day].rows if not arn.endswith(":*")}
    wanted = [arn for arn in arns if not database or database in {arn, arn.split(":", 6)[-1]}]
    lines = [line_of(arn, days, by_day) for arn in wanted]
    lines.sort(key=lambda line: (line.protected - line.asked, line.arn))
    return History(stack, days, lines, {day: report.key for day, report in by_day.items()}, problems)


def line_of(arn: str, days: Sequence[date], by_day: Mapping[date, Report]) -> Line:
    """Return the days of a database; it is unreadable where its account and region could not be listed."""
    place = f"{':'.join(arn.split(':')[:5])}:*"
    reports = [by_day.get(day) for day in days]
    own = [report.rows.get(arn) if report else None for report in reports]
    # Before its first row it did not exist, also while its place could not be listed.
    first = next(number for number, row in enumerate(own) if row)
    rows = [
        row or (report.rows.get(place) if report and number > first else None)
        for number, (row, report) in enumerate(zip(own, reports, strict=True))
    ]
    read = [(report.at, *row) for report, row in zip(reports, own, strict=True) if report and row]
    lacked = next((at for at, verdict, point in read if verdict in CERTAIN and not point), None)
    points = [point for _, _, point in read if point]
    return Line(arn, [row[0] if row else "" for row in rows], points, lacked, read[-1][0])
