"""`letters` lists a stack's dead letters, `discard` deletes some."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from rds_snap_backup_cli.dead_letters import MAX_LETTERS, DeadLetterQueue, Letter
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.output import counted, duration, rows_to_table, stderr
from rds_snap_backup_cli.program import Call, command

# The beginning of an ID names a letter; more of it if two begin alike.
SHORT_ID = 8
COLUMNS = {"id": "ID", "target": "Target", "trigger": "Trigger", "error": "Error", "sent": "Age"}

Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id", metavar="ID", help="IDs of letters, or their beginnings, separated by blanks; can be repeated."
    ),
]
All = Annotated[bool, typer.Option("--all", help="All letters.")]


@command("letters prod", "letters prod --format csv", rows=True)
def letters(call: Call) -> Exit:
    """List the dead letters: triggers that were rejected, abandoned, refused or never delivered.

    They stay in their queue. `redrive` has them tried again, `discard` deletes them.
    """
    stack = call.stack()
    with call.progress("Reading the dead-letter queue"), DeadLetterQueue.of(stack).held() as held:
        found = held
    call.show(COLUMNS, rows_of(found), sent=age)
    more = " or more" if len(found) >= MAX_LETTERS else ""
    call.conclude(f"{stack.place}: {counted(len(found), 'letter')}{more} in the dead-letter queue.")
    return Exit.OK


@command("discard prod --id '3f0c1d52 9a41b7e0'", "discard prod --all --yes", asks=True)
def discard(call: Call, ids: Ids = None, everything: All = False) -> Exit:
    """Delete dead letters, after showing them and asking.

    Exactly the letters that are shown are deleted, however many arrive meanwhile.
    """
    named = dict.fromkeys(" ".join(ids or ()).split())
    if bool(named) == everything:
        raise typer.BadParameter("Name the letters with --id, or --all of them.")
    stack = call.stack()
    queue = DeadLetterQueue.of(stack)
    with call.progress("Reading the dead-letter queue"), queue.held() as held:
        chosen = held if everything else [pick(held, letter_id) for letter_id in named]
    if not chosen:
        call.conclude(f"{stack.place}: no letters in the dead-letter queue.")
        return Exit.OK
    stderr().print(rows_to_table(COLUMNS, rows_of(chosen), {"sent": age}))
    if not call.agrees(f"Delete {counted(len(chosen), 'letter')}? This cannot be undone"):
        call.conclude(f"{stack.place}: nothing was deleted.")
        return Exit.FINDINGS
    wanted = {letter.id for letter in chosen}
    call.did(f"Some of them may be deleted: {call.next_command('letters')}")
    with queue.held() as held:
        deleted = queue.delete([letter for letter in held if letter.id in wanted])
    call.conclude(f"{stack.place}: {counted(deleted, 'letter')} deleted.")
    if deleted < len(wanted):
        call.conclude(
            f"{counted(len(wanted) - deleted, 'letter')} could not be deleted, or had gone. Try again.", "red"
        )
        return Exit.FINDINGS
    return Exit.OK


def rows_of(found: Sequence[Letter]) -> list[dict[str, Any]]:
    """Return a row for each letter, with as much of its ID as no other letter's ID has."""
    length = SHORT_ID
    while len({letter.id[:length] for letter in found}) < len(found):
        length += 1
    return [
        {
            "id": letter.id[:length],
            "target": letter.target or None,
            "trigger": letter.trigger,
            "error": letter.error or None,
            "sent": letter.sent_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        for letter in found
    ]


def age(sent: str) -> str:
    """Return how long ago a letter was sent."""
    return duration((datetime.now(UTC) - datetime.fromisoformat(sent)).total_seconds())


def pick(held: Sequence[Letter], begin: str) -> Letter:
    """Return the one letter whose ID begins so."""
    match [letter for letter in held if letter.id.startswith(begin)]:
        case [letter]:
            return letter
        case []:
            raise CannotRun(f"there is no letter {begin!r} in the queue. Nothing was deleted.")
        case several:
            raise CannotRun(f"{len(several)} letters' IDs begin with {begin!r}. Nothing was deleted.")
