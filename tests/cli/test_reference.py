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
EXAMPLE = rf"^(?:\$ |  \$ )?(rds-snap-backup (?:{'|'.join(COMMANDS)})\b.*?)(?: +# .*)?$"
EXAMPLES = sorted(set(re.findall(EXAMPLE, read(reference.PAGE), re.MULTILINE)))


def test_the_reference_is_what_help_prints() -> None:
    assert sorted(reference.described()) == sorted(COMMANDS) == sorted({example.split()[1] for example in EXAMPLES})
    assert read(reference.PAGE) == reference.page(), "run: python -m tests.cli.reference"


@pytest.mark.parametrize("example", [example for example in EXAMPLES if " deploy" not in example])
def test_an_example_is_understood(cli: Cli, wire: AwsWire, example: str) -> None:
    """It gets as far as the stack, which is not there."""
    wire.no_stack()
    done = cli(*shlex.split(example)[1:])
    if " validate" in example or " build" in example:
        assert "Usage" not in done.err
    else:
        done.could_not_run("report.json cannot be read: No such" if "--from" in example else "there is no such stack")
