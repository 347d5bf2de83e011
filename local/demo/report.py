"""The audit by hand: the databases with a restore point, and the one that its group's job skipped."""

from dataclasses import dataclass
from typing import Any

from local.demo.machine import GROUPS, STOPPED, Machine


@dataclass(frozen=True, slots=True)
class Row:
    """The audit's verdict on a database."""

    database: str
    verdict: str
    why: str  # its restore point, or the reason that there is none


@dataclass(frozen=True, slots=True)
class Report:
    """What the Audit function answered."""

    rows: tuple[Row, ...]
    findings: tuple[tuple[str, str], ...]  # code and database

    def checks(self) -> list[tuple[str, bool]]:
        """Return what must be so, each with whether it is."""
        protected = {row.database for row in self.rows if row.verdict == "protected"}
        backed_up = {name for names in GROUPS.values() for name in names} - {STOPPED}
        return [
            (f"{len(protected)} databases can be restored", protected == backed_up),
            (f"the audit names {STOPPED}, although its job completed", ("BACKUP_STALE", STOPPED) in self.findings),
        ]

    @property
    def is_as_promised(self) -> bool:
        """Whether everything is so."""
        return all(holds for _, holds in self.checks())


def audit(machine: Machine) -> Report:
    """Invoke the Audit function."""
    answer = machine.stack.invoke({"audit": True}, "AuditFunctionName")
    found = [(finding["code"], _name(finding["database"] or "")) for finding in answer["findings"]]
    return Report(tuple(sorted(map(_row, answer["databases"]), key=lambda row: row.database)), tuple(found))


def _row(row: dict[str, Any]) -> Row:
    point = row["restorePoint"]
    why = f"restore point {point['name']}" if point else row["reason"]
    return Row(_name(row["arn"]), row["verdict"], why)


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]
