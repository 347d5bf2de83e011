"""AWS for the commands: the emulator, or a wire that answers what a test says."""

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from tests.ops.wire import AwsWire


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """AWS on this machine."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def shell(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A wide shell whose AWS is the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("COLUMNS", "200")
    return aws


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWire]:
    """A shell whose AWS is a wire that knows nothing yet."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with AwsWire() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server
