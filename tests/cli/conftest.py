"""The program, and AWS for it: the emulator, or a wire that answers what a test says."""

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from tests.cli.calls import Cli, calling
from tests.cli.wire import AwsWire


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call the program with arguments; no width cuts its tables."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return calling(capsys)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWire]:
    """A shell whose AWS is a wire that knows nothing yet."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("RDS_SNAP_BACKUP_STACK", raising=False)
    with AwsWire() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def aws(wire: AwsWire, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator behind the wire, for what keeps data."""
    for service in ("DYNAMODB", "S3", "SQS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", emulator.endpoint_url)
    return emulator
