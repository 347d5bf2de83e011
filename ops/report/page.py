"""The HTML page for an auditor: one file that fetches nothing and runs nothing. Its parts are `page.html` and `page.css`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ops.report.audit import VERDICTS, Audit
from ops.report.values import minute, text
from ops.stack import DeployedStack


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page is about; `at` is when the audit was made."""

    stack: str
    account: str
    region: str
    version: str
    at: datetime

    @classmethod
    def of(cls, stack: DeployedStack, at: datetime) -> "Facts":
        """Return the facts of a stack. A topic is named `arn:PARTITION:sns:REGION:ACCOUNT:NAME`."""
        region, account = text(stack.output("NotificationsTopicArn")).split(":")[3:5]
        return cls(text(stack.name), account, region, text(stack.outputs.get("Version", "unknown")), at)


def html_of(facts: Facts, audit: Audit) -> str:
    """Return the page."""
    # Everything is escaped, and a misspelled name in the template is an error.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minute"] = minute
    return environment.get_template("page.html").render(facts=facts, audit=audit, verdicts=VERDICTS)
