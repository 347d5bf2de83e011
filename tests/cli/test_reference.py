"""The reference has every command, as `--help` prints it, and its examples are understood."""

import re
import shlex

import pytest

from rds_snap_backup_cli.program import app
from tests.cli import reference
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import read

COMMANDS = [registered.name for registered in app.registered_commands if registered.name]
EXAMPLES = re.findall(
    r"^(?:\$ |  \$ )?(rds-snap-backup (?:" + "|".join(COMMANDS) + r")\b.*?)(?: +# .*)?$",
    read(reference.PAGE),
    re.MULTILINE,
)


def test_the_reference_is_what_help_prints() -> None:
    assert sorted(reference.described()) == sorted(COMMANDS)
    assert read(reference.PAGE) == reference.page(), "run: python -m tests.cli.reference"


@pytest.mark.parametrize("example", sorted(set(EXAMPLES)))
def test_an_example_is_understood(cli: Cli, wire: AwsWire, example: str) -> None:
    """It gets as far as the stack, which is not there."""
    wire.no_stack(400, "ValidationError", "Stack with id prod does not exist")
    if " deploy" in example:
        return
    if " validate" in example or " build" in example:
        assert "Usage" not in cli(*shlex.split(example)[1:]).err
        return
    done = cli(*shlex.split(example)[1:])
    if " --from " in example:
        assert "report.json cannot be read: No such file or directory." in done.line
        return
    assert "there is no such stack" in done.line


def test_every_command_has_an_example() -> None:
    assert {example.split()[1] for example in EXAMPLES} == set(COMMANDS)
