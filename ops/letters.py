"""`python -m ops.letters STACK`: list a deployed stack's dead letters. They stay where they are."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.command import Exit, run
from ops.dead_letters import MAX_LETTERS, DeadLetterQueue
from ops.letter import Letter
from ops.stack import DeployedStack

# As much of an ID as names a letter, or more where that is not enough.
SHORT_ID = 8


def main(arguments: Sequence[str]) -> Exit:
    """List the dead letters of the stack that is named; return the exit status."""
    return run(letters, "letters", "List a deployed stack's dead letters, without removing them.", arguments)


def letters(stack: DeployedStack) -> Exit:
    """Print the letters of the dead-letter queue."""
    queue = DeadLetterQueue.of(stack)
    with queue.held() as held:
        found = held
    if not found:
        queue.require_none_in_flight()
    show(found, Console())
    count = f"{len(found)} of its letters" if len(found) >= MAX_LETTERS else counted(len(found))
    print(f"{stack.name}: {count} in the dead-letter queue.")
    return Exit.OK


def show(found: Sequence[Letter], console: Console) -> None:
    """Print a row for each letter."""
    if not found:
        return
    table = Table()
    table.add_column("ID", no_wrap=True)
    for heading in ("Target", "Trigger", "Error"):
        table.add_column(heading, overflow="fold")
    table.add_column("Age", justify="right", no_wrap=True)
    ids, now = short_ids(found), datetime.now(UTC)
    for letter in found:
        # As texts: square brackets in a name are not markup.
        cells = (ids[letter.id], letter.target, letter.trigger, letter.error, age(now - letter.sent_at))
        table.add_row(*map(Text, cells))
    console.print(table)


def short_ids(found: Sequence[Letter]) -> dict[str, str]:
    """Return the beginning of each letter's ID that no other letter's ID has."""
    length = SHORT_ID
    while len({letter.id[:length] for letter in found}) < len(found):
        length += 1
    return {letter.id: letter.id[:length] for letter in found}


def age(passed: timedelta) -> str:
    """Return how long ago something was, in the largest unit."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def counted(number: int) -> str:
    """Return a number of letters in words."""
    return {0: "no letters", 1: "1 letter"}.get(number, f"{number} letters")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
