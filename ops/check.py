"""`python -m ops.check STACK`: ask a deployed stack for its preflight, and show what it says.

It exits with 1 unless every check passed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.config import Config
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.command import Exit, run
from ops.stack import CannotRun, DeployedStack

# The function has 50 s; one call is enough.
SLOW = Config(read_timeout=70, retries={"total_max_attempts": 1})


def main(arguments: Sequence[str]) -> Exit:
    """Print the preflight of the stack that is named; return the exit status."""
    return run(check, "check", "Preflight of a deployed stack: nothing is submitted.", arguments)


def check(stack: DeployedStack) -> Exit:
    """Print the preflight of a stack."""
    report = preflight(stack)
    show(stack.name, report, Console())
    return Exit.OK if report["ok"] else Exit.FINDINGS


def preflight(stack: DeployedStack) -> Mapping[str, Any]:
    """Invoke the stack's Submit function with `{"check": true}` and return its report."""
    name = stack.output("SubmitFunctionName")
    answer = stack.session.client("lambda", config=SLOW).invoke(FunctionName=name, Payload=json.dumps({"check": True}))
    match payload := json.loads(answer["Payload"].read() or b"null"):
        case {"ok": bool(), "checks": list()}:
            report: dict[str, Any] = payload
            return report
        case {"errorMessage": str(reason)}:
            text = f"its Submit function failed: {reason}"
        case _:
            text = f"its Submit function returned no report: {json.dumps(payload)}"
    raise CannotRun(f"{text} See the log of {name}.")


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
