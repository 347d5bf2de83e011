"""The program understands every command of the runbook."""

import re
import shlex

import pytest

from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import read

# In a block or in a sentence.
COMMAND = re.compile(
    r"^ *(rds-snap-backup \w+ (?:STACK|rds-snap-backup)\b.*?)(?: +# .*)?$|`(rds-snap-backup \w+ STACK\b[^`]*)`",
    re.MULTILINE,
)
COMMANDS = sorted({found[1] or found[2] for found in COMMAND.finditer(read("docs/operations.md"))})


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_runbook_is_understood(cli: Cli, wire: AwsWire, line: str) -> None:
    """It gets as far as the stack, which is not there."""
    wire.no_stack("STACK")
    done = cli(*shlex.split(line)[1:], "--region", "eu-west-1")
    assert "there is no such stack in eu-west-1" in done.line


def test_the_runbook_has_commands() -> None:
    assert {
        "status",
        "check",
        "letters",
        "redrive",
        "discard",
        "backup",
        "explain",
        "report",
        "history",
        "schedule",
        "token",
        "inventory",
        "targets",
    } == {shlex.split(line)[1] for line in COMMANDS}
