"""One AWS emulator for the layer, and a world of its own for each test."""

import json
import logging
from collections.abc import Iterator

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from tests.integration.leaks import leaks
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


@pytest.fixture(autouse=True)
def no_secret_is_shown(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Search what each test of the layer has logged at DEBUG, recorded and published for every token there was."""
    if "world" not in request.fixturenames:
        yield
        return
    world: World = request.getfixturevalue("world")
    caplog.set_level(logging.DEBUG, world.config.service)
    yield
    tokens = world.commserve.tokens
    logged = (f"{one.getMessage()} {one.exc_text} {one.__dict__}" for one in caplog.get_records("call"))
    shown = "\n".join((*logged, json.dumps([world.items(""), world.notifications()], default=str)))
    secrets = {tokens.access, tokens.refresh, *(secret for pair in tokens.earlier for secret in pair)}
    assert leaks(shown, secrets) == []
    assert leaks(f"{shown} {tokens.access}", secrets), "the search finds nothing"
