"""The audit: how it is asked for, and its answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ops.functions import AUDIT, invoke
from ops.report.values import flag, number, optional_text, optional_time, text
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

VERDICTS = ("protected", "stale", "new", "uncovered", "excluded", "unreadable")
COUNTS = ("databases", *VERDICTS, "targets", "stuck", "findings")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and what to do about it; `about` is empty where it is the stack."""

    code: str
    about: str
    message: str
    hint: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a finding of the answer."""
        about = [optional_text(one.get(name)) for name in ("target", "database", "account", "region")]
        return cls(text(one["code"]), " / ".join(filter(None, about)), text(one["message"]), text(one["hint"]))


@dataclass(frozen=True, slots=True)
class Database:
    """An RDS instance or cluster, with its last completed backup; what is not known is empty."""

    arn: str
    verdict: str
    subclient: str
    job: str
    started: datetime | None
    by: str
    reason: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a database of the answer."""
        return cls(
            text(one["arn"]),
            text(one["verdict"]),
            optional_text(one["subclient"]),
            optional_text(one["jobId"]),
            optional_time(one["startedAt"]),
            optional_text(one["by"]),
            optional_text(one["reason"]),
        )

    @property
    def name(self) -> str:
        """Its identifier: the end of `arn:PARTITION:rds:REGION:ACCOUNT:KIND:NAME`."""
        return self.arn.split(":", 6)[-1]

    @property
    def place(self) -> str:
        """Its account and region."""
        region, account = [*self.arn.split(":"), *[""] * 5][3:5]
        return f"{account} {region}"

    @property
    def is_cluster(self) -> bool:
        """Tell whether it is a cluster."""
        return ":cluster:" in self.arn


@dataclass(frozen=True, slots=True)
class Audit:
    """What the Audit function found."""

    is_ok: bool
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    databases: tuple[Database, ...]

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Self:
        """Read the answer; raise `CannotRun` where it is of another form."""
        try:
            return cls(
                flag(answer["ok"]),
                {name: number(answer["counts"][name]) for name in COUNTS},
                tuple(Finding.read(one) for one in answer["findings"]),
                tuple(Database.read(one) for one in answer["databases"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CannotRun(
                f"its audit's answer has another form than this command reads ({type(error).__name__}: {error}). Use "
                "the command of the version that is deployed, or update the stack with `make deploy`."
            ) from error

    @property
    def omissions(self) -> list[str]:
        """What the counts have and the lists do not: an answer of a function holds a limited number of rows."""
        lists = {"findings": self.findings, "databases": self.databases}
        missing = ((name, self.counts[name] - len(rows)) for name, rows in lists.items())
        return [
            f"{count} of {self.counts[name]} {name} are left out: the audit's answer has no room for more."
            for name, count in missing
            if count > 0
        ]

    @property
    def summary(self) -> str:
        """The counts in words."""
        verdicts = ", ".join(f"{self.counts[name]} {name}" for name in VERDICTS if self.counts[name])
        databases = f"databases {self.counts['databases']}" + (f" ({verdicts})" if verdicts else "")
        return f"{databases}, targets {self.counts['targets']}, stuck submissions {self.counts['stuck']}"

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
