"""One AWS emulator for the layer, and a world of its own for each test."""

from collections.abc import Iterator

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from tests.integration.world import World


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """AWS on this machine."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def commserve() -> Iterator[CommServe]:
    """A CommServe over TLS with a private CA."""
    with CommServe(job_seconds=3600) as server:
        yield server


@pytest.fixture
def world(aws: Emulator, commserve: CommServe) -> World:
    """The function's services in this process, real at the wire: AWS is the emulator, Commvault the simulator."""
    return World(aws, commserve)
