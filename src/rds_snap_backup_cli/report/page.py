"""The HTML pages for an auditor: each is one file that fetches nothing. The report runs only its own script, `page.js`."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rds_snap_backup_cli.report.content import MEANINGS, PROBLEMS, Content, Verdict


def html_of(content: Content) -> str:
    """Return the page of a report."""
    script = environment().get_template("page.js").render()
    return render(
        "page.html", audit=content, script=script, script_hash=b64encode(sha256(script.encode()).digest()).decode()
    )


def render(template: str, **names: Any) -> str:
    """Return a page."""
    shared = {"verdicts": list(Verdict), "meanings": MEANINGS, "problems": PROBLEMS}
    return environment().get_template(template).render(**shared, **names)


def environment() -> Environment:
    """Return what renders: everything is escaped, and a misspelled name in a template is an error."""
    return Environment(
        loader=PackageLoader("rds_snap_backup_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
