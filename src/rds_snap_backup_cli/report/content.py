"""The answer of the Audit function as rows for people, with the answer's own names."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.output import Row, cell, counted

VERDICTS = ("protected", "stale", "new", "uncovered", "excluded", "unreadable")
COUNTS = ("databases", *VERDICTS, "places", "targets", "stuck", "findings", "commvaultCalls")
STARTERS = {"stack": "this stack", "commvault": "Commvault"}


@dataclass(frozen=True)
class Content:
    """The audit of one stack."""

    is_ok: bool
    counts: Mapping[str, int]
    findings: list[Row]
    databases: list[Row]
    since: str

    @classmethod
    def read(cls, answer: Any) -> Self:
        """Read the answer. Raises `CannotRun` if it has another form."""
        try:
            return cls(
                answer["ok"] is True,
                {name: number(answer["counts"][name]) for name in COUNTS},
                list(map(finding, answer["findings"])),
                list(map(database, answer["databases"])),
                digest(answer["since"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CannotRun(
                f"the audit's answer has another form than this command reads ({type(error).__name__}: {error}). Use the "
                "command of the stack's version."
            ) from None

    @property
    def omissions(self) -> list[str]:
        """How many rows the lists lack: an answer has a limited number of findings, and databases can change meanwhile."""
        lists = {"findings": self.findings, "databases": self.databases}
        missing = ((name, self.counts[name] - len(rows)) for name, rows in lists.items())
        return [
            f"{count} of {self.counts[name]} {name} are left out: the audit's answer does not have them."
            for name, count in missing
            if count > 0
        ]

    @property
    def summary(self) -> str:
        """The counts in words."""
        databases = "RDS shows no database here"
        if self.counts["databases"]:
            verdicts = ", ".join(f"{self.counts[name]} {name}" for name in VERDICTS if self.counts[name])
            databases = f"{counted(self.counts['databases'], 'database')} ({verdicts})"
        places = "" if self.counts["places"] == 1 else f" in {self.counts['places']} accounts and regions"
        return f"{databases}{places}; {counted(self.counts['targets'], 'target')}, {self.counts['stuck']} stuck submissions"

    @property
    def verdict(self) -> str:
        """The audit in a few words."""
        return counted(self.counts["findings"], "finding")

    @property
    def accounts(self) -> list[str]:
        """The accounts that rows name."""
        return sorted({row["account"] for row in [*self.databases, *self.findings]} - {""})


def finding(one: Mapping[str, Any]) -> Row:
    """Return a finding's row; `about` is empty if it is the stack."""
    row = {name: text(one.get(name)) for name in ("target", "database", "account", "region")}
    about = " / ".join(filter(None, (row["target"], row["database"])))
    return {**row, "about": about, **{name: text(one[name]) for name in ("code", "message", "hint")}}


def database(one: Mapping[str, Any]) -> Row:
    """Return a database's row, with its last completed backup.

    An ARN is `arn:PARTITION:rds:REGION:ACCOUNT:KIND:NAME`.
    """
    row = {name: text(one[name]) for name in ("arn", "verdict", "subclient", "jobId", "startedAt", "by", "reason")}
    region, account, kind, name = [*row["arn"].split(":", 6), *[""] * 7][3:7]
    job = f"job {row['jobId']}" if row["jobId"] else ""
    starter = f"by {STARTERS.get(row['by'], row['by'])}" if row["by"] else ""
    return {
        **row,
        "database": name or row["arn"],
        "account": account,
        "region": region,
        "isCluster": kind == "cluster",
        "started": minute(row["startedAt"]) if row["startedAt"] else "",
        "job": ", ".join(filter(None, (job, starter))),
    }


def digest(since: Mapping[str, Any]) -> str:
    """Return the digest as a sentence: what was submitted since the last daily audit, and Commvault's jobs."""
    parts = [counted(number(since["submissions"]), "submission")]
    for name, title in (("backups", "backups"), ("jobs", "jobs in Commvault")):
        states = {state.replace("_", " "): number(count) for state, count in since[name].items()}
        parts.append(f"{title}: {cell({state: count for state, count in states.items() if count}) or 'none'}")
    return f"Since {minute(text(since['time']))} UTC: {'; '.join(parts)}."


def minute(at: str) -> str:
    """Return an ISO 8601 time in UTC, to the minute. Raises `ValueError`."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M}"


def text(value: object) -> str:
    """Return a text of the answer on one line; null is empty. Raises `TypeError`."""
    if not isinstance(value, str | None):
        raise TypeError(f"{value!r} is not a text")
    return clean_text(value or "")


def number(value: object) -> int:
    """Return a count of the answer. Raises `TypeError`."""
    found = whole_number(value, 0) if isinstance(value, int) else None
    if found is None:
        raise TypeError(f"{value!r} is not a whole number")
    return found
