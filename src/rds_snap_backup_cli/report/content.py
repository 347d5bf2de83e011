"""What the Audit function found, read from its answer: rows for people, with the answer's own names."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.output import Row, counted

VERDICTS = ("protected", "stale", "new", "uncovered", "excluded", "unreadable")
COUNTS = ("databases", *VERDICTS, "targets", "stuck", "findings")


@dataclass(frozen=True)
class Content:
    """The audit of one stack."""

    is_ok: bool
    counts: Mapping[str, int]
    findings: list[Row]
    databases: list[Row]

    @classmethod
    def read(cls, answer: Any) -> Self:
        """Read the answer. Raises `CannotRun` if it has another form."""
        try:
            return cls(
                answer["ok"] is True,
                {name: number(answer["counts"][name]) for name in COUNTS},
                list(map(finding, answer["findings"])),
                list(map(database, answer["databases"])),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CannotRun(
                f"the audit's answer has another form than this command reads ({type(error).__name__}: {error}). Use the "
                "command of the stack's version."
            ) from None

    @property
    def omissions(self) -> list[str]:
        """What the counts have and the lists do not: a function's answer holds a limited number of rows."""
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
        databases = "RDS shows no database here"
        if self.counts["databases"]:
            verdicts = ", ".join(f"{self.counts[name]} {name}" for name in VERDICTS if self.counts[name])
            databases = f"{counted(self.counts['databases'], 'database')} ({verdicts})"
        return f"{databases}; {counted(self.counts['targets'], 'target')}, {self.counts['stuck']} stuck submissions"

    @property
    def verdict(self) -> str:
        """The audit in a few words."""
        return counted(self.counts["findings"], "finding")


def finding(one: Mapping[str, Any]) -> Row:
    """Return a finding's row; `about` is empty if it is the stack."""
    about = [text(one.get(name)) for name in ("target", "database", "account", "region")]
    return {"about": " / ".join(filter(None, about)), **{name: text(one[name]) for name in ("code", "message", "hint")}}


def database(one: Mapping[str, Any]) -> Row:
    """Return a database's row, with its last completed backup.

    An ARN is `arn:PARTITION:rds:REGION:ACCOUNT:KIND:NAME`.
    """
    row = {name: text(one[name]) for name in ("arn", "verdict", "subclient", "jobId", "by", "reason")}
    region, account, kind, name = [*row["arn"].split(":", 6), *[""] * 7][3:7]
    started = datetime.fromisoformat(one["startedAt"]).astimezone(UTC) if one["startedAt"] else None
    return {
        **row,
        "name": name or row["arn"],
        "place": f"{account} {region}",
        "isCluster": kind == "cluster",
        "started": f"{started:%Y-%m-%d %H:%M}" if started else "",
    }


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
