"""Every command of README.md, read from the file: run on a deployed stack, or named here with the test that runs it.

The stack is that of the README's picture of commands.
"""

import re
import shlex
import textwrap
from contextlib import nullcontext
from pathlib import Path

import pytest

from local.demo.machine import PARAMETERS, running
from local.recording import STACK, recorded
from rds_snap_backup_cli import backup, set_token
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli, calling
from tests.unit.documents import IMAGES, read, words

pytestmark = pytest.mark.e2e

BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROGRAM = "rds-snap-backup "
EXPORT = "export RDS_SNAP_BACKUP_STACK=rds-snap-backup"
ELSEWHERE = {
    "make demo": "tests/e2e/test_demo.py runs it",
    "make playground": "tests/e2e/test_playground.py runs it",
    "make test": "it runs this test",
    "python3 -m pip download --require-hashes --only-binary :all: --python-version 3.13 --dest wheels "
    "-r rds_snap_backup-*-requirements.txt": "it downloads packages; tests/installed.py installs them by hash",
    "uv tool install --python 3.13 --no-index --find-links wheels rds-snap-backup": "tests/installed.py installs the wheel",
}
# One database was stopped, and no group selects another; the account of the event is none of the stack's.
ENDS = {"report": Exit.FINDINGS, "explain": Exit.FINDINGS}


def blocks(name: str) -> list[str]:
    """Return the blocks of shell commands in a document."""
    return [textwrap.dedent(block) for block in BLOCK.findall(read(name))]


def commands() -> list[str]:
    """Return the README's commands without comments, but for those that deploy a release."""
    lines = [line for block in blocks("README.md") if "aws " not in block for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines]


def test_the_commands_of_the_readme_print_its_picture_and_end_as_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running(lambda _: nullcontext(), STACK, PARAMETERS) as machine:
        picture = recorded(machine)
        assert words(picture) == words((IMAGES / "commands.svg").read_text()), "Make it again: make pictures"
        cli: Cli = calling(capsys)
        for name, value in machine.aws.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(backup, "POLL_SECONDS", 0.5)
        machine.stack.set_token("none")
        typed = iter([machine.commserve.token, ""])
        monkeypatch.setattr(set_token, "getpass", lambda _: next(typed))
        ran = []
        for line in commands():
            if line == EXPORT:
                monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", STACK)
            elif line.startswith(PROGRAM):
                _, name, *options = shlex.split(line)
                done = cli(name, *options)
                assert done.status == ENDS.get(name, Exit.OK), f"{line}\n{done.out}\n{done.err}"
                ran.append(name)
            else:
                assert line in ELSEWHERE, line
    assert ran == ["token", "check", "backup", "targets", "status", "report", "report", "explain"]
    assert "<html" in (tmp_path / "report.html").read_text()


def test_a_release_is_deployed_by_the_commands_that_test_install_runs() -> None:
    (block,) = [block for block in blocks("README.md") if "aws " in block]
    assert block == "".join(blocks("docs/install.md")[:3])


def test_what_is_not_run_is_in_the_readme() -> None:
    assert set(ELSEWHERE) <= set(commands())
