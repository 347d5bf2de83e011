"""What the Audit function found, read from its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.output import counted

VERDICTS = ("protected", "stale", "new", "uncovered", "excluded", "unreadable")
COUNTS = ("databases", *VERDICTS, "targets", "stuck", "findings")


@dataclass(frozen=True)
class Finding:
    """What is wrong, and what to do about it; `about` is empty if it is the stack."""

    code: str
    about: str
    message: str
    hint: str

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Self:
        """Read a finding of the answer."""
        about = [text(one.get(name)) for name in ("target", "database", "account", "region")]
        return cls(text(one["code"]), " / ".join(filter(None, about)), text(one["message"]), text(one["hint"]))


@dataclass(frozen=True)
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
        names = ("arn", "verdict", "subclient", "jobId", "by", "reason")
        arn, verdict, subclient, job, by, reason = (text(one[name]) for name in names)
        started = datetime.fromisoformat(one["startedAt"]).astimezone(UTC) if one["startedAt"] else None
        return cls(arn, verdict, subclient, job, started, by, reason)

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


@dataclass(frozen=True)
class Content:
    """The audit of one stack; `place` names the stack, its account and its region."""

    place: str
    is_ok: bool
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    databases: tuple[Database, ...]

    @classmethod
    def read(cls, place: str, answer: Any) -> Self:
        """Read the answer. Raises `CannotRun` if it has another form."""
        try:
            return cls(
                place,
                answer["ok"] is True,
                {name: number(answer["counts"][name]) for name in COUNTS},
                tuple(map(Finding.read, answer["findings"])),
                tuple(map(Database.read, answer["databases"])),
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
        if not self.counts["databases"]:
            databases = "RDS shows no database here"
        else:
            verdicts = ", ".join(f"{self.counts[name]} {name}" for name in VERDICTS if self.counts[name])
            databases = f"{counted(self.counts['databases'], 'database')} ({verdicts})"
        return f"{databases}; {counted(self.counts['targets'], 'target')}, {self.counts['stuck']} stuck submissions"

    @property
    def verdict(self) -> str:
        """The audit in a few words."""
        return counted(self.counts["findings"], "finding")


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


def minute(at: datetime | None) -> str:
    """Return a time as a person reads it; None is empty."""
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
