"""The HTML page for an auditor: one file that fetches nothing and runs nothing. Its parts are `page.html` and `page.css`."""

from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.report.content import VERDICTS, Content, minute
from rds_snap_backup_cli.stack import DeployedStack


@dataclass(frozen=True)
class Facts:
    """What the page is about; `at` is the time of the audit."""

    stack: str
    account: str
    region: str
    version: str
    at: datetime

    @classmethod
    def of(cls, stack: DeployedStack, at: datetime) -> "Facts":
        """Return the facts of a stack."""
        facts = (stack.name, stack.account, stack.region, stack.output("Version"))
        name, account, region, version = map(clean_text, facts)
        return cls(name, account, region, version, at)


def html_of(facts: Facts, content: Content) -> str:
    """Return the page."""
    # Everything is escaped, and a misspelled name in the template is an error.
    environment = Environment(
        loader=PackageLoader("rds_snap_backup_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minute"] = minute
    return environment.get_template("page.html").render(facts=facts, audit=content, verdicts=VERDICTS)
