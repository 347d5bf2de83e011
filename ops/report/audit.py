"""The audit: how it is asked for, and what its answer says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ops.functions import AUDIT, invoke
from ops.report.values import flag, number, optional_text, optional_time, text, time
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

COUNTS = ("databases", "covered", "uncovered", "excluded", "targets", "stale", "stuck", "findings")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and what to do about it; `target` and `database` are empty where it is not about one."""

    code: str
    target: str
    database: str
    message: str
    hint: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a finding of the answer."""
        about = optional_text(one["target"]), optional_text(one["database"])
        return cls(text(one["code"]), *about, text(one["message"]), text(one["hint"]))

    @property
    def about(self) -> str:
        """What it is about; empty where it is the stack."""
        return " / ".join(filter(None, (self.target, self.database)))


@dataclass(frozen=True, slots=True)
class Completed:
    """A backup that completed."""

    at: datetime
    target: str
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A manual snapshot that RDS shows."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Database:
    """An RDS instance or cluster; `targets` are those that select it, each with why."""

    name: str
    arn: str
    kind: str
    engine: str
    targets: tuple[tuple[str, str], ...]
    last_completed: Completed | None
    newest_snapshot: Snapshot | None
    verdict: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a database of the answer."""
        targets = tuple((text(target["name"]), text(target["reason"])) for target in one["targets"])
        completed = snapshot = None
        if last := one["lastCompleted"]:
            completed = Completed(time(last["at"]), text(last["target"]), tuple(text(job) for job in last["jobIds"]))
        if newest := one["newestSnapshot"]:
            snapshot = Snapshot(text(newest["name"]), time(newest["at"]))
        return cls(
            text(one["name"]),
            text(one["arn"]),
            text(one["kind"]),
            text(one["engine"]),
            targets,
            completed,
            snapshot,
            text(one["verdict"]),
        )

    @property
    def selected_by(self) -> list[str]:
        """The targets that select it, each with why."""
        return [f"{name} ({reason})" for name, reason in self.targets]


@dataclass(frozen=True, slots=True)
class Target:
    """A target; `max_age_hours` is None where its freshness is not asked about."""

    name: str
    max_age_hours: int | None
    last_submitted: datetime | None
    last_completed: datetime | None
    jobs: tuple[str, ...]
    verdict: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a target of the answer."""
        hours = one["maxAgeHours"]
        return cls(
            text(one["name"]),
            None if hours is None else number(hours),
            optional_time(one["lastSubmittedAt"]),
            optional_time(one["lastCompletedAt"]),
            tuple(text(job) for job in one["jobIds"]),
            text(one["verdict"]),
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """What the Audit function found."""

    is_ok: bool
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    databases: tuple[Database, ...]
    targets: tuple[Target, ...]

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Self:
        """Read the answer; raise `CannotRun` where it is of another form."""
        try:
            return cls(
                flag(answer["ok"]),
                {name: number(answer["counts"][name]) for name in COUNTS},
                tuple(Finding.read(one) for one in answer["findings"]),
                tuple(Database.read(one) for one in answer["databases"]),
                tuple(Target.read(one) for one in answer["targets"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CannotRun(
                f"its audit's answer has another form than this command reads ({type(error).__name__}: {error}). Use "
                "the command of the version that is deployed, or update the stack with `make deploy`."
            ) from error

    @property
    def omissions(self) -> list[str]:
        """What the counts have and the lists do not: an answer of a function holds a limited number of rows."""
        lists = {"findings": self.findings, "targets": self.targets, "databases": self.databases}
        missing = ((name, self.counts[name] - len(rows)) for name, rows in lists.items())
        return [
            f"{count} of {self.counts[name]} {name} are left out: the audit's answer has no room for more."
            for name, count in missing
            if count > 0
        ]

    @property
    def verdict(self) -> str:
        """The audit in a few words."""
        match self.counts["findings"]:
            case 0:
                return "no findings"
            case 1:
                return "1 finding"
            case count:
                return f"{count} findings"


def ask(stack: DeployedStack) -> Mapping[str, Any]:
    """Invoke the stack's Audit function with `{"audit": true}`, which publishes nothing, and return its answer."""
    match payload := invoke(stack, AUDIT, {"audit": True}, attempts=1):
        case {"status": "audit", "ok": bool()}:
            found: dict[str, Any] = payload
            return found
        case _:
            name = stack.output(AUDIT)
            raise CannotRun(f"{name} returned no audit: {one_line(json.dumps(payload))} See its log.")
