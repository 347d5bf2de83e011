"""A report as rows for people, with the answer's own names: of a stack that is asked, or of a file. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.output import Row, counted


class Verdict(StrEnum):
    """The verdicts, problems first."""

    UNCOVERED = "uncovered"
    STALE = "stale"
    UNPROVEN = "unproven"
    AMBIGUOUS = "ambiguous"
    UNREADABLE = "unreadable"
    NEW = "new"
    PROTECTED = "protected"
    EXCLUDED = "excluded"


MEANINGS = {
    Verdict.UNCOVERED: "No instance group selects it: it will not be backed up again, even if it has restore points.",
    Verdict.STALE: "It has no restore point within its maximum age, although an instance group selects it.",
    Verdict.UNPROVEN: "A job completed, and neither Commvault nor RDS can be asked for the snapshot that proves it.",
    Verdict.AMBIGUOUS: "More than one database or account can be meant, or no content that is understood selects it.",
    Verdict.UNREADABLE: "Its account or Commvault could not be read: nothing is known about it.",
    Verdict.NEW: "It has no restore point yet, and is younger than its maximum age.",
    Verdict.PROTECTED: (
        "A restore point was made within its maximum age, and RDS lists its snapshot as available, unless its reason "
        "in the report says otherwise. A restore was not tried."
    ),
    Verdict.EXCLUDED: "It is tagged rds-snap-backup:exclude, or a read replica that no content names. Who did so is not known.",
}
PROBLEMS = frozenset(list(Verdict)[:5])
COUNTS = ("databases", *Verdict, "places", "targets", "stuck", "findings", "commvaultCalls")
DIGEST = ("backups", "submissions", "events")
STARTERS = {"stack": "this stack", "commvault": "Commvault"}
# What reading a report of another form raises.
MALFORMED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
ORDER = {name: number for number, name in enumerate(Verdict)}


@dataclass(frozen=True)
class Content:
    """The audit of one stack. `facts` say of what and when it is, by their titles; `outage` is why rows are unreadable."""

    is_ok: bool
    stack: str
    facts: Mapping[str, str]
    counts: Mapping[str, int]
    accounts: list[Row]
    findings: list[Row]
    databases: list[Row]
    digest: list[str]
    outage: str
    at: datetime
    hidden: int = 0

    @classmethod
    def read(cls, answer: Any) -> Self:
        """Read the answer. Raises `CannotRun` if it has another form."""
        try:
            counts = {name: number(answer["counts"][name]) for name in COUNTS}
            return cls(
                answer["ok"] is True,
                [*text(answer["scope"]["stack"]).split("/"), "", ""][1],
                facts(answer, counts),
                counts,
                list(map(account, answer["scope"]["accounts"])),
                list(map(finding, answer["findings"])),
                sorted(map(database, answer["databases"]), key=lambda row: ORDER.get(row["verdict"], -1)),
                digest(answer["since"]),
                outage(answer["lastRead"]) if counts["unreadable"] else "",
                utc(answer["time"]),
            )
        except MALFORMED as error:
            raise CannotRun(
                f"the report has another form than this command reads ({type(error).__name__}: {error}). Use the "
                "command of the stack's version."
            ) from None

    def narrowed(self, verdicts: Iterable[Verdict], max_age: float | None) -> Self:
        """Keep the databases of these verdicts, if any are given, without a restore point in the last `max_age` hours."""
        wanted = set(verdicts) or set(Verdict)
        kept = [
            row
            for row in self.databases
            if row["verdict"] in wanted
            and (max_age is None or not row["createdAt"] or self.age(row["createdAt"]) > max_age)
        ]
        return replace(self, databases=kept, hidden=len(self.databases) - len(kept))

    def age(self, at: str) -> float:
        """Return the hours from a time to the audit."""
        return (self.at - utc(at)).total_seconds() / 3600

    @property
    def place(self) -> str:
        """The stack's name, account and region in words."""
        return f"{self.stack} (account {self.facts['Account']}, {self.facts['Region']})"

    @property
    def omissions(self) -> list[str]:
        """How many rows the lists lack."""
        chosen = [f"{counted(self.hidden, 'database')} are left out, as asked."] if self.hidden else []
        # A place that could not be listed is one row for all of its databases.
        missing = self.counts["findings"] - len(self.findings)
        return chosen + (
            [f"{missing} of {self.counts['findings']} findings are left out: the answer does not have them."]
            if missing > 0
            else []
        )

    @property
    def summary(self) -> str:
        """The counts in words."""
        databases = "RDS shows no database here"
        if self.counts["databases"]:
            verdicts = ", ".join(f"{self.counts[name]} {name}" for name in Verdict if self.counts[name])
            databases = f"{counted(self.counts['databases'], 'database')} ({verdicts})"
        places = "" if self.counts["places"] == 1 else f" in {self.counts['places']} accounts and regions"
        return f"{databases}{places}; {counted(self.counts['targets'], 'target')}, {self.counts['stuck']} stuck submissions"

    @property
    def verdict(self) -> str:
        """The audit in a few words."""
        return counted(self.counts["findings"], "finding")

    @property
    def account_ids(self) -> list[str]:
        """The accounts that rows name."""
        return sorted({row["account"] for row in [*self.databases, *self.findings]} - {""})


