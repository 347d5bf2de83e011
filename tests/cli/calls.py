"""Calls the program as a shell that is no terminal does."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rds_snap_backup_cli import program
from rds_snap_backup_cli.commands import app

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
