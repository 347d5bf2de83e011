"""`check`: asks the stack for its preflight."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import counted
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

COLUMNS = {"result": "Result", "name": "Check", "target": "Target", "detail": "Found", "hint": "What to do"}

OneTarget = Annotated[str, typer.Option(help="Check this target only.", show_default=False)]
ShowAll = Annotated[bool, typer.Option("--all", help="Show the checks that passed, too.")]


@command("check prod", "check prod --target orders --all", rows=True)
def check(call: Call, target: OneTarget = "", show_all: ShowAll = False) -> Exit:
    """Test whether tonight's backups can work. Submits nothing.

    The stack reads its token, reaches Commvault, and looks for the subclients of its targets. Failures are shown.
    """
    stack = call.stack()
    with call.progress("The Audit function runs the checks"):
        report = preflight(stack, target)
    checks = [{name: item.get(name) for name in COLUMNS} | {"result": result_of(item)} for item in report["checks"]]
    failed = [item for item in checks if item["result"] == "failed"]
    call.show(COLUMNS, checks if show_all else failed)
    if failed:
        call.conclude(f"{stack.place}: {len(failed)} of {counted(len(checks), 'check')} failed.", "bold red")
    else:
        call.conclude(f"{stack.place}: {counted(len(checks), 'check')} passed.", "green")
    return Exit.OK if report["ok"] and not failed else Exit.FINDINGS


def preflight(stack: DeployedStack, target: str = "") -> Mapping[str, Any]:
    """Return the preflight's answer, about one target if it is named."""
    event = {"check": True} | ({"target": target} if target else {})
    match answer := invoke(stack, AUDIT, event):
        case {"ok": bool(), "checks": [*rows]} if all(isinstance(row, dict) for row in rows):
            found: dict[str, Any] = answer
            return found
        case _:
            raise unknown_answer(stack, AUDIT, answer)


def result_of(row: Mapping[str, Any]) -> str:
    """Return the result of a check."""
    return "ok" if row.get("ok") is True else "failed"
