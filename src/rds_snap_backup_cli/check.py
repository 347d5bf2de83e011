"""`check`: asks the stack for its preflight, and shows what a backup would do."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from rds_snap_backup_cli.completion import target_names
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.functions import AUDIT, pages_of, unknown_answer
from rds_snap_backup_cli.output import Row, counted, findings_to_text
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

COLUMNS = {"result": "Result", "name": "Check", "target": "Target", "detail": "Found", "hint": "What to do"}
OK, FAILED, NOT_MADE = "ok", "failed", "not made"
# A check that another problem prevented says so, and the problem.
PREVENTED = re.compile(r"(?:.*: n|N)ot checked\. (.*)", re.DOTALL)
# What a backup would do: the instance groups of the targets, and the room for their snapshots.
GROUP, ROOM = "association", "quota"

OneTarget = Annotated[
    str, typer.Option(help="Check this target only.", show_default=False, autocompletion=target_names)
]
ShowAll = Annotated[bool, typer.Option("--all", help="Show the checks that passed, too.")]


@command("check prod", "check prod --target orders --all", rows=True)
def check(call: Call, target: OneTarget = "", show_all: ShowAll = False) -> Exit:
    """Test whether tonight's backups can work, and show what they would do. Submits nothing.

    The stack reads its token, reaches Commvault, and looks for the groups of its targets. Shown are each target's groups
    with the databases that they select, the room for snapshots, and what failed: each cause once, the last one last.
    """
    stack = call.stack()
    with call.progress("The Audit function runs the checks"):
        is_ok, found = preflight(stack, target)
    checks = [{name: item.get(name) for name in COLUMNS} | {"result": result_of(item)} for item in found]
    wrong = [item for item in checks if item["result"] != OK]
    if show_all or not call.is_table:
        call.show(COLUMNS, checks if show_all else wrong)
    else:
        call.show({"target": "Target", "detail": "A backup would use"}, plan_of(checks))
        call.explain(findings_to_text(findings_of(checks)))
    counts = Counter(item["result"] for item in checks)
    if wrong:
        unmade = f", {counts[NOT_MADE]} were not made" if counts[NOT_MADE] else ""
        call.conclude(f"{stack.place}: {counts[FAILED]} of {counted(len(checks), 'check')} failed{unmade}.", "bold red")
    else:
        call.conclude(f"{stack.place}: {counted(len(checks), 'check')} passed.", "green")
    return Exit.OK if is_ok and not wrong else Exit.FINDINGS


def preflight(stack: DeployedStack, target: str = "") -> tuple[bool, list[Row]]:
    """Return whether the preflight is well, and its checks of all pages; about one target if it is named."""
    is_ok, found = True, list[Row]()
    for page in pages_of(stack, {"check": True} | ({"target": target} if target else {})):
        match page:
            case {"ok": bool() as is_well, "checks": [*rows]} if all(isinstance(row, dict) for row in rows):
                is_ok = is_ok and is_well
                found += rows
            case _:
                raise unknown_answer(stack, AUDIT, page)
    return is_ok, found


def result_of(row: Mapping[str, Any]) -> str:
    """Return the result of a check."""
    if row.get("ok") is True:
        return OK
    return NOT_MADE if PREVENTED.fullmatch(str(row.get("detail"))) else FAILED


def plan_of(checks: Sequence[Row]) -> list[Row]:
    """Return the rows of what a backup would do, without the words that all have in common."""
    rows = [item for item in checks if item["name"] in {GROUP, ROOM} and item["result"] == OK]
    return [{**item, "detail": str(item["detail"]).removeprefix("Commvault has ")} for item in rows]


def findings_of(checks: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return a finding for each failure and warning; last those that prevented other checks, with the number of these."""
    prevented = Counter(
        found[1] for item in checks if item["result"] == NOT_MADE and (found := PREVENTED.fullmatch(item["detail"]))
    )
    single: list[tuple[str, str, str]] = []
    causes: list[tuple[str, str, str]] = []
    for item in checks:
        if item["result"] == NOT_MADE or not item["hint"]:
            continue
        title = " ".join(
            filter(None, ("Failed:" if item["result"] == FAILED else "Warning:", item["name"], item["target"]))
        )
        caused = sum(prevented.pop(cause) for cause in list(prevented) if cause in item["detail"])
        finding = title, with_number(item["detail"], caused), item["hint"]
        (causes if caused else single).append(finding)
    for item in checks:
        found = PREVENTED.fullmatch(item["detail"]) if item["result"] == NOT_MADE else None
        if found and found[1] in prevented:
            causes.append(("Failed:", with_number(found[1], prevented.pop(found[1])), item["hint"]))
    return single + causes


def with_number(detail: str, caused: int) -> str:
    """Return what was found, with the number of checks that it prevented."""
    return (
        f"{detail.rstrip('.')}. Because of it {counted(caused, 'check')} {'was' if caused == 1 else 'were'} not made."
        if caused
        else detail
    )
