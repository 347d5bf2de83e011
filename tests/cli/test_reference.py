"""What follows from the code is in the documents, and the examples of the commands are understood."""

import re
import shlex

import pytest

from documents.reference import TEXTS, described
from rds_snap_backup_cli.program import app
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import read

COMMANDS = [registered.name for registered in app.registered_commands if registered.name]
EXAMPLE = rf"^(?:\$ |  \$ )?(rds-snap-backup (?:{'|'.join(COMMANDS)})\b.*?)(?: +# .*)?$"
EXAMPLES = sorted(set(re.findall(EXAMPLE, read("docs/cli.md"), re.MULTILINE)))


@pytest.mark.parametrize("name", TEXTS)
def test_what_follows_from_the_code_is_written(name: str) -> None:
    text = read(name)
    assert text.splitlines() == TEXTS[name](text).splitlines(), "run: python -m documents.reference"


def test_the_reference_has_every_command_with_an_example() -> None:
    shown = sorted({example.split()[1] for example in EXAMPLES})
    assert sorted(described(read("docs/cli.md"))) == sorted(COMMANDS) == shown


@pytest.mark.parametrize("example", [example for example in EXAMPLES if " deploy" not in example])
def test_an_example_is_understood(cli: Cli, wire: AwsWire, example: str) -> None:
    """It gets as far as the stack, which is not there."""
    wire.no_stack()
    done = cli(*shlex.split(example)[1:])
    if " validate" in example or " build" in example:
        assert "Usage" not in done.err
    else:
        done.could_not_run("report.json cannot be read: No such" if "--from" in example else "there is no such stack")
