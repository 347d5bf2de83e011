"""The audit's findings: from the preflight's failed checks, the verdicts and the submissions that are stuck. Pure.

Each finding answers a question. If a question could not be asked, a finding has the code of the problem, and the
findings that were known of that question still stand.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rds_snap_backup.audit.checks import HINTS, SERVER, Check
from rds_snap_backup.audit.coverage import EXCLUDE_TAG, names_of
from rds_snap_backup.audit.documents import UNKNOWN
from rds_snap_backup.audit.verdicts import Judge, Verdict
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Place, Resource
from rds_snap_backup.rds.members import Listing
from rds_snap_backup.targets import Target
from rds_snap_backup.untrusted import clean_text

type Question = Literal[
    "asking",
    "token",
    "targets",
    "names",
    "overlap",
    "empty",
    "listeners",
    "events",
    "freshness",
    "stuck",
    "coverage",
    "quota",
    "rate",
    "report",
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
    "listeners": "listeners",
    "alarm_listeners": "listeners",
}
# In words, for questions that could not be asked.
WORDS: Mapping[Question, str] = {
    CREDENTIALS: "whether Commvault accepts the token",
    "targets": "whether the targets' documents are valid",
    "names": "whether Commvault has what the targets name",
    "freshness": "whether the last restore points are recent",
    "listeners": "whether anybody receives the messages",
    "overlap": "whether targets repeat each other's associations",
    "empty": "whether the targets' groups select a database",
    "events": "whether a member has undelivered events",
    "coverage": "which databases the instance groups select",
    "quota": "whether the snapshot quota is nearly used",
    "rate": "the results of triggers and jobs, and whether submissions waited for Commvault's rate limit",
    "report": "whether the report was written",
    "stuck": "which submissions are stuck, and to send their messages again",
}
QUOTA_SHARE = 0.9
MAX_NAMED = 3
QUOTA_HINT = (
    "Shorten the retention of Commvault's snap copies, delete manual snapshots that nobody needs, or raise the quota of "
    "manual snapshots in Service Quotas."
)
WAITING_HINT = (
    "Check that MembersBusArn of the member's stack is this stack's output, and what the messages of the member's queue "
    "HUB-members-dead name; then delete them, and start the targets of the databases that they name by hand."
)
UNCOVERED_HINT = (
    "Add it to the content of an instance group in Commvault, by its name, its region or a rule. Then start "
    f"the group. If it needs no backup, tag it {EXCLUDE_TAG} = true."
)
STALE_HINT = (
    "Look at the group's last job in Commvault, and whether the database was available then; start the group again. If "
    "its restore points may be older, set maxAgeHours in the target."
)
AMBIGUOUS_HINT = (
    'Name the account in "accounts" of the target that names the group. A content that is not understood: select the '
    "database by its name, its region or a plain rule."
)
UNPROVEN_HINT = (
    "Let the token's user browse the restore points of the instances in Commvault, and let the audit's role read manual "
    "snapshots: deploy member.yaml again."
)
EMPTY_HINT = (
    "The databases were renamed or deleted. Correct the group's content in Commvault, or take the association out of the "
    "target."
)
REPORT_HINT = (
    "Let the audit's role (the output AuditRoleArn) put and get objects in the bucket ReportBucketName below "
    "rds-snap-backup/, and use the bucket's key. The next audit writes the next report."
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
    """Return the findings of failed checks: one per target for all names that Commvault does not have."""
    found: list[Finding] = []
    unknown: dict[str | None, list[Check]] = {}
    for check in checks:
        if check.code == UNKNOWN:
            unknown.setdefault(check.target, []).append(check)
        elif check.code:
            question = QUESTION_OF_CHECK[check.name]
            about = check.name if check.name == "alarm_listeners" else ""
            found.append(Finding(question, check.code, check.detail, check.hint or "", check.target, about=about))
    for target, missing in unknown.items():
        more = f" {len(missing) - 1} more of its associations are unknown, too." if len(missing) > 1 else ""
        message = clean_text(missing[0].detail, 400) + more
        found.append(Finding("names", UNKNOWN, message, missing[0].hint or "", target))
    return found


def of_verdicts(verdicts: Iterable[Verdict], naming: Mapping[str, Sequence[Target]]) -> list[Finding]:
    """Return the findings in the verdicts on databases; `naming` are the targets that name a group, by its key."""
    found: list[Finding] = []
    unproven: list[Verdict] = []
    for verdict in verdicts:
        resource = verdict.database.resource
        message = f"The RDS {resource.kind} {resource.name!r} ({resource.engine}): {verdict.reason}"
        match verdict.name:
            case "uncovered":
                found.append(Finding("coverage", "DATABASE_UNCOVERED", message, UNCOVERED_HINT, database=resource))
            case "ambiguous":
                found.append(Finding("coverage", "DATABASE_AMBIGUOUS", message, AMBIGUOUS_HINT, database=resource))
            case "stale":
                targets = (target for group in verdict.coverage.certain for target in naming.get(group.key, ()))
                target = next((target.name for target in targets), None)
                found.append(Finding("freshness", "BACKUP_STALE", message, STALE_HINT, target, resource))
            case "unproven":
                unproven.append(verdict)
    if unproven:
        shown = ", ".join(verdict.database.resource.name for verdict in unproven[:MAX_NAMED])
        more = f" and {len(unproven) - MAX_NAMED} more" if len(unproven) > MAX_NAMED else ""
        message = f"Jobs completed for {shown}{more}, and no restore point proves it: {unproven[0].reason}"
        found.append(Finding("freshness", "BACKUP_UNPROVEN", message, UNPROVEN_HINT))
    return found


def of_empty_groups(targets: Iterable[Target], judge: Judge) -> list[Finding]:
    """Return a finding for each association whose group selects no database that exists."""
    return [
        Finding(
            "empty",
            "GROUP_EMPTY",
            f"{names_of(association)} selects no database that exists: {judge.group_of[association.names].content}.",
            EMPTY_HINT,
            target.name,
            about=association.key,
        )
        for target in targets
        for association in target.request.associations
        if judge.is_empty(association)
    ]


def of_overlaps(targets: Iterable[Target], scheduled: Collection[str]) -> list[Finding]:
    """Return a finding for each target that repeats associations of another one.

    Only targets that must have recent backups count: those that are `scheduled`, and those with `maxAgeHours`.
    """
    first: dict[str, str] = {}
    repeated: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        if target.max_age_hours is None and target.name not in scheduled:
            continue
        for association in target.request.associations:
            owner = first.setdefault(association.key, target.name)
            if owner != target.name:
                repeated.setdefault((target.name, owner), []).append(names_of(association))
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


def of_places(
    listings: Mapping[Place, Listing], home: Place, unread_snapshots: Mapping[Place, Problem]
) -> list[Finding]:
    """Return the findings about places as a whole: unreadable ones, undelivered events, and quotas nearly used up."""
    found: list[Finding] = []
    for place, listing in listings.items():
        parts = {
            "databases": listing.resources,
            "quotas": listing.quotas,
            "undelivered events": listing.waiting,
            "snapshots": unread_snapshots.get(place),
        }
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
            "empty": listing.resources,
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


def of_report(bucket: str, problem: Problem) -> Finding:
    """Return the finding that a report could not be written to its bucket."""
    message = f"The report could not be written to the bucket {bucket}: {problem.message}"
    return Finding("report", "REPORT_NOT_WRITTEN", message, REPORT_HINT)
