"""The command: every step in its order, a line for each as it ends, and the table of all of them.

It exits with 1 where a step failed; what cannot be seen yet does not fail.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.command import Exit, execute, explain, parser
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line
from ops.verify import acting, standing, watched
from ops.verify.subject import Finding, Subject, Verdict, failed

type Step = Callable[[Subject], Finding]

# By name, in this order: those that make something happen come before those that look at what it left.
STEPS: Mapping[str, Step] = {
    "deployment": standing.deployment,
    "tags": standing.tags,
    "first-invocation": standing.first_invocation,
    "rds-rule": standing.rds_rule,
    "listeners": standing.listeners,
    "dashboard": standing.dashboard,
    "compare-and-set": acting.compare_and_set,
    "placeholders": acting.placeholders,
    "dead-letters": acting.dead_letters,
    "killed-run": acting.killed_run,
    "alarm-action": watched.alarm_action,
    "dead-mans-switch": watched.dead_mans_switch,
    "recursion": watched.recursion,
    "redaction": watched.redaction,
}
STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.LATER: "yellow"}


def main(arguments: Sequence[str]) -> Exit:
    """Verify the stack that is named; return the exit status."""
    understood = parser("verify", "Prove on AWS what no emulator can, with a stack that is made for it.")
    understood.add_argument("--only", metavar="STEPS", default="", help=f"separated by blanks: {', '.join(STEPS)}")
    options = understood.parse_args(arguments)
    names = options.only.split()
    if unknown := [name for name in names if name not in STEPS]:
        understood.error(f"{unknown[0]!r} is not a step: {', '.join(STEPS)}")
    return execute(lambda stack: verify(stack, names or list(STEPS)), options)


def verify(stack: DeployedStack, names: Sequence[str]) -> Exit:
    """Run the named steps, and print the result of each."""
    subject, console = Subject.of(stack), Console()
    findings = {}
    for name, step in STEPS.items():
        if name in names:
            with console.status(f"{name} …"):
                findings[name] = attempt(step, subject)
            console.print(f"{findings[name].verdict.value:>5}  {name}", markup=False, highlight=False)
    console.print(table(findings))
    count = {verdict: sum(one.verdict is verdict for one in findings.values()) for verdict in Verdict}
    print(
        f"{stack.name}: {count[Verdict.PASSED]} passed, {count[Verdict.FAILED]} failed, {count[Verdict.LATER]} cannot be "
        "seen yet."
    )
    return Exit.FINDINGS if count[Verdict.FAILED] else Exit.OK


def attempt(step: Step, subject: Subject) -> Finding:
    """Run a step; an error of AWS fails only this step."""
    try:
        return step(subject)
    except (CannotRun, BotoCoreError, ClientError) as error:
        return failed(explain(error))


def table(findings: Mapping[str, Finding]) -> Table:
    """Return a row for each step."""
    made = Table()
    for heading in ("", "Step", "Proves", "Seen"):
        made.add_column(heading, overflow="fold")
    for name, finding in findings.items():
        about = (STEPS[name].__doc__ or "").strip()
        verdict = Text(finding.verdict.value, STYLES[finding.verdict])
        made.add_row(verdict, name, Text(about), Text(one_line(finding.detail, 600)))
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
