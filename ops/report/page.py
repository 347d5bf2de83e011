"""The HTML page for an auditor: one file that fetches nothing and runs nothing, in `page.html` and `page.css` beside this."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ops.report import timeline
from ops.report.audit import Audit
from ops.report.history import History
from ops.report.values import minute, text
from ops.stack import DeployedStack

MAX_TROUBLES = 100  # the newest ends other than completed that are listed


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


def html_of(facts: Facts, audit: Audit, history: History) -> str:
    """Return the page."""
    # Everything is escaped, whatever the file's name, and a name that is misspelled in the template is an error.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minute"] = minute
    troubles = [end for end in reversed(history.ends) if end.status != "completed"]
    return environment.get_template("page.html").render(
        facts=facts,
        audit=audit,
        timeline=timeline.draw((target.name for target in audit.targets), history.ends, facts.at),
        height=timeline.HEIGHT,
        troubles=troubles[:MAX_TROUBLES],
        troubles_left_out=max(0, len(troubles) - MAX_TROUBLES),
        unreadable=history.unreadable,
    )