def facts(answer: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, str]:
    """Return what the report is of, by titles."""
    scope = answer["scope"]
    arn = text(scope["stack"])
    region, own = [*arn.split(":"), *[""] * 5][3:5]
    return {
        "Audited (UTC)": minute(text(answer["time"])),
        "Asked by": text(answer["askedBy"]),
        "Stack": arn,
        "Account": own,
        "Region": region,
        "Commvault": text(scope["commvault"]),
        "Maximum age": f"{number(scope['maxAgeHours'])} hours, unless a target says otherwise",
        "Accounts and regions": str(counts["places"]),
        "Instance groups": str(number(scope["groups"])),
        "Calls to Commvault": str(counts["commvaultCalls"]),
        "rds-snap-backup": text(scope["version"]),
        "Report": text(answer["report"]),
        "Report before it": text((answer.get("previous") or {}).get("key")),
    }


def account(one: Mapping[str, Any]) -> Row:
    """Return the row of an audited account and region; what could not be read is empty."""
    numbers = {name: one[name] for name in ("databases", "undeliveredEvents")}
    return {
        **{name: text(one[name]) for name in ("account", "region", "role")},
        **{name: "" if value is None else str(number(value)) for name, value in numbers.items()},
    }


def finding(one: Mapping[str, Any]) -> Row:
    """Return a finding's row; `about` is empty if it is the stack."""
    row = {name: text(one.get(name)) for name in ("target", "database", "account", "region")}
    about = " / ".join(filter(None, (row["target"], row["database"])))
    return {**row, "about": about, **{name: text(one[name]) for name in ("code", "message", "hint")}}


def database(one: Mapping[str, Any]) -> Row:
    """Return a database's row, with its newest restore point and the job.

    An ARN is `arn:PARTITION:rds:REGION:ACCOUNT:KIND:NAME`; of an account that could not be listed it ends in `:*`.
    """
    names = ("arn", "verdict", "jobId", "startedAt", "endedAt", "by", "reason", "lastRead")
    row = {name: text(one[name]) for name in names}
    point = {name: text((one["restorePoint"] or {}).get(name)) for name in ("name", "createdAt", "snapshot")}
    region, owner, kind, name = [*row["arn"].split(":", 6), *[""] * 7][3:7]
    starter = f"by {STARTERS.get(row['by'], row['by'])}" if row["by"] else ""
    return {
        **row,
        "database": name or ("all databases" if kind == "*" else row["arn"]),
        "account": owner,
        "region": region,
        "isCluster": kind == "cluster",
        "groups": [text(group) for group in one["groups"]],
        "restorePoint": point["name"],
        "createdAt": point["createdAt"],
        "snapshot": point["snapshot"],
        "created": minute(point["createdAt"]),
        "started": minute(row["startedAt"]),
        "ended": minute(row["endedAt"]),
        "job": ", ".join(filter(None, (f"job {row['jobId']}" if row["jobId"] else "", starter))),
    }


def digest(since: Mapping[str, Any]) -> list[str]:
    """Return the digest: its span, and a sentence for each group of sums."""
    span = f"From {minute(text(since['start']))} to {minute(text(since['end']))} UTC"
    lines = [f"{span}, as sums of the stack's metrics, in which one can count twice:"]
    for group in DIGEST:
        numbers = {name: None if count is None else number(count) for name, count in since[group].items()}
        shown = [f"{count} {words(name)}" for name, count in numbers.items() if count]
        lines.append(f"{group}: {'could not be read' if None in numbers.values() else ', '.join(shown) or 'none'}")
    return lines


def outage(last: Mapping[str, Any] | None) -> str:
    """Return since when not all databases could be read, and which report is the last that could."""
    if last is None:
        return "Not all databases could be read, and no daily audit before could read all of them."
    where = f" Its report is {text(last['report'])}." if last["report"] else ""
    return (
        f"Not all databases could be read since {minute(text(last['time']))} UTC, the last audit that read all.{where}"
    )


def words(name: str) -> str:
    """Return the name of a sum in words."""
    return "seconds throttled" if name == "throttledSeconds" else name


def minute(at: str) -> str:
    """Return an ISO 8601 time in UTC, to the minute; nothing of nothing. Raises one of `MALFORMED`."""
    return f"{utc(at):%Y-%m-%d %H:%M}" if at else ""


def utc(at: str) -> datetime:
    """Return an ISO 8601 time in UTC. Raises one of `MALFORMED`, also if it has no time zone."""
    found = datetime.fromisoformat(at)
    if found.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return found.astimezone(UTC)


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
