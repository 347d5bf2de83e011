"""Calls the program as a shell that is no terminal does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rds_snap_backup_cli import program
from rds_snap_backup_cli.commands import app
from rds_snap_backup_cli.errors import Exit

# A slow machine changes no output.
program.SLOW_SECONDS = 3600.0


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on standard error, of a call that printed nothing else."""
        assert not self.out
        (line,) = self.err.splitlines()
        return line

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the table that was printed."""
        lines = [line for line in self.out.splitlines() if line.startswith("│")]
        return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]

    @property
    def json(self) -> Any:
        """The JSON that was printed."""
        return json.loads(self.out)

    def could_not_run(self, said: str) -> None:
        """Assert that the command could not run, and says why in one line."""
        assert (self.status, said in self.line) == (Exit.COULD_NOT_RUN, True), self.line


type Cli = Callable[..., Done]


def calling(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that calls the program with arguments."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(list(arguments), prog_name="rds-snap-backup")
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call
