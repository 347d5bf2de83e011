"""The HTML page for an auditor: one file that fetches nothing and runs only its own script, `page.js`."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.report.content import VERDICTS, Content
from rds_snap_backup_cli.stack import DeployedStack


def html_of(stack: DeployedStack, content: Content, now: datetime | None = None) -> str:
    """Return the page."""
    # Everything is escaped, and a misspelled name in the template is an error.
    environment = Environment(
        loader=PackageLoader("rds_snap_backup_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    facts = {"stack": stack.name, "account": stack.account, "region": stack.region, "version": stack.output("Version")}
    script = environment.get_template("page.js").render()
    return environment.get_template("page.html").render(
        facts={name: clean_text(fact) for name, fact in facts.items()},
        at=f"{now or datetime.now(UTC):%Y-%m-%d %H:%M}",
        audit=content,
        verdicts=VERDICTS,
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )
