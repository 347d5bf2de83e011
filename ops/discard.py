"""`python -m ops.discard STACK (--id ID … | --all) [--yes]`: delete dead letters, after asking.

What is deleted is exactly what was shown, however many letters arrive meanwhile.
"""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.prompt import Confirm

from ops.command import Exit, execute, parser
from ops.dead_letters import DeadLetterQueue
from ops.letter import Letter
from ops.letters import counted, show
from ops.stack import CannotRun, DeployedStack


def main(arguments: Sequence[str]) -> Exit:
    """Delete dead letters of the stack that is named; return the exit status."""
    understood = parser("discard", "Delete dead letters of a deployed stack, after showing them and asking.")
    which = understood.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", dest="ids", metavar="IDS", help="letters' IDs, or their beginnings, separated by blanks")
    which.add_argument("--all", action="store_true", help="all letters")
    understood.add_argument("--yes", action="store_true", help="delete without asking")
    options = understood.parse_args(arguments)
    ids = None if options.all else options.ids.split() or [""]
    return execute(lambda stack: discard(stack, ids, yes=options.yes), options)


def discard(stack: DeployedStack, ids: Sequence[str] | None, *, yes: bool) -> Exit:
    """Delete the letters whose IDs begin like these, or all; exit with 1 where not all of them were deleted."""
    queue = DeadLetterQueue.of(stack)
    with queue.held() as held:
        chosen = held if ids is None else [pick(held, one) for one in dict.fromkeys(ids)]
    show(chosen, Console())
    if not chosen:
        queue.require_none_in_flight()
        print(f"{stack.name}: no letters in the dead-letter queue.")
        return Exit.OK
    if not (yes or agreed(len(chosen))):
        print(f"{stack.name}: nothing was deleted.")
        return Exit.FINDINGS
    wanted = {letter.id for letter in chosen}
    with queue.held() as held:
        deleted = queue.delete([letter for letter in held if letter.id in wanted])
    print(f"{stack.name}: {counted(deleted)} deleted.")
    if deleted < len(wanted):
        print(f"{stack.name}: {counted(len(wanted) - deleted)} could not be deleted, or had gone meanwhile. Try again.")
        return Exit.FINDINGS
    return Exit.OK


def pick(held: Sequence[Letter], beginning: str) -> Letter:
    """Return the one letter whose ID begins so."""
    match [letter for letter in held if beginning and letter.id.startswith(beginning)]:
        case [letter]:
            return letter
        case []:
            raise CannotRun(f"there is no letter {beginning!r} in the queue. Nothing was deleted.")
        case several:
            raise CannotRun(f"{len(several)} letters' IDs begin with {beginning!r}. Nothing was deleted.")


def agreed(number: int) -> bool:
    """Ask whether to delete."""
    if not sys.stdin.isatty():
        raise CannotRun("there is no terminal to ask on. Nothing was deleted: use --yes, or YES=1 with make.")
    return Confirm.ask(f"Delete {counted(number)}? They cannot be restored", default=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
