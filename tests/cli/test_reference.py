"""What follows from the code is in the documents, and the program understands each command in them."""

import re
import shlex
from pathlib import Path

import pytest

from documents.reference import TEXTS, described
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.program import app
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import read

COMMANDS = {registered.name for registered in app.registered_commands if registered.name}
FLEET = "examples/fleet"
PAGES = ("docs/cli.md", "docs/operations.md", f"{FLEET}/README.md", f"{FLEET}/.github/workflows/fleet.yml")
# In a block, in a sentence, or in a step of a workflow; a sentence names commands without a stack, too.
EXAMPLE = re.compile(
    rf"^[ -]*(?:run: |\$ )?(rds-snap-backup (?:{'|'.join(COMMANDS)})\b.*?)(?: +# .*)?$|`(rds-snap-backup \w+ STACK\b[^`]*)`",
    re.MULTILINE,
)
EXAMPLES = {page: {found[1] or found[2] for found in EXAMPLE.finditer(read(page))} for page in PAGES}


@pytest.mark.parametrize("name", TEXTS)
def test_what_follows_from_the_code_is_written(name: str) -> None:
    text = read(name)
    assert text.splitlines() == TEXTS[name](text).splitlines(), "run: python -m documents.reference"


def test_the_reference_has_every_command_with_an_example_and_the_runbook_those_of_operations() -> None:
    reference, runbook, *_ = ({example.split()[1] for example in examples} for examples in EXAMPLES.values())
    assert {*described(read(PAGES[0]))} == COMMANDS == reference
    assert runbook == COMMANDS - {"build", "deploy", "validate"}


@pytest.mark.parametrize(
    ("page", "example"),
    [
        (page, example)
        for page, examples in EXAMPLES.items()
        for example in sorted(examples)
        if " deploy" not in example and "s3://BUCKET" not in example
    ],
)
def test_an_example_is_understood(
    cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, page: str, example: str
) -> None:
    """It gets as far as the stack, which is not there; `validate` and `build` need none."""
    wire.no_stack()
    if page.startswith(FLEET):
        monkeypatch.chdir(FLEET)
        monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", "prod")
    done = cli(*shlex.split(example.replace("fleet.json", str(tmp_path / "fleet.json")))[1:])
    if " validate" in example or " build" in example:
        assert done.status == Exit.OK or not page.startswith(FLEET)
        assert "Usage" not in done.err
    elif "--from" in example:
        done.could_not_run("report.json cannot be read: No such")
    else:
        assert "there is no such stack" in done.err
