"""`python -m ops.check STACK [--target NAME]`: ask a deployed stack for its preflight, and show what it says.

It exits with 1 unless every check passed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.command import Exit, execute, parser
from ops.functions import AUDIT, invoke
from ops.stack import CannotRun, DeployedStack


def main(arguments: Sequence[str]) -> Exit:
    """Print the preflight of the stack that is named; return the exit status."""
    understood = parser("check", "Preflight of a deployed stack: nothing is submitted.")
    understood.add_argument("--target", help="default: every target")
    options = understood.parse_args(arguments)
    return execute(lambda stack: check(stack, options.target), options)


def check(stack: DeployedStack, target: str | None) -> Exit:
    """Print the preflight of a stack, or of one of its targets."""
    report = preflight(stack, target)
    show(stack.name, report, Console())
    return Exit.OK if report["ok"] else Exit.FINDINGS


def preflight(stack: DeployedStack, target: str | None = None) -> Mapping[str, Any]:
    """Return the preflight's report, on one target if it is named."""
    event = {"check": True} | ({"target": target} if target else {})
    match payload := invoke(stack, AUDIT, event, attempts=1):
        case {"ok": bool(), "checks": list()}:
            report: dict[str, Any] = payload
            return report
        case _:
            raise CannotRun(f"{stack.output(AUDIT)} returned no report: {json.dumps(payload)} See its log.")


def show(stack: str, report: Mapping[str, Any], console: Console) -> None:
    """Print a row for each check."""
    table = Table()
    for heading in ("", "Check", "Target", "Found", "What to do"):
        table.add_column(heading, overflow="fold")
    for row in report["checks"]:
        mark = Text("ok", "green") if row["ok"] else Text("!!", "bold red")
        # As texts: square brackets in a name are not markup.
        table.add_row(mark, *(Text(row[name] or "") for name in ("name", "target", "detail", "hint")))
    console.print(table)
    failed = sum(not row["ok"] for row in report["checks"])
    verdict = "every check passed." if report["ok"] else f"{failed} of {len(report['checks'])} checks failed."
    console.print(f"{stack}: {verdict}", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
