"""The CSV: a row for each database. No cell is a formula to a spreadsheet."""

import csv
import io
import unicodedata

from ops.report.audit import Audit
from ops.report.values import minute

HEAD = ("arn", "verdict", "subclient", "last_completed_job", "last_completed_utc", "started_by", "reason")


def csv_of(audit: Audit) -> str:
    """Return the databases as CSV, as RFC 4180 has it, with a head."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    for one in audit.databases:
        cells = (one.arn, one.verdict, one.subclient, one.job, minute(one.started), one.by, one.reason)
        writer.writerow(guarded(cell) for cell in cells)
    return text.getvalue()


def guarded(cell: str) -> str:
    """Return a cell that a spreadsheet shows as it is.

    A program takes for a formula what begins with one of these signs, in some languages in full width, too; an apostrophe
    makes it a text. https://owasp.org/www-community/attacks/CSV_Injection
    """
    begins = unicodedata.normalize("NFKC", cell).lstrip()[:1]
    return f"'{cell}" if begins and begins in "=+-@" else cell
