"""The audit's findings: from the preflight's failed checks, the verdicts and the submissions that are stuck. Pure.

Each finding answers a question. If a question could not be asked, a finding has the code of the problem, and the
findings that were known of that question still stand.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rds_snap_backup.audit.checks import HINTS, SERVER, Check
from rds_snap_backup.audit.coverage import Candidate
from rds_snap_backup.audit.documents import UNKNOWN, names_of
from rds_snap_backup.audit.verdicts import EXCLUDE_TAG, STALE_HINT, Ages, DatabaseVerdict, Verdict
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Place, Resource
from rds_snap_backup.rds.members import Listing
from rds_snap_backup.untrusted import clean_text

type Question = Literal[
    "asking",
    "token",
    "targets",
    "names",
    "overlap",
    "listeners",
    "events",
    "freshness",
    "stuck",
    "coverage",
    "quota",
    "rate",
]

# The order in which findings are shown: a message has room for the first ones.
ORDER: Sequence[Question] = get_args(Question.__value__)

CREDENTIALS: Question = "token"
QUESTION_OF_CHECK: Mapping[str, Question] = {
    "configuration": CREDENTIALS,
    "secret": CREDENTIALS,
    "reach": CREDENTIALS,
    "token": CREDENTIALS,
    "renewal": CREDENTIALS,
    "targets": "targets",
    "document": "targets",
    "association": "names",
    "last_backup": "freshness",
    "listeners": "listeners",
    "alarm_listeners": "listeners",
}
# In words, for questions that could not be asked.
WORDS: Mapping[Question, str] = {
    CREDENTIALS: "whether Commvault accepts the token",
    "targets": "whether the targets' documents are valid",
    "names": "whether Commvault has what the targets name",
    "freshness": "whether the last backups are recent",
    "listeners": "whether anybody receives the messages",
    "overlap": "whether targets repeat each other's associations",
    "events": "whether a member has undelivered events",
    "coverage": "which databases no target covers",
    "quota": "whether the snapshot quota is nearly used",
    "rate": "whether submissions waited for Commvault's rate limit",
    "stuck": "which submissions are stuck, and to send their messages again",
}
QUOTA_SHARE = 0.9
QUOTA_HINT = (
    "Shorten the retention of Commvault's snap copies, delete manual snapshots that nobody needs, or raise the quota of "
    "manual snapshots in Service Quotas."
)
WAITING_HINT = (
    "Check that MembersBusArn of the member's stack is this stack's output, and what the messages of the member's queue "
    "STACK-members-dead name; then delete them, and start the targets of the databases that they name by hand."
)
UNCOVERED_HINT = (
    "Name the database in `databases` of the association that backs it up, or use its name as the instanceName of one. "
    f"If it needs no backup, tag it {EXCLUDE_TAG} = true."
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `about` distinguishes it from others of the same code and place."""

    question: Question
    code: str
    message: str
    hint: str
    target: str | None = None
    database: Resource | None = None
    about: str = ""
    at: Place | None = None

    @property
    def place(self) -> Place | None:
        """The account and region that it is about."""
        return self.database.place if self.database else self.at

    @property
    def group(self) -> str:
        """The question, and the place if it is asked in each."""
        return group_of(self.question, self.place)

    @property
    def key(self) -> str:
        """The same text as long as the finding lasts: it does not depend on the message."""
        arn = self.database.arn if self.database else str(self.at or "")
        text = "\n".join((self.code, self.target or "", arn, self.about))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the form that is published and returned."""
        place = self.place
        return {
            "code": self.code,
            "target": None if self.target is None else clean_text(self.target),
            "database": self.database.name if self.database else None,
            "account": place.account if place else None,
            "region": place.region if place else None,
            "message": clean_text(self.message),
            "hint": clean_text(self.hint),
        }


def group_of(question: Question, place: Place | None = None) -> str:
    """Return the name under which the answers to a question are kept: of each place apart."""
    return f"{question}@{place}" if place else question


@dataclass(frozen=True)
class Unasked:
    """A question that could not be asked, or not completely, because of a problem; `at`: only in this place."""

    question: Question
    problem: Problem
    at: Place | None = None

    @property
    def group(self) -> str:
        """The answers that still stand."""
        return group_of(self.question, self.at)


def of_checks(checks: Iterable[Check]) -> list[Finding]:
    """Return the findings of failed checks: one per target for all names that Commvault does not have.

    Ages are judged by `of_verdicts`, which knows the databases too.
    """
    found: list[Finding] = []
    unknown: dict[str | None, list[Check]] = {}
    for check in checks:
        if check.code == UNKNOWN:
            unknown.setdefault(check.target, []).append(check)
        elif check.code and QUESTION_OF_CHECK[check.name] != "freshness":
            about = check.name if check.name == "alarm_listeners" else ""
            found.append(
                Finding(
                    QUESTION_OF_CHECK[check.name], check.code, check.detail, check.hint or "", check.target, about=about
                )
            )
    for target, missing in unknown.items():
        more = f" {len(missing) - 1} more of its associations are unknown, too." if len(missing) > 1 else ""
        message = clean_text(missing[0].detail, 400) + more
        found.append(Finding("names", UNKNOWN, message, missing[0].hint or "", target))
    return found


def of_verdicts(databases: Iterable[DatabaseVerdict], required: Iterable[Verdict]) -> list[Finding]:
    """Return the findings in the verdicts on databases, and on associations that no database is known for."""
    found: list[Finding] = []
    for row in databases:
        resource, verdict = row.database.resource, row.verdict
        match verdict.name:
            case "uncovered":
                message = f"The RDS {resource.kind} {resource.name!r} ({resource.engine}): {verdict.reason}"
                found.append(Finding("coverage", "DATABASE_UNCOVERED", message, UNCOVERED_HINT, database=resource))
            case "stale":
                found.append(_stale(verdict, resource))
    return [*found, *(_stale(verdict) for verdict in required if verdict.name == "stale")]


def _stale(verdict: Verdict, database: Resource | None = None) -> Finding:
    backup = verdict.backup
    target = backup.target.name if backup and backup.target else None
    about, names = (backup.key, names_of(backup.association)) if backup else ("", "")
    message = f"{names}: {verdict.reason}"
    return Finding("freshness", "BACKUP_STALE", message, STALE_HINT, target, database, about)


def of_overlaps(associations: Iterable[Candidate], ages: Ages) -> list[Finding]:
    """Return a finding for each scheduled target that repeats associations of another one."""
    first: dict[str, str] = {}
    repeated: dict[tuple[str, str], list[str]] = {}
    for association in associations:
        if association.target and ages.is_required(association.target):
            owner = first.setdefault(association.key, association.target.name)
            if owner != association.target.name:
                repeated.setdefault((association.target.name, owner), []).append(names_of(association.association))
    return [
        Finding(
            "overlap",
            "TARGETS_OVERLAP",
            f"It repeats {len(names)} associations of the target {owner!r}, such as {names[0]}: each is backed up twice.",
            "Take the association out of one of the two documents.",
            target,
            about=owner,
        )
        for (target, owner), names in repeated.items()
    ]


def of_places(listings: Mapping[Place, Listing], home: Place) -> list[Finding]:
    """Return the findings about places as a whole: unreadable ones, undelivered events, and quotas nearly used up."""
    found: list[Finding] = []
    for place, listing in listings.items():
        parts = {"databases": listing.resources, "quotas": listing.quotas, "undelivered events": listing.waiting}
        unread = {name: part for name, part in parts.items() if isinstance(part, Problem)}
        if unread:
            problem = next(iter(unread.values()))
            code = "ACCOUNT_UNREADABLE" if place == home else "MEMBER_UNREADABLE"
            message = f"Its {', '.join(unread)} cannot be read: {problem.message}"
            found.append(Finding("asking", code, message, problem.hint, at=place))
        if isinstance(listing.waiting, int) and listing.waiting:
            message = f"{listing.waiting} RDS events could not be delivered from there to this stack's bus."
            found.append(Finding("events", "MEMBER_EVENTS_WAITING", message, WAITING_HINT, at=place))
        for quota in listing.quotas if isinstance(listing.quotas, list) else ():
            if quota.limit and quota.used >= QUOTA_SHARE * quota.limit:
                message = f"{quota.used} of {quota.limit} manual snapshots are used ({quota.name}); at the limit backups fail."
                found.append(Finding("quota", "SNAPSHOT_QUOTA", message, QUOTA_HINT, about=quota.name, at=place))
    return found


def unasked_at(listings: Mapping[Place, Listing]) -> list[Unasked]:
    """Return the questions that could not be asked in places."""
    found: list[Unasked] = []
    for place, listing in listings.items():
        parts: dict[Question, object] = {
            "coverage": listing.resources,
            "freshness": listing.resources,
            "quota": listing.quotas,
            "events": listing.waiting,
        }
        found += [Unasked(name, part, place) for name, part in parts.items() if isinstance(part, Problem)]
    return found


def unasked_in(checks: Iterable[Check]) -> list[Unasked]:
    """Return the questions of checks that were not made."""
    return [
        Unasked(QUESTION_OF_CHECK[check.name], check.cause) for check in checks if not check.is_made and check.cause
    ]


def of_unasked(unasked: Iterable[Unasked], checks: Sequence[Check]) -> list[Finding]:
    """Return a finding for each problem that kept questions from being asked, unless it is a failed check's."""
    failures = [(check.code, check.cause) for check in checks if check.code and check.cause]
    known = {(code, cause.message) for own, cause in failures for code in (own, cause.code)}
    by_problem: dict[tuple[str, str], list[Unasked]] = {}
    for entry in unasked:
        problem = (entry.problem.code, entry.problem.message)
        if problem not in known:
            by_problem.setdefault(problem, []).append(entry)
    found: list[Finding] = []
    for (code, reason), entries in by_problem.items():
        questions = sorted({entry.question for entry in entries})
        message = f"Not asked, or not of all: {', '.join(WORDS[question] for question in questions)}. {reason}"
        found.append(
            Finding(
                "asking", code, message, HINTS.get(code, entries[0].problem.hint or SERVER), about=",".join(questions)
            )
        )
    return found
