"""The CSV: a row for each database. No cell is a formula to a spreadsheet."""

import csv
import io
import unicodedata

from ops.report.audit import Audit, Database
from ops.report.values import minute

HEAD = (
    "database",
    "kind",
    "engine",
    "verdict",
    "targets",
    "last_completed_utc",
    "last_completed_target",
    "last_completed_jobs",
    "newest_manual_snapshot",
    "newest_manual_snapshot_utc",
    "arn",
)


def csv_of(audit: Audit) -> str:
    """Return the databases as CSV, as RFC 4180 has it, with a head."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    writer.writerows([guarded(cell) for cell in _cells(one)] for one in audit.databases)
    return text.getvalue()


def guarded(cell: str) -> str:
    """Return a cell that a spreadsheet shows as it is.

    A program takes for a formula what begins with one of these signs, in some languages in full width, too; an apostrophe
    makes it a text. https://owasp.org/www-community/attacks/CSV_Injection
    """
    begins = unicodedata.normalize("NFKC", cell).lstrip()[:1]
    return f"'{cell}" if begins and begins in "=+-@" else cell


def _cells(database: Database) -> tuple[str, ...]:
    completed, snapshot = database.last_completed, database.newest_snapshot
    return (
        database.name,
        database.kind,
        database.engine,
        database.verdict,
        "; ".join(database.selected_by),
        minute(completed.at) if completed else "",
        completed.target if completed else "",
        "; ".join(completed.jobs) if completed else "",
        snapshot.name if snapshot else "",
        minute(snapshot.at) if snapshot else "",
        database.arn,
    )
