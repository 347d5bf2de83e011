"""`make verify`: every step in its order, a line for each as it ends, and the table of all of them."""

from collections import Counter
from typing import Annotated

import typer

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.program import Call, app, command
from tests.aws.steps import COUNTED, STEPS, attempt
from tests.aws.subject import Member, Subject

COLUMNS = {"result": "Result", "step": "Step", "proves": "Proves", "seen": "Seen"}

Only = Annotated[str, typer.Option(help=f"Steps, separated by blanks: {', '.join([*STEPS, *COUNTED])}.")]
Database = Annotated[
    str, typer.Option(metavar="ARN", help="A member's RDS instance, whose name begins with verify: it is restarted.")
]
Profile = Annotated[str | None, typer.Option(help="A profile of that member's account. Default: the stack's.")]


@command(rows=True)
def verify(call: Call, only: Only = "", member_database: Database = "", member_profile: Profile = None) -> Exit:
    """Prove on AWS what no emulator can, with a stack that is made for it (docs/verify-on-aws.md).

    It breaks runs and stores made-up tokens, and refuses a stack that could start a backup. With a stack that reaches a
    CommServe simulator, it counts jobs.
    """
    stack, names = call.stack(), only.split()
    member = Member.of(member_database, member_profile or call.profile, stack) if member_database else None
    subject = Subject.of(stack, member)
    steps = COUNTED if subject.simulator else STEPS
    if unknown := [name for name in names if name not in steps]:
        raise typer.BadParameter(f"{unknown[0]!r} is not a step of this stack: {', '.join(steps)}")
    rows = []
    for name in (step for step in steps if step in (names or steps)):
        with call.progress(f"{name} …"):
            verdict, seen = attempt(steps[name], subject)
        call.say(f"{verdict:>6}  {name}")
        rows.append({"result": verdict, "step": name, "proves": (steps[name].__doc__ or "").strip(), "seen": seen})
    call.show(COLUMNS, rows)
    count = Counter(row["result"] for row in rows)
    call.conclude(
        f"{subject.stack.place}: {count['ok']} passed, {count['failed']} failed, {count['later']} cannot be seen yet."
    )
    return Exit.FINDINGS if count["failed"] else Exit.OK


if __name__ == "__main__":
    app(prog_name="python -m tests.aws")
