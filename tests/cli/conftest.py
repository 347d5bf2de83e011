"""The program as a shell runs it, and AWS for it: the emulator, or a wire that answers what a test says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from local.emulator import Emulator
from rds_snap_backup_cli import __main__ as _commands  # noqa: F401 # which declares them
from rds_snap_backup_cli.program import app
from tests.cli.wire import AwsWire


@dataclass(frozen=True)
class Done:
    """How a call of the program ended."""

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


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the program with arguments; the shell is no terminal."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(list(arguments), prog_name="rds-snap-backup")
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """AWS on this machine."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWire]:
    """A shell whose AWS is a wire that knows nothing yet."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("RDS_SNAP_BACKUP_STACK", raising=False)
    with AwsWire() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server
