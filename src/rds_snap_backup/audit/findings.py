"""The audit's findings: from the preflight's failed checks, the verdicts and the submissions that are stuck. Pure.

Each finding answers a question. If a question could not be asked, a finding has the code of the problem, and the
findings that were known of that question still stand.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rds_snap_backup.audit.checks import HINTS, SERVER, Check
from rds_snap_backup.audit.documents import UNKNOWN, names_of
from rds_snap_backup.audit.verdicts import EXCLUDE_TAG, STALE_HINT, DatabaseVerdict, Verdict
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Resource
from rds_snap_backup.untrusted import clean_text

type Question = Literal["asking", "token", "targets", "names", "listeners", "freshness", "stuck", "coverage"]

# The order in which findings are shown: a message has room for the first ones.
ORDER: Sequence[Question] = get_args(Question.__value__)

QUESTION_OF_CHECK: Mapping[str, Question] = {
    "configuration": "token",
    "secret": "token",  # nosec B105 # a name
    "reach": "token",
    "token": "token",  # nosec B105 # a name
    "renewal": "token",
    "targets": "targets",
    "document": "targets",
    "association": "names",
    "last_backup": "freshness",
    "listeners": "listeners",
    "alarm_listeners": "listeners",
}
# In words, for questions that could not be asked.
WORDS: Mapping[Question, str] = {
    "token": "whether Commvault accepts the token",  # nosec B105 # a name
    "targets": "whether the targets' documents are valid",
    "names": "whether Commvault has what the targets name",
    "freshness": "whether the last backups are recent",
    "listeners": "whether anybody receives the messages",
    "coverage": "which databases no target covers",
    "stuck": "which submissions are stuck, and to send their messages again",
}
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

    @property
    def key(self) -> str:
        """The same text as long as the finding lasts: it does not depend on the message."""
        arn = self.database.arn if self.database else ""
        text = "\n".join((self.code, self.target or "", arn, self.about))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the form that is published and returned."""
        database = self.database
        return {
            "code": self.code,
            "target": None if self.target is None else clean_text(self.target),
            "database": database.name if database else None,
            "account": database.account if database else None,
            "region": database.region if database else None,
            "message": clean_text(self.message),
            "hint": clean_text(self.hint),
        }


@dataclass(frozen=True)
class Unasked:
    """A question that could not be asked, or not completely, because of a problem."""

    question: Question
    problem: Problem


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
    target, about, names = (backup.target.name, backup.key, names_of(backup.association)) if backup else (None, "", "")
    message = f"{names}: {verdict.reason}"
    return Finding("freshness", "BACKUP_STALE", message, STALE_HINT, target, database, about)


def unasked_in(checks: Iterable[Check]) -> list[Unasked]:
    """Return the questions of checks that were not made."""
    return [
        Unasked(QUESTION_OF_CHECK[check.name], check.cause) for check in checks if not check.is_made and check.cause
    ]


def of_unasked(unasked: Iterable[Unasked], checks: Sequence[Check]) -> list[Finding]:
    """Return a finding for each problem that kept questions from being asked, unless it is a failed check's."""
    known = {(check.cause.code, check.cause.message) for check in checks if check.code and check.cause}
    by_problem: dict[tuple[str, str], list[Unasked]] = {}
    for entry in unasked:
        problem = (entry.problem.code, entry.problem.message)
        if problem not in known:
            by_problem.setdefault(problem, []).append(entry)
    found: list[Finding] = []
    for (code, reason), entries in by_problem.items():
        questions = sorted({entry.question for entry in entries})
        message = f"Not asked, or not of all: {', '.join(WORDS[question] for question in questions)}. {reason}"
        found.append(Finding("asking", code, message, HINTS.get(code, SERVER), about=",".join(questions)))
    return found
