"""What an audit found: the preflight's failed rows as findings, and what could not be asked. Pure.

Each finding answers a question. Where a question could not be asked, a finding says so with the code of what prevented it,
so that silence is never taken for good news; and what was known of that question before still stands.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rds_snap_backup.audit.documents import UNKNOWN
from rds_snap_backup.audit.report import HINTS, SERVER, Row
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

type Question = Literal[
    "asking", "token", "targets", "names", "listeners", "freshness", "stuck", "coverage", "snapshots"
]

# In which findings are shown: a message has room for the first ones.
ORDER: Sequence[Question] = get_args(Question.__value__)

# What each of the preflight's rows is about.
QUESTIONS: Mapping[str, Question] = {
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
}
# In words, for what could not be asked.
ABOUT: Mapping[Question, str] = {
    "token": "whether Commvault accepts the token",  # nosec B105 # a name
    "targets": "whether the targets' documents are valid",
    "names": "whether Commvault has what the targets name",
    "freshness": "whether the last backups are recent",
    "listeners": "whether anybody receives the messages",
    "coverage": "which databases no target covers",
    "stuck": "which submissions are stuck, and to wake them",
    "snapshots": "which snapshots RDS shows",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `about` distinguishes it from others of the same code, target and database."""

    question: Question
    code: str
    target: str | None
    database: str | None
    message: str
    hint: str
    about: str = ""

    @property
    def key(self) -> str:
        """What the ledger remembers it by: the same as long as it lasts, whatever its message says of times."""
        text = "\n".join((self.code, self.target or "", self.database or "", self.about))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the form that is published and returned."""
        return {
            "code": self.code,
            "target": None if self.target is None else clean_text(self.target),
            "database": self.database,
            "message": clean_text(self.message),
            "hint": clean_text(self.hint),
        }


@dataclass(frozen=True)
class Unasked:
    """A question that a problem kept from being asked, or from being asked whole."""

    question: Question
    problem: Problem

    @property
    def hint(self) -> str:
        """What to do about it."""
        return HINTS.get(self.problem.code, SERVER)


def findings_of(rows: Iterable[Row]) -> list[Finding]:
    """Return the findings in the preflight's rows; of a target's names that Commvault does not have, one for all."""
    found: list[Finding] = []
    unknown: dict[str | None, list[Row]] = {}
    for row in rows:
        if row.code == UNKNOWN:
            unknown.setdefault(row.target, []).append(row)
        elif row.code:
            found.append(Finding(QUESTIONS[row.name], row.code, row.target, None, row.detail, row.hint or ""))
    for target, missing in unknown.items():
        more = f" {len(missing) - 1} more of its associations are unknown, too." if len(missing) > 1 else ""
        message = clean_text(missing[0].detail, 400) + more
        found.append(Finding("names", UNKNOWN, target, None, message, missing[0].hint or ""))
    return found


def unasked_in(rows: Iterable[Row]) -> list[Unasked]:
    """Return what was not checked, and why."""
    return [Unasked(QUESTIONS[row.name], row.cause) for row in rows if not row.is_checked and row.cause]


def findings_of_unasked(unasked: Iterable[Unasked], rows: Sequence[Row]) -> list[Finding]:
    """Return a finding for each problem that kept something from being asked, unless it is a finding by itself."""
    known = {(row.cause.code, row.cause.message) for row in rows if row.code and row.cause}
    by_problem: dict[tuple[str, str], list[Unasked]] = {}
    for one in unasked:
        same = (one.problem.code, one.problem.message)
        if same not in known:
            by_problem.setdefault(same, []).append(one)
    found: list[Finding] = []
    for (code, reason), prevented in by_problem.items():
        questions = sorted({one.question for one in prevented})
        what = ", ".join(ABOUT[question] for question in questions)
        message = f"Not asked, or not of all: {what}. {reason}"
        found.append(Finding("asking", code, None, None, message, prevented[0].hint, ",".join(questions)))
    return found
